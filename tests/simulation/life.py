"""What one process of an agent did: kept by the driver, looked at by the checks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.simulation.oracle import Key
from trimtab.model.links import START, Position
from trimtab.model.values import Value
from trimtab.model.views import View
from trimtab.replica.events import (
    Serve,
)


@dataclass(frozen=True)
class Answer:
    """A primary's answer, as the world knows it: when it was asked for, and what was the head."""

    asked_at: float
    key: Key
    store_revision: int


@dataclass
class Life:
    """What one process did, kept by the driver for the checks and nobody else."""

    boot_floor: Position = START
    stopped: bool = False
    first_served: dict[Position, float] = field(default_factory=dict[Position, float])
    highest: Position = START
    served: Serve | None = None
    withheld: bool = False
    urgent: Position = START
    quarantined: Position | None = None
    crashed_upto: Position | None = None
    proven: Position = START
    poll_after: float = 0.5
    answers: deque[Answer] = field(default_factory=lambda: deque[Answer](maxlen=512))
    asks: deque[tuple[float, str]] = field(default_factory=deque[tuple[float, str]])
    wakes: deque[float] = field(default_factory=deque[float])
    polls: list[float] = field(default_factory=list[float])
    promoted: Position = START
    told: Serve | None = None
    trees: deque[tuple[View, dict[str, Value]]] = field(default_factory=lambda: deque(maxlen=2))
    intervals: deque[tuple[float, float]] = field(default_factory=lambda: deque([(0.0, 0.5)]))

    def fastest(self, since: float) -> float:
        """The shortest poll interval that held at any time since then."""
        while len(self.intervals) > 1 and self.intervals[1][0] < since:
            self.intervals.popleft()
        return min(interval for _, interval in self.intervals)
