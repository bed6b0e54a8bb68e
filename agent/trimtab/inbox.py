"""The inbox of a follower: events in the order in which they came, and the wait for the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from trimtab import clock
from trimtab.replica.events import Event, Ticked


class Inbox:
    """All on the thread of one event loop."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """Add an event behind all others."""
        self._events.append(event)
        self.wake()

    def clear(self) -> None:
        """Forget every event."""
        self._events.clear()

    def wake(self) -> None:
        """End a wait early."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self, wake_at: Callable[[float], float]) -> Event:
        """The next event, or `Ticked` at the time that `wake_at` gives, asked now and only if there is none."""
        if not self._events:
            loop = asyncio.get_running_loop()
            now = clock.now()
            self._waiter = loop.create_future()
            timer = loop.call_later(wake_at(now) - now, self.wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        return self._events.popleft() if self._events else Ticked()
