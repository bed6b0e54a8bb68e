"""History: the newest states and what led from each to the next, so that a stream of changes can be resumed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from trimtab.model.changes import Change
from trimtab.model.links import Position
from trimtab.model.states import State

REVISIONS: Final = 256
"""States that are kept. They share what they have in common, so one costs what its change did."""
PATHS: Final = 4_096
"""A stretch that touches more paths than this is told as a reload."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A state and the paths touched on the way to it; None where that is not known, or too much.

    `variant` names it where this node overrides something in it.
    """

    position: Position
    state: State
    touched: frozenset[str] | None
    variant: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """The way from an earlier state to the newest: where it began and which paths may differ."""

    state: State
    touched: frozenset[str]


class History:
    """Bounded in revisions and in paths."""

    def __init__(self, revisions: int = REVISIONS) -> None:
        self._steps: deque[_Step] = deque(maxlen=revisions)

    def add(self, position: Position, state: State, change: Change | None, variant: str = "") -> None:
        """The next state; without its change nothing before it can be gone on from."""
        touched: frozenset[str] | None = None
        if change is not None and not change.needs_snapshot and len(change.edits) <= PATHS:
            touched = frozenset(edit.path for edit in change.edits)
        else:
            self._steps.clear()
        self._steps.append(_Step(position, state, touched, variant))

    def forget(self) -> None:
        """Nothing from before can be gone on from."""
        self._steps.clear()

    def since(self, position: Position, variant: str | None = None) -> Stretch | None:
        """What happened after a position, in this variant or in any; None if it is not known any more, or never was."""
        touched: set[str] = set()
        for step in reversed(self._steps):
            if step.position == position:
                return Stretch(step.state, frozenset(touched)) if variant in {None, step.variant} else None
            touched.update(step.touched or ())
            if step.touched is None or len(touched) > PATHS:
                return None
        return None
