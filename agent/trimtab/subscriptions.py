"""Subscriptions: telling a bot what changed, without ever waiting for it.

State is guaranteed, events are not: whoever falls behind gets the latest per path, with a count of what was merged, and
whoever falls behind by too much gets a `Reloaded`, which says to read the state. One queue per subscriber; each
callback has a thread of its own, so that a slow or raising one delays nobody.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, Self

from trimtab.model import paths
from trimtab.model.resolution import Absent
from trimtab.model.values import Value
from trimtab.pending import MAX_PENDING, Changed, ChangeEvent, Reloaded, Subscription
from trimtab.reader import Held

_logger: Final = logging.getLogger("trimtab")
STEP: Final = 256
"""Paths compared with the patterns between two yields."""


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
                    offer(subscription, leaf, old, new)
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


def offer(subscription: Subscription, leaf: Changed, old: Held, new: Held) -> None:
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
