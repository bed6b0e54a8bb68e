"""One subscription, from its confirmation to its loss.

A live TCP session is not a live subscription: a PING goes over the subscribed connection itself, and its PONG is
awaited with a deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, cast

from trimtab.feeds.feed import Arrived, Named, Notice, Subscribed
from trimtab.feeds.redis.connection import Raw, Server
from trimtab.model import published

_LAST_LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds: to connect and be confirmed, between two pings, and from a ping to its pong."""

    confirm: float = 2.0
    ping: float = 1.0
    pong: float = 2.0


async def notices(server: Server, connection: Raw, channel: str, rhythm: Rhythm) -> AsyncGenerator[Notice, None]:
    """`Subscribed`, then news until the subscription is lost: ends by an `UnavailableError`, the connection closed."""
    try:
        with server.failures(rhythm.confirm):
            async with asyncio.timeout(rhythm.confirm):
                await connection.connect()
                await connection.send_command("SUBSCRIBE", channel)
                while _kind(await connection.read_response()) != b"subscribe":
                    pass
        yield Subscribed()
        session = _Session(server, connection, rhythm)
        while True:
            reply = await session.next_reply()
            if _kind(reply) == b"message":
                yield notice(cast("list[bytes]", reply)[2])
            elif _kind(reply) != b"pong":
                raise server.unavailable("the subscription was ended by the server")
    finally:
        await connection.disconnect(nowait=True)


def notice(announcement: bytes) -> Notice:
    """What an announcement says; one that no publisher wrote goes to the replica as it is, to be refused aloud."""
    if announcement[:1] == published.INLINE:
        return Arrived(announcement[1:])
    head = published.read_head(announcement[1:]) if announcement[:1] == published.NAMED else None
    return Arrived(announcement) if head is None else Named(head.position, head.hash)


class _Session:
    """Reads replies, and pings when it is time."""

    def __init__(self, server: Server, connection: Raw, rhythm: Rhythm) -> None:
        self._server, self._connection, self._rhythm = server, connection, rhythm
        self._now = asyncio.get_running_loop().time
        self._next_ping = self._now() + rhythm.ping
        self._pong_due: float | None = None

    async def next_reply(self) -> object:
        """The next reply, pongs included; raises `FeedUnavailable` once a pong is overdue and nothing else comes."""
        while True:
            with self._server.failures(self._rhythm.pong):
                await self._ping_if_due()
                reply = await self._read((self._pong_due or self._next_ping) - self._now())
                if reply is None and self._pong_due is not None and self._now() >= self._pong_due:
                    # Whoever consumes us may have been away for long: what has arrived meanwhile counts.
                    reply = await self._read(_LAST_LOOK_SECONDS)
                    if reply is None:
                        raise self._server.unavailable(f"a PING had no PONG within {self._rhythm.pong:g} s")
            if reply is not None:
                if _kind(reply) == b"pong":
                    self._pong_due, self._next_ping = None, self._now() + self._rhythm.ping
                return reply

    async def _ping_if_due(self) -> None:
        if self._pong_due is None and self._now() >= self._next_ping:
            async with asyncio.timeout(self._rhythm.pong):
                await self._connection.send_command("PING", check_health=False)
            self._pong_due = self._now() + self._rhythm.pong

    async def _read(self, seconds: float) -> object:
        return await self._connection.read_response(timeout=max(seconds, 0.01), disconnect_on_error=False)


def _kind(reply: object) -> object:
    return cast("list[object]", reply)[0] if isinstance(reply, list) and reply else None
