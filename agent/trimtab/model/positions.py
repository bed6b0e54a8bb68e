"""Positions: places in history."""

from __future__ import annotations

from dataclasses import dataclass
from functools import total_ordering
from typing import Final


@total_ordering
@dataclass(frozen=True, slots=True)
class Position:
    """A place in history, ordered by epoch, then revision. (0, 0) stands before everything."""

    epoch: int = 0
    revision: int = 0

    def __lt__(self, other: Position) -> bool:
        return (self.epoch, self.revision) < (other.epoch, other.revision)

    def __str__(self) -> str:
        return f"{self.epoch}-{self.revision}"


START: Final = Position()
