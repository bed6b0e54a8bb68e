"""Subscriptions: telling a bot what changed, without ever waiting for it.

State is guaranteed, events are not: whoever falls behind gets the latest per path, with a count of what was merged, and
whoever falls behind by too much gets a `Reloaded`, which says to read the state. One queue per subscriber; each
callback has a thread of its own, so that a slow or raising one delays nobody.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self, TypeAlias

from trimtab.model import paths, patterns
from trimtab.model.patterns import Pattern
from trimtab.model.resolution import Absent
from trimtab.model.values import Value
from trimtab.reader import Held

_logger: Final = logging.getLogger("trimtab")
MAX_PENDING: Final = 4_096
"""Paths that wait for one subscriber; beyond that they become one `Reloaded`."""
STEP: Final = 256
"""Paths compared with the patterns between two yields."""


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


class Changes:
    """What `agent.changes(pattern)` gives: `async for event in …`. It listens from the moment that it is made.

    Usable from any event loop, one loop at a time. It ends when the agent closes; dropping it ends it too.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._ready: deque[ChangeEvent] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChangeEvent:
        if not self._ready:
            self._ready.extend(await self._subscription.wait_async())
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    def cancel(self) -> None:
        """Stop listening."""
        self._ready.clear()
        self._subscription.cancel()


class Subscriptions:
    """All subscribers of an agent."""

    def __init__(self) -> None:
        self._registering = threading.Lock()
        self._called: tuple[Subscription, ...] = ()
        self._read: tuple[weakref.ref[Subscription], ...] = ()

    def call(self, pattern: str, callback: Callable[[ChangeEvent], object]) -> Subscription:
        """Call back on a thread of its own; raises `PathError` for what is no pattern."""
        subscription = Subscription(pattern)
        with self._registering:
            self._called = (*(one for one in self._called if one.active), subscription)
        name = f"trimtab-callback-{pattern}"[:40]
        threading.Thread(target=_deliver, args=(subscription, callback), name=name, daemon=True).start()
        return subscription

    def read(self, pattern: str) -> Changes:
        """An asynchronous iterator; raises `PathError` for what is no pattern."""
        subscription = Subscription(pattern)
        with self._registering:
            self._read = (*(one for one in self._read if one() is not None), weakref.ref(subscription))
        return Changes(subscription)

    def tell(
        self, old: Held, new: Held, differences: Mapping[str, tuple[Value | Absent, Value | Absent]], *, reload: bool
    ) -> Iterator[None]:
        """Give every subscriber what concerns it. Yields between steps."""
        listening = [one for one in self._all() if one.active]
        if not listening:
            return
        revisions = {"from_revision": old.position.revision, "to_revision": new.position.revision}
        if reload:
            complete = len(differences) <= MAX_PENDING
            for subscription in listening:
                subscription.put(Reloaded(**revisions, complete=complete))
        if not reload or len(differences) <= MAX_PENDING:
            for count, (path, (before, after)) in enumerate(differences.items(), 1):
                leaf = Changed(path=path, old=before, new=after, **revisions)
                for subscription in listening:
                    _offer(subscription, leaf, old, new)
                if count % STEP == 0:
                    yield
        for subscription in listening:
            subscription.wake()

    def end(self) -> None:
        """The agent closes."""
        for subscription in self._all():
            subscription.end()

    def after_fork(self) -> None:
        """In a forked child: every subscription stayed with the parent."""
        for subscription in self._all():
            subscription.after_fork()
        self._registering = threading.Lock()
        self._called, self._read = (), ()

    def _all(self) -> list[Subscription]:
        read = [one() for one in self._read]
        return [*self._called, *(one for one in read if one is not None)]


def _offer(subscription: Subscription, leaf: Changed, old: Held, new: Held) -> None:
    """The leaf itself if the pattern matches it, else the nearest matching path above it, once."""
    if subscription.pattern.matches(leaf.path):
        subscription.put(leaf)
        return
    for above in paths.parents(leaf.path):
        if subscription.pattern.matches(above):
            before, after = old.cache.find(above), new.cache.find(above)
            subscription.put(replace(leaf, path=above, old=before, new=after))
            return


def _deliver(subscription: Subscription, callback: Callable[[ChangeEvent], object]) -> None:
    while True:
        events = subscription.wait()
        if not events:
            return
        for event in events:
            if subscription.cancelled:
                return
            try:
                callback(event)
            except Exception:  # the callback is the bot author's: say what it raised, and go on
                _logger.exception("The callback for %s raised an error", subscription.pattern.text)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
