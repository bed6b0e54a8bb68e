"""Requests: what is asked of which feed, and when to ask again.

At most one request of a kind is open. A feed that failed, or had nothing to give, is left alone for a while that
doubles with each failure and is never without jitter, so that a thousand agents do not come back at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from trimtab.model import links
from trimtab.model.links import Position
from trimtab.replica.events import Source

Kind: TypeAlias = Literal["redis head", "postgres head", "changes", "snapshot"]

PATIENCE_SECONDS: Final = 5.0
"""An answer that takes longer than this no longer counts."""
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """One open request: when it was asked, and where the line stood then."""

    number: int
    source: Source
    asked_at: float
    line: Position
    compacting: bool = False


class Requests:
    """Open requests, and how long each feed is left alone."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._number = 0
        self._open: dict[Kind, Request] = {}
        self._failures: dict[Source, int] = {"redis": 0, "postgres": 0}
        self._resting: dict[Source, float] = {"redis": 0.0, "postgres": 0.0}
        self.next_poll = 0.0

    def is_open(self, kind: Kind) -> bool:
        """Whether an answer of this kind is awaited."""
        return kind in self._open

    def ask(
        self, kind: Kind, source: Source, now: float, line: Position = links.START, *, compacting: bool = False
    ) -> int:
        """Open a request; its number goes with the effect and comes back with the answer."""
        self._number += 1
        self._open[kind] = Request(self._number, source, now, line, compacting)
        return self._number

    def close(self, number: int) -> Request | None:
        """The open request that an answer belongs to, which is open no longer; None for a late answer."""
        for kind, request in self._open.items():
            if request.number == number:
                del self._open[kind]
                return request
        return None

    def forget(self, source: Source) -> None:
        """Let go of everything that is open at a feed that was lost."""
        for request in [request for request in self._open.values() if request.source == source]:
            self.close(request.number)

    def expire(self, now: float) -> list[Request]:
        """Let go of requests that nobody answered in time."""
        late = [request for request in self._open.values() if now - request.asked_at > PATIENCE_SECONDS]
        for request in late:
            self.close(request.number)
            self.failed(request.source, now)
        return late

    def failed(self, source: Source, now: float) -> None:
        """Leave a feed alone for a while: doubling, at most five seconds, 50 to 100 % of it by chance."""
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** self._failures[source])
        self._failures[source] = min(self._failures[source] + 1, 10)
        self._resting[source] = now + pause * (0.5 + 0.5 * self._random())

    def succeeded(self, source: Source) -> None:
        """The feed gave what was asked for."""
        self._failures[source] = 0
        self._resting[source] = 0.0

    def schedule_poll(self, now: float, poll_after: float) -> None:
        """The next head comes after the server's interval, 75 to 125 % of it by chance; later after failures."""
        pause = poll_after * (0.75 + 0.5 * self._random())
        self.next_poll = max(now + pause, self._resting["postgres"])

    def choose(self, now: float, *, subscribed: bool) -> Source | None:
        """The feed to ask: Redis while we hear from it, else Postgres; None while both are left alone."""
        if subscribed and self._resting["redis"] <= now:
            return "redis"
        return "postgres" if self._resting["postgres"] <= now else None

    def wake_at(self, now: float) -> float:
        """When something is due although nothing happens; never sooner than a hundredth of a second."""
        deadlines = [request.asked_at + PATIENCE_SECONDS for request in self._open.values()]
        resting = [until for until in self._resting.values() if until > now]
        return max(now + 0.01, min([self.next_poll, *deadlines, *resting]))
