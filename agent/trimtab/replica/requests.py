"""Requests: what is asked of which feed, and when to ask again.

At most one request of a kind is open at a feed: what one feed swallows does not keep us from asking the other. A feed
that cannot be reached, or had nothing to give, is left alone for a while that doubles each time, is no shorter than the
wait that was in vain, and is never without jitter: a thousand agents do not come back at once to what is slow already.
The two are counted apart: a feed whose head is answered every second may still have nothing that follows ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from trimtab.model import links
from trimtab.model.links import Position
from trimtab.replica.events import Source

Kind: TypeAlias = Literal["redis head", "postgres head", "changes", "snapshot"]

PATIENCE_SECONDS: Final[Mapping[Kind, float]] = {
    "redis head": 5.0,
    "postgres head": 10.0,
    "changes": 10.0,
    "snapshot": 30.0,
}
"""An answer that takes longer than this no longer counts; data may be large."""
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 0.25
"""At a start Redis may first set up its subscription: a fleet that starts anew does not fetch all from Postgres."""
DOUBT_POLLS: Final = 4
"""Doubt brings at most one poll forward in this many intervals: whoever can raise doubt cannot make us a burden."""


@dataclass(frozen=True, slots=True)
class Request:
    """One open request: when it was asked, and what we had seen of the line by then."""

    number: int
    kind: Kind
    source: Source
    asked_at: float
    seen: Position
    compacting: bool = False

    @property
    def deadline(self) -> float:
        """When its answer no longer counts."""
        return self.asked_at + PATIENCE_SECONDS[self.kind]


class Pauses:
    """How long each feed is left alone for one reason."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures: dict[Source, int] = {"redis": 0, "postgres": 0}
        self.until: dict[Source, float] = {"redis": -math.inf, "postgres": -math.inf}

    def grow(self, source: Source, now: float, waited: float = 0.0) -> None:
        """Leave it alone: doubling, or as long as was `waited`, at most five seconds, 50 to 100 % of it by chance."""
        pause = min(LONGEST_PAUSE_SECONDS, max(waited, FIRST_PAUSE_SECONDS * 2 ** self._failures[source]))
        self._failures[source] = min(self._failures[source] + 1, 10)
        self.until[source] = now + pause * (0.5 + 0.5 * self._random())

    def failed(self, source: Source) -> bool:
        """Whether the reason held the last time."""
        return self._failures[source] > 0

    def lift(self, source: Source) -> None:
        """Try once more now; if that is in vain, the pause is as long as it would have been."""
        self.until[source] = -math.inf

    def end(self, source: Source) -> None:
        """There is no reason any more."""
        self._failures[source] = 0
        self.until[source] = -math.inf


class Requests:
    """Open requests, how long each feed is left alone, and when the next head is due."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._number = 0
        self._open: dict[tuple[Kind, Source], Request] = {}
        self._next_poll = -math.inf
        self._no_doubt_before = -math.inf
        self._grace_until = -math.inf
        self.unreachable = Pauses(random)
        self.empty_handed = Pauses(random)

    @property
    def newest(self) -> int:
        """The number of the request that was asked last."""
        return self._number

    def is_open(self, kind: Kind, source: Source) -> bool:
        """Whether an answer of this kind is awaited from a feed."""
        return (kind, source) in self._open

    def ask(
        self, kind: Kind, source: Source, now: float, seen: Position = links.START, *, compacting: bool = False
    ) -> int:
        """Open a request; its number goes with the effect and comes back with the answer."""
        self._number += 1
        self._open[kind, source] = Request(self._number, kind, source, now, seen, compacting)
        return self._number

    def answered(self, number: int) -> Request | None:
        """The open request that an answer belongs to, which is open no longer; None for a late answer."""
        request = self._close(number)
        if request is not None:
            self.unreachable.end(request.source)
        return request

    def failed(self, number: int, now: float) -> None:
        """A request came to nothing: its feed is left alone. Nothing happens for one that is no longer open."""
        request = self._close(number)
        if request is not None:
            self.unreachable.grow(request.source, now, now - request.asked_at)
            if request.source == "redis":
                self.end_grace()

    def forget(self, source: Source) -> None:
        """Let go of everything that is open at a feed that was lost."""
        for request in [request for request in self._open.values() if request.source == source]:
            self._close(request.number)

    def started(self, now: float, *, awaits_redis: bool) -> None:
        """Feeds are asked from now on; Postgres for data only a little later, if Redis may come first."""
        self._grace_until = now + GRACE_SECONDS if awaits_redis else -math.inf

    def end_grace(self) -> None:
        """Redis does not answer: nothing is gained by waiting for it."""
        self._grace_until = -math.inf

    def expire(self, now: float) -> None:
        """Let go of requests that nobody answered in time."""
        for request in [request for request in self._open.values() if now >= request.deadline]:
            self.failed(request.number, now)

    def schedule_poll(self, now: float, poll_after: float) -> None:
        """The next head comes after the server's interval, 75 to 125 % of it by chance."""
        self._next_poll = now + poll_after * (0.75 + 0.5 * self._random())

    def hasten_poll(self, now: float, poll_after: float) -> None:
        """Doubt: ask for the head within a quarter of the interval, by chance; what one agent doubts, all do."""
        if now >= self._no_doubt_before:
            self._no_doubt_before = now + DOUBT_POLLS * poll_after
            self._next_poll = min(self._next_poll, now + 0.25 * poll_after * self._random())

    def poll_is_due(self, now: float) -> bool:
        """Whether to ask Postgres for the head."""
        return now >= self._poll_at and not self.is_open("postgres head", "postgres")

    def choose(self, now: float, *, subscribed: bool) -> Source | None:
        """The feed to ask for data: Redis while we hear from it, else Postgres; None while both are left alone.

        A Postgres that did not answer last is no way around Redis: a request that it swallows would cost its patience.
        """
        if subscribed and self._ready_at("redis") <= now:
            return "redis"
        if subscribed and self.unreachable.failed("postgres"):
            return None
        return "postgres" if max(self._ready_at("postgres"), self._grace_until) <= now else None

    def wake_at(self, now: float) -> float:
        """When something is due although nothing happens; never sooner than a hundredth of a second."""
        due = [request.deadline for request in self._open.values()]
        due.append(self._grace_until)
        due += [until for pauses in (self.unreachable, self.empty_handed) for until in pauses.until.values()]
        if not self.is_open("postgres head", "postgres"):
            due.append(self._poll_at)
        return max(now + 0.01, min((at for at in due if at > now), default=now))

    @property
    def _poll_at(self) -> float:
        return max(self._next_poll, self.unreachable.until["postgres"])

    def _ready_at(self, source: Source) -> float:
        return max(self.unreachable.until[source], self.empty_handed.until[source])

    def _close(self, number: int) -> Request | None:
        for key, request in self._open.items():
            if request.number == number:
                del self._open[key]
                return request
        return None
