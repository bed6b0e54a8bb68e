"""What a change makes of one line: the state before and after it, as far as it was read."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.model.states import State


@dataclass(frozen=True, slots=True)
class Sides:
    """A line before and after a change, as far as it was read."""

    before: State
    after: State

    @property
    def environment(self) -> str:
        """The environment whose line it is."""
        return self.after.lineage.environment
