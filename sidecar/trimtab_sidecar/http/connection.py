"""One connection: aiohttp's protocol, which parses and answers, and in front of it one with a clock.

That one sees when bytes come, and hears from a middleware when a whole request is here and when its answer is done.

    fresh     nothing has come yet; a whole request must come within `request_seconds` of the connection
    begun     part of a request is here; the rest must come within `request_seconds` of its first byte
    asked     a whole request is here; who answers it bounds that (`guard.WRITE_SECONDS`, and the stream's own)
    idle      it was answered; the next request may begin within `idle_seconds`
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from aiohttp import web

from trimtab_sidecar.http.guard import WRITE_SECONDS

LINGER_SECONDS: Final = 1.0
"""How long a refused connection is read from, so that what its client sends does not undo the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the connections of one server may cost."""

    connections: int = 256
    """Of orchestrators, scrapers and the bots' tools; twice the streams of changes that may be open."""
    request_seconds: float = 10.0
    idle_seconds: float = 30.0
    write_seconds: float = WRITE_SECONDS
    """How long what is left of an answer may lie here before its client takes it."""
    give_way_seconds: float = 0.05
    """Who has taken longer than this to ask gives way to a newcomer when no more may be open: who is in earnest asks as
    he connects. With a second here, 400 clients that never ask and always come again kept out 9 probes of 10."""


class Register(Protocol):
    """Knows every connection."""

    def opened(self, connection: Connection, transport: asyncio.Transport) -> bool:
        """Whether it may stay. Another one may give way to it; else it is told why, and is somebody else's."""
        ...

    def closed(self, connection: Connection) -> None:
        """It is gone, or as good as that."""
        ...

    def cut(self, why: str) -> None:
        """It is ended by us."""
        ...

    def told(self, why: str) -> bytes:
        """What is said to one that has begun to ask and is ended by us."""
        ...


class Stage(Enum):
    """Where a connection is."""

    FRESH = "fresh"
    BEGUN = "begun"
    ASKED = "asked"
    IDLE = "idle"


class Connection(asyncio.Protocol):
    """It never has more than one timer."""

    def __init__(self, every: Register, bounds: Bounds, inner: web.RequestHandler) -> None:
        self.inner: Final = inner
        self.stage = Stage.FRESH
        self.since = 0.0
        self._every, self._bounds = every, bounds
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ends = 0.0

    def waits_since(self, now: float) -> float | None:
        """Since when we wait for a request, if it may be ended for another; None if not."""
        taking = self._transport is not None and self._transport.get_write_buffer_size() > 0
        patience = 0.0 if self.stage is Stage.IDLE else self._bounds.give_way_seconds
        return None if taking or self.stage is Stage.ASKED or now - self.since < patience else self.since

    def asked(self) -> None:
        """A whole request is here."""
        self.stage = Stage.ASKED
        self._stop()

    def answered(self) -> None:
        """Its answer is done, as far as we are concerned; some of it may still lie in the transport."""
        if self._transport is not None:
            unread = self._transport.get_write_buffer_size() > 0
            self._enter(Stage.IDLE, self._bounds.idle_seconds, self._bounds.write_seconds if unread else None)

    def end(self, why: str) -> None:
        """Close, with a word to who has begun to ask. Who takes neither the word nor what came before is cut off."""
        assert self._transport is not None
        self._every.cut(why)
        if self._transport.get_write_buffer_size():
            self._transport.abort()
            return
        if self.stage is Stage.BEGUN:
            self._transport.write(self._every.told(why))
        self._transport.close()
        self._wait(self._bounds.write_seconds)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)
        if not self._every.opened(self, transport):
            return
        self._transport = transport
        self._enter(Stage.FRESH, self._bounds.request_seconds)
        self.inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self.stage is Stage.IDLE:
            self._enter(Stage.BEGUN, self._bounds.request_seconds)
        elif self.stage is Stage.FRESH:
            self.stage = Stage.BEGUN  # its time began with the connection
        self.inner.data_received(data)

    def eof_received(self) -> None:
        """See `asyncio.Protocol`: nobody who says no more is answered."""
        self.inner.eof_received()

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._stop()
        self._transport = None
        self._every.closed(self)
        self.inner.connection_lost(exc)

    def _enter(self, stage: Stage, seconds: float, look_after: float | None = None) -> None:
        self.stage, self.since = stage, self._loop.time()
        self._ends = self.since + seconds
        self._wait(seconds if look_after is None else min(seconds, look_after))

    def _wait(self, seconds: float) -> None:
        self._stop()
        self._timer = self._loop.call_later(seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        assert self._transport is not None
        rest = self._ends - self._loop.time()
        if self._transport.is_closing():  # and its client does not take what is left of the last answer
            self._every.cut("unread")
            self._transport.abort()
        elif self._transport.get_write_buffer_size():
            self.end("unread")
        elif rest > 0:
            self._wait(rest)
        else:
            self.end("idle" if self.stage is Stage.IDLE else "late")

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Refused(asyncio.Protocol):
    """A connection that was told why it is refused: it goes as soon as it says anything, or after a moment."""

    def __init__(self, transport: asyncio.Transport, gone: Callable[[Refused], None]) -> None:
        self._transport, self._gone = transport, gone
        transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - whatever it is
        """See `asyncio.Protocol`."""
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it went
        """See `asyncio.BaseProtocol`."""
        self._timer.cancel()
        self._gone(self)
