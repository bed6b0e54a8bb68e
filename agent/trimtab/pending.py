"""What waits for one subscriber: events, merged per path, and whoever waits for them."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from trimtab.model import patterns
from trimtab.model.patterns import Pattern
from trimtab.model.resolution import Absent
from trimtab.model.values import Value

MAX_PENDING: Final = 4_096
"""Paths that wait for one subscriber; beyond that they become one `Reloaded`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A path has another value now.

    `path` is a leaf, or, for a pattern that names no leaf (`risk.global`), the nearest object above it that the pattern
    matches. `old` and `new` are `ABSENT` where nothing resolves. `coalesced` counts the changes merged into this one.
    """

    path: str
    old: Value | Absent
    new: Value | Absent
    from_revision: int
    to_revision: int
    coalesced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """More happened at once than one change: a resync, other labels, or more events than the queue holds.

    `complete`: a `Changed` follows for every path that differs; otherwise only the state tells what is new.
    """

    from_revision: int
    to_revision: int
    complete: bool = True
    coalesced: int = 0


ChangeEvent: TypeAlias = Changed | Reloaded


class Subscription:
    """A queue of events and whoever waits for them. `cancel` ends it; so does the end of the agent."""

    def __init__(self, pattern: str) -> None:
        self.pattern: Pattern = patterns.parse(pattern)
        self._condition = threading.Condition()
        self._changed: dict[str, Changed] = {}
        self._reloaded: Reloaded | None = None
        self._ended = self._cancelled = False
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    @property
    def active(self) -> bool:
        """Whether events may still come."""
        return not self._ended

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants what may still wait."""
        return self._cancelled

    def cancel(self) -> None:
        """No event comes any more; those that wait are dropped. May be called twice, and from the callback itself."""
        with self._condition:
            self._cancelled = True
            self._changed.clear()
            self._reloaded = None
        self.end()

    def end(self) -> None:
        """Nothing new comes; what waits is still delivered."""
        with self._condition:
            self._ended = True
        self.wake()

    def put(self, event: ChangeEvent) -> None:
        """Add an event, merged with what waits for the same path."""
        with self._condition:
            if self._ended:
                return
            if isinstance(event, Reloaded):
                self._reload(event)
            else:
                self._change(event)

    def wake(self) -> None:
        """Tell whoever waits to look again."""
        with self._condition:
            self._condition.notify_all()
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            loop, future = waiter
            try:
                loop.call_soon_threadsafe(_resolve, future)
            except RuntimeError:  # the loop that waited is closed, and nobody will come back for this
                self._ended = True

    def take(self) -> list[ChangeEvent]:
        """Everything that waits, a reload first."""
        with self._condition:
            return self._take()

    def wait(self) -> list[ChangeEvent]:
        """Block until something waits, and take it; empty when the subscription has ended."""
        with self._condition:
            self._condition.wait_for(lambda: self._changed or self._reloaded or self._ended)
            return self._take()

    async def wait_async(self) -> list[ChangeEvent]:
        """The same without blocking the running event loop."""
        while True:
            with self._condition:
                taken = self._take()
                if taken or self._ended:
                    return taken
                loop = asyncio.get_running_loop()
                future: asyncio.Future[None] = loop.create_future()
                self._waiter = (loop, future)
            await future

    def after_fork(self) -> None:
        """In a forked child: the subscription stayed with the parent, and so did whoever held the lock."""
        self._condition = threading.Condition()
        self._waiter = None
        self._ended = True
        self._changed, self._reloaded = {}, None

    def _take(self) -> list[ChangeEvent]:
        taken: list[ChangeEvent] = [] if self._reloaded is None else [self._reloaded]
        taken += self._changed.values()
        self._changed, self._reloaded = {}, None
        return taken

    def _change(self, event: Changed) -> None:
        if self._reloaded is not None and not self._reloaded.complete:
            self._reload(Reloaded(from_revision=event.from_revision, to_revision=event.to_revision, complete=False))
            return
        known = self._changed.pop(event.path, None)
        if known is not None and known.to_revision == event.to_revision:
            event = known  # another leaf below the same object, of the same revision
        elif known is not None:
            merged = known.coalesced + event.coalesced + 1
            event = replace(event, old=known.old, from_revision=known.from_revision, coalesced=merged)
        elif len(self._changed) >= MAX_PENDING:
            first = min(waiting.from_revision for waiting in self._changed.values())
            self._reload(Reloaded(from_revision=first, to_revision=event.to_revision, complete=False))
            return
        self._changed[event.path] = event

    def _reload(self, event: Reloaded) -> None:
        known = self._reloaded
        if known is not None:
            event = replace(
                event,
                from_revision=known.from_revision,
                complete=known.complete and event.complete,
                coalesced=known.coalesced + 1,
            )
        self._reloaded = event
        if not event.complete:
            self._changed.clear()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
