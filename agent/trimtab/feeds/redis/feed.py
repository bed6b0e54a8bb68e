"""The feed from Redis: the head, the stream, the snapshot, and news by pub/sub."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, cast

import orjson

from trimtab.feeds import scripts
from trimtab.feeds.feed import (
    MAX_CHANGES_BYTES,
    Changes,
    Head,
    Lost,
    Notice,
    SignedBytes,
    Subscribed,
    select,
)
from trimtab.feeds.redis import subscription
from trimtab.feeds.redis.connection import Raw, Server, Wire, abandon
from trimtab.feeds.redis.subscription import Rhythm
from trimtab.model import published, snapshots
from trimtab.model.errors import FeedUnavailable, SignatureRefused, UnavailableError
from trimtab.model.links import Position

_BATCH: Final = 64
"""Stream entries in one reply."""
_CHUNKS: Final = 4
"""Chunks of a snapshot, of 1 MiB each, in one reply."""
_RESTARTS: Final = 5
_SHORTEST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_SETTLED_SECONDS: Final = 5.0
"""A subscription that lasted this long was a good one: after its loss the pauses start small again."""


class RedisFeed:
    """A `PushFeed` and a `Reporter`. Two connections: one for commands, one for each subscription.

    What Redis holds can only be as fresh as what was published: its heads never certify anything.
    """

    def __init__(
        self,
        url: str,
        environment: str,
        *,
        agent: str = "",
        seconds: float = 2.0,
        rhythm: Rhythm | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        """`seconds` is the deadline of one exchange; `agent` is the field of `:fleet` that reports go to."""
        self._names = published.Names(environment)
        self._server = Server(url)
        self._wire = Wire(self._server, seconds)
        self._agent = agent
        self._rhythm = rhythm or Rhythm()
        self._rng = rng
        self._sessions: set[Raw] = set()
        self._closing = asyncio.Event()

    @property
    def name(self) -> str:
        """`redis`."""
        return "redis"

    async def head(self, after: Position | None = None) -> Head | None:
        """See `Feed.head`; nothing is sent along."""
        del after
        [text] = await self._wire.ask(("GET", self._names.head))
        head = self._read_head(text)
        if head is None:
            return None
        return Head(epoch=head.position.epoch, revision=head.position.revision, hash=head.hash)

    async def changes(self, after: Position, max_bytes: int = MAX_CHANGES_BYTES) -> Changes:
        """See `Feed.changes`."""
        # The head first: the stream, read later, reaches at least that far unless something is missing from it.
        text, entries = await self._wire.ask(("GET", self._names.head), self._range(after))
        head = self._read_head(text)
        if head is None:
            return Changes((), trimmed=True)
        found = self._read_entries(entries)
        size = sum(len(message) for _, message in found)
        while found and found[-1][0] < head.position and size <= max_bytes:
            [entries] = await self._wire.ask(self._range(found[-1][0]))
            more = self._read_entries(entries)
            if not more:
                break
            found += more
            size += sum(len(message) for _, message in more)
        return select(found, after, max_bytes, head.position)

    async def snapshot(self) -> SignedBytes | None:
        """See `Feed.snapshot`."""
        for _ in range(_RESTARTS):
            statement, parts = await self._chunks(0)
            if statement is None:
                return None
            body = await self._rest(statement, parts)
            if body is not None:
                return SignedBytes(statement, body)
        raise self._server.unavailable("its snapshot was replaced again and again while it was read")

    async def report(self, report: bytes) -> None:
        """See `Reporter.report`."""
        fields = cast("dict[str, object]", orjson.loads(report))
        fields.pop("at", None)
        await self._wire.ask(("EVAL", scripts.REPORT, 1, self._names.fleet, self._agent, orjson.dumps(fields)))

    async def subscribe(self) -> AsyncGenerator[Notice, None]:
        """See `PushFeed.subscribe`."""
        now = asyncio.get_running_loop().time
        told, failures, since = "", 0, now()
        while True:
            self._check_open()
            connection = self._server.connection()
            self._sessions.add(connection)
            try:
                session = subscription.notices(self._server, connection, self._names.changes, self._rhythm)
                async with aclosing(session):
                    async for notice in session:
                        if isinstance(notice, Subscribed):
                            told, since = "", now()
                        yield notice
            except UnavailableError as error:
                self._check_open()
                if str(error) != told:
                    settled = not told and now() - since >= _SETTLED_SECONDS
                    told, failures = str(error), 0 if settled else failures
                    yield Lost(told)
            finally:
                self._sessions.discard(connection)
            failures += 1
            await self._pause(failures)

    async def close(self) -> None:
        """See `Feed.close`."""
        self._closing.set()
        await self._wire.close()
        for connection in tuple(self._sessions):
            await connection.disconnect(nowait=True)

    def abandon(self) -> None:
        """In a forked child, instead of `close`: the parent's connections go on untouched."""
        self._wire.abandon()
        for connection in self._sessions:
            abandon(connection)

    async def _pause(self, failures: int) -> None:
        longest = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2 ** min(failures - 1, 10))
        try:
            async with asyncio.timeout(longest * (0.5 + self._rng() / 2)):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _chunks(self, start: int) -> tuple[bytes | None, list[bytes | None]]:
        """The statement and some chunks from one on, read at one moment."""
        fields = [str(number) for number in range(start, start + _CHUNKS)]
        [reply] = await self._wire.ask(("HMGET", self._names.snapshot, published.STATEMENT_FIELD, *fields))
        statement, *chunks = cast("list[bytes | None]", reply)
        return statement, chunks

    async def _rest(self, statement: bytes, chunks: list[bytes | None]) -> bytes | None:
        """All bytes of a snapshot, given its first chunks; None if it changed meanwhile."""
        try:
            count = snapshots.read_statement(statement).chunks
        except SignatureRefused as error:
            raise self._server.unavailable(f"{self._names.snapshot} holds no snapshot") from error
        while len(chunks) < count:
            again, more = await self._chunks(len(chunks))
            if again != statement:
                return None
            chunks += more
        whole = [chunk for chunk in chunks[:count] if chunk is not None]
        if len(whole) < count:
            raise self._server.unavailable("a part of its snapshot is missing")
        return b"".join(whole)

    def _range(self, after: Position) -> tuple[str | int, ...]:
        return ("XRANGE", self._names.stream, f"({after}", "+", "COUNT", _BATCH)

    def _read_head(self, text: object) -> published.Head | None:
        if text is None:
            return None
        head = published.read_head(cast("bytes", text))
        if head is None:
            raise self._server.unavailable(f"{self._names.head} holds something that no publisher wrote")
        return head

    def _read_entries(self, entries: object) -> list[tuple[Position, bytes]]:
        found: list[tuple[Position, bytes]] = []
        for name, (field, message, *_) in cast("list[tuple[bytes, list[bytes]]]", entries):
            if field != published.MESSAGE_FIELD:
                raise self._server.unavailable(f"{self._names.stream} holds something that no publisher wrote")
            epoch, _, revision = name.partition(b"-")
            found.append((Position(int(epoch), int(revision)), message))
        return found

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise FeedUnavailable("The feed redis is closed")
