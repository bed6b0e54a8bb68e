"""Change events of an attached reader: nobody works for them before the bot asks.

What was touched since the last question is remembered, and the view from then; the question compares the two. Who asks
too rarely gets a `Reloaded`, which says to read the state: of an old view no more is kept than the present generation
and one before it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Self

from trimtab.attach_view import SharedView
from trimtab.pending import MAX_PENDING, Changed, ChangeEvent, Reloaded, Subscription
from trimtab.reader import Held
from trimtab.shared import comparing
from trimtab.shared.comparing import Differences
from trimtab.shared.resolved import SharedIndex
from trimtab.subscriptions import offer

INTERVAL: Final = 0.005
"""How often `async for` looks, in seconds."""


class AttachedChanges:
    """What `config.changes(pattern)` gives: `async for event in …`, or `.poll()`. It listens from when it is made."""

    def __init__(self, subscription: Subscription, look: Callable[[], None]) -> None:
        self._subscription = subscription
        self._look = look
        self._ready: deque[ChangeEvent] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChangeEvent:
        while not self._ready:
            self._ready.extend(self.poll())
            if not self._ready:
                if not self._subscription.active:
                    raise StopAsyncIteration
                await asyncio.sleep(INTERVAL)
        return self._ready.popleft()

    def poll(self) -> list[ChangeEvent]:
        """What came since the last call, at once."""
        if self._subscription.active:
            self._look()
        return self._subscription.take()

    def cancel(self) -> None:
        """Stop listening."""
        self._ready.clear()
        self._subscription.cancel()


def tell(listening: list[Subscription], old: Held, new: Held, touched: set[str] | None) -> None:
    """Give every subscriber what differs between two views: at the touched paths, or anywhere."""
    differences = _differences(old, new, touched)
    from_revision, to_revision = old.position.revision, new.position.revision
    if touched is None:
        complete = len(differences) <= MAX_PENDING
        told = Reloaded(from_revision=from_revision, to_revision=to_revision, complete=complete)
        for subscription in listening:
            subscription.put(told)
        if not complete:
            return
    for path, (before, after) in differences.items():
        leaf = Changed(path=path, old=before, new=after, from_revision=from_revision, to_revision=to_revision)
        for subscription in listening:
            offer(subscription, leaf, old, new)


def tell_lost(listening: list[Subscription], from_revision: int, to_revision: int) -> None:
    """Tell every subscriber that only the state tells what is new."""
    for subscription in listening:
        subscription.put(Reloaded(from_revision=from_revision, to_revision=to_revision, complete=False))


def _differences(old: Held, new: Held, touched: set[str] | None) -> Differences:
    before, after = _index(old), _index(new)
    return comparing.everywhere(before, after) if touched is None else comparing.at(before, after, touched)


def _index(held: Held) -> SharedIndex:
    assert isinstance(held.view, SharedView)
    return held.view.index
