"""A feed in memory, for tests and the simulation: held to the same contract suite as the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from trimtab.feeds.feed import (
    MAX_CHANGES_BYTES,
    Arrived,
    Changes,
    Head,
    Lost,
    Notice,
    SignedBytes,
    Subscribed,
    select,
)
from trimtab.model import links
from trimtab.model.errors import FeedUnavailable
from trimtab.model.links import Position


class MemoryFeed:
    """Holds one line. Tests steer it: `publish`, `trim`, `down`, `is_replica`, `reports`.

    With `down` set to a reason every call fails and subscriptions are lost; set back to None they come again.
    """

    def __init__(self, name: str = "memory", *, poll_after_ms: int | None = 100) -> None:
        self._name = name
        self._messages: dict[Position, bytes] = {}
        self._head: tuple[Position, bytes] | None = None
        self._snapshot: SignedBytes | None = None
        self._down: str | None = None
        self._subscribers: set[asyncio.Queue[Notice]] = set()
        self._changed = asyncio.Event()
        self._closed = False
        self.poll_after_ms = poll_after_ms
        self.is_replica = False
        self.store_revision = 0
        self.reports: list[bytes] = []

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    @property
    def down(self) -> str | None:
        """Why the feed is down, None if it is up."""
        return self._down

    @down.setter
    def down(self, reason: str | None) -> None:
        self._down = reason
        self._changed.set()
        self._changed = asyncio.Event()

    def publish(self, message: bytes, *, silently: bool = False) -> None:
        """Extend the line, and tell the subscribers unless `silently`; a new epoch replaces the history."""
        link = links.read(message).link
        if self._head is not None and link.epoch > self._head[0].epoch:
            self._messages.clear()
        self._messages[link.position] = message
        self._head = (link.position, link.hash)
        self.store_revision = max(self.store_revision, link.revision)
        if not silently and self._down is None:
            for queue in self._subscribers:
                queue.put_nowait(Arrived(message))

    def inject(self, notice: Notice) -> None:
        """Bring the subscribers a notice of the test's own."""
        for queue in self._subscribers:
            queue.put_nowait(notice)

    def publish_snapshot(self, statement: bytes, body: bytes) -> None:
        """Hold this signed snapshot."""
        self._snapshot = SignedBytes(statement, body)

    def trim(self, upto: Position) -> None:
        """Forget the messages up to and with a position."""
        self._messages = {position: message for position, message in self._messages.items() if position > upto}

    async def head(self, after: Position | None = None) -> Head | None:
        """See `Feed.head`."""
        await self._pass()
        if self._head is None:
            return None
        position, digest = self._head
        return Head(
            epoch=position.epoch,
            revision=position.revision,
            hash=digest,
            store_revision=self.store_revision,
            is_replica=self.is_replica,
            poll_after_ms=self.poll_after_ms,
            messages=() if after is None else self._select(after, MAX_CHANGES_BYTES).messages,
        )

    async def changes(self, after: Position, max_bytes: int = MAX_CHANGES_BYTES) -> Changes:
        """See `Feed.changes`."""
        await self._pass()
        return self._select(after, max_bytes)

    async def snapshot(self) -> SignedBytes | None:
        """See `Feed.snapshot`."""
        await self._pass()
        return self._snapshot

    async def report(self, report: bytes) -> None:
        """See `Reporter.report`; kept in `reports`."""
        await self._pass()
        self.reports.append(report)

    async def subscribe(self) -> AsyncGenerator[Notice, None]:
        """See `PushFeed.subscribe`."""
        queue: asyncio.Queue[Notice] = asyncio.Queue()
        while True:
            if self._down is not None:
                yield Lost(self._down)
            while self._down is not None and not self._closed:
                await self._changed.wait()
            await self._pass()
            self._subscribers.add(queue)
            try:
                yield Subscribed()
                while self._down is None and not self._closed:
                    notice = await self._next(queue)
                    if notice is not None:
                        yield notice
            finally:
                self._subscribers.discard(queue)
                queue = asyncio.Queue()

    def abandon(self) -> None:
        """In a forked child there is nothing to silence."""

    async def close(self) -> None:
        """See `Feed.close`."""
        self._closed = True
        self._changed.set()

    async def _next(self, queue: asyncio.Queue[Notice]) -> Notice | None:
        """The next notice, or None when something about the feed changed."""
        news = asyncio.ensure_future(queue.get())
        change = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({news, change}, return_when=asyncio.FIRST_COMPLETED)
            return news.result() if news.done() else None
        finally:
            news.cancel()
            change.cancel()

    def _select(self, after: Position, max_bytes: int) -> Changes:
        newest = None if self._head is None else self._head[0]
        return select(sorted(self._messages.items()), after, max_bytes, newest)

    async def _pass(self) -> None:
        await asyncio.sleep(0)
        if self._closed:
            raise FeedUnavailable(f"The feed {self._name} is closed")
        if self._down is not None:
            raise FeedUnavailable(f"The feed {self._name} does not answer", self._down)
