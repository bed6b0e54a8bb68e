"""Connections: how many there may be, who gives way when there are more, and what is told to who does not get in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from trimtab.model.errors import TrimtabError, UnavailableError, UsageError
from trimtab_sidecar.http.connection import Bounds, Connection, Refused, Stage

Written = Callable[[TrimtabError, int], bytes]
"""A whole answer, as bytes, to what is no request."""


class Counting(Protocol):
    """What is counted about connections."""

    def connection_opened(self) -> None:
        """One more is open."""
        ...

    def connection_closed(self) -> None:
        """One less."""
        ...

    def connection_cut(self, why: str) -> None:
        """We ended one, or refused it: late, idle, unread, displaced or refused."""
        ...


class Connections:
    """Every connection that is open. See `trimtab_sidecar.http.connection.Register`."""

    def __init__(self, bounds: Bounds, counting: Counting, written: Written) -> None:
        self._bounds, self._counting, self._written = bounds, counting, written
        self._open: dict[web.RequestHandler, Connection] = {}
        self._refused: set[Refused] = set()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def middleware(self) -> Middleware:
        """For `web.Application`, around everything else."""

        @web.middleware
        async def followed(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = self._open.get(request.protocol)
            if connection is None:  # it has just given way: whatever is written goes nowhere
                return await handler(request)
            connection.asked()
            try:
                return await handler(request)
            finally:
                connection.answered()

        return followed

    def factory(self, make: Callable[[], web.RequestHandler]) -> Callable[[], asyncio.Protocol]:
        """For `create_server`: protocols in front of those that `make` makes."""

        def made() -> asyncio.Protocol:
            return Connection(self, self._bounds, make())

        return made

    def opened(self, connection: Connection, transport: asyncio.Transport) -> bool:
        """See `Register.opened`."""
        if len(self._open) >= self._bounds.connections and not self._make_room():
            self._refuse(transport)
            return False
        self._open[connection.inner] = connection
        self._counting.connection_opened()
        return True

    def closed(self, connection: Connection) -> None:
        """See `Register.closed`."""
        if self._open.pop(connection.inner, None) is not None:
            self._counting.connection_closed()

    def cut(self, why: str) -> None:
        """See `Register.cut`."""
        self._counting.connection_cut(why)

    def told(self, why: str) -> bytes:
        """See `Register.told`."""
        late = "it took too long to arrive" if why == "late" else "others wait for its connection"
        return self._written(UsageError("This request is refused", late, "Send a whole request at once"), 408)

    async def close(self) -> None:
        """End all that are left, whatever they have not taken yet."""
        for one in list(self._open.values()):
            one.abort()
        for other in list(self._refused):
            other.abort()
        await asyncio.sleep(0)  # until they have heard of it

    def _make_room(self) -> bool:
        """End the one that was answered longest ago, else the one that has been asking for too long; False: neither."""
        now = asyncio.get_running_loop().time()
        waiting = [one for one in self._open.values() if one.waits_since(now) is not None]
        if not waiting:
            return False
        found = min(waiting, key=lambda one: (one.stage is not Stage.IDLE, one.since))
        found.end("displaced")
        self.closed(found)
        return True

    def _refuse(self, transport: asyncio.Transport) -> None:
        self._counting.connection_cut("refused")
        why = f"{self._bounds.connections} are open, and none can give way"
        transport.write(self._written(UnavailableError("This connection is refused", why, "Try again soon"), 503))
        if len(self._refused) >= self._bounds.connections:
            transport.close()
            return
        refused = Refused(transport, self._refused.discard)
        self._refused.add(refused)
        transport.set_protocol(refused)
