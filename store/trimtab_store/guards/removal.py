"""The guard against losing items: a change that empties an environment, or removes more than a share of its items.

An item is gone if it is removed, or if a new tombstone masks it for some reader. An environment that merely holds
nothing of its own any more is not empty as long as it inherits something.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from trimtab.model import layers
from trimtab.model.items import LeafEdit
from trimtab.model.problems import Problem
from trimtab.model.states import State
from trimtab.model.trees import HIDDEN
from trimtab_store.guards.thresholds import REMEDY, Thresholds

MARGIN: Final = 50
"""With so many more items than could matter, others may remove some meanwhile."""


@dataclass(frozen=True, slots=True)
class Gone:
    """How many items an edit takes away: of the environment's `own` and of its whole `line`; and how many it `adds`."""

    environment: str
    own: int
    line: int
    adds: int

    def __bool__(self) -> bool:
        return bool(self.line)

    def enough(self, thresholds: Thresholds) -> int:
        """From so many items on, what goes is certainly no more than the share."""
        share = max(thresholds.max_removed_share, 1e-6)
        return 2 * max(thresholds.min_items, math.ceil(self.line / share)) + MARGIN


@dataclass(frozen=True, slots=True)
class Totals:
    """How many items stand in an environment itself and in its line; `plenty`: at least as many as were asked for."""

    own: int
    line: int
    plenty: bool = False


def gone(before: State, environment: str, edits: Sequence[LeafEdit]) -> Gone:
    """What edits take away from a line that holds their surroundings. Tombstones are no items here."""
    own: set[tuple[str, str, str]] = set()
    masked: set[tuple[str, str, str]] = set()
    adds = 0
    for edit in edits:
        held = before.content(environment, edit.layer, edit.path)
        adds += edit.operation == "put" and not held
        if held and edit.operation != "put":
            own.add((environment, edit.layer, edit.path))
        if edit.operation == "hide":
            masked.update(_masked(before, environment, edit))
    return Gone(environment, len(own), len(own | masked), adds)


def judge(lost: Gone, totals: Totals, thresholds: Thresholds) -> Iterator[Problem]:
    """What needs force: everything is gone, or too much of what the environment or its line holds."""
    if totals.plenty:
        return
    if lost.line >= totals.line and not lost.adds:
        yield _problem(lost, f"it would leave {lost.environment} empty: all {totals.line} items would be gone")
        return
    share = thresholds.max_removed_share
    for count, total, whose in ((lost.own, totals.own, "of its own"), (lost.line, totals.line, "that it shows")):
        if total >= thresholds.min_items and count > share * total:
            yield _problem(
                lost,
                f"it would take {count} of the {total} items {whose} from {lost.environment}; without force at most "
                f"{share:.0%} may go at once",
            )
            return


def _masked(before: State, environment: str, edit: LeafEdit) -> Iterator[tuple[str, str, str]]:
    """The items that a tombstone masks for whoever sees both."""
    lineage = before.lineage
    selector = layers.parse(edit.layer)
    rank = lineage.rank(environment, selector)
    for name, text in before.trees:
        other = layers.parse(text)
        if lineage.rank(name, other) < rank and selector.can_meet(other):
            for path, content in before.below(name, text, edit.path):
                if content != HIDDEN:
                    yield name, text, path


def _problem(lost: Gone, why: str) -> Problem:
    return Problem(path=lost.environment, rule="guard-removal", why=why, remedy=REMEDY)
