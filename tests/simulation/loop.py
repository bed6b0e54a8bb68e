"""Simulated time: what is due is called in order, and nothing else happens."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from random import Random
from typing import TypeAlias

Call: TypeAlias = Callable[[], None]


class Loop:
    """A clock that jumps from one due call to the next; `rng` is the only source of chance in a run."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self._due: list[tuple[float, int, Call]] = []
        self._order = itertools.count()

    def after(self, delay: float, call: Call) -> None:
        """Have a call made `delay` seconds from now."""
        heapq.heappush(self._due, (self.now + delay, next(self._order), call))

    def run_until(self, end: float) -> None:
        """Make every call that is due until then."""
        while self._due and self._due[0][0] <= end:
            self.now, _, call = heapq.heappop(self._due)
            call()
        self.now = max(self.now, end)

    def between(self, low: float, high: float) -> float:
        """A number by chance."""
        return low + (high - low) * self.rng.random()

    def chance(self, probability: float) -> bool:
        """Whether something happens."""
        return self.rng.random() < probability
