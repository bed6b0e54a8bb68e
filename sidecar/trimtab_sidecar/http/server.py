"""The server: which requests there are, and its life on a unix socket and, if asked, a port of the loopback."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from trimtab_sidecar.http import sockets
from trimtab_sidecar.http.connection import Bounds
from trimtab_sidecar.http.connections import Connections, Counting
from trimtab_sidecar.http.guard import MAX_HEADERS, MAX_TARGET, Guard
from trimtab_sidecar.http.malformed import Malformed

_LINE: Final = 2 * MAX_TARGET
"""What the parser takes; above `MAX_TARGET` a request is refused with a problem, above this with a bare 400."""
_NEVER_SECONDS: Final = 365 * 86_400.0
"""When aiohttp ends an idle connection by itself: `connections` does, and knows why."""
_SHUTDOWN_SECONDS: Final = 2.0


class Server:
    """Answers on all its addresses until `close`."""

    def __init__(
        self, guard: Guard, routes: Iterable[tuple[str, Handler]], counting: Counting, bounds: Bounds | None = None
    ) -> None:
        chosen = bounds or Bounds()
        self._connections = Connections(chosen, counting, guard.written)
        app = web.Application(middlewares=[self._connections.middleware, guard.middleware], client_max_size=1)
        for path, handler in routes:
            app.router.add_get(path, handler)
        told = logging.Logger("aiohttp", logging.DEBUG)  # noqa: LOG001 - of this server alone, below no other
        told.addHandler(Malformed(guard.counted))
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=told,
            handle_signals=False,
            handler_cancellation=True,  # a stream ends with its client, not at the next heartbeat
            keepalive_timeout=_NEVER_SECONDS,
            lingering_time=chosen.request_seconds,  # for the rest of a body that nobody wants
            shutdown_timeout=_SHUTDOWN_SECONDS,
            max_line_size=_LINE,
            max_field_size=2 * MAX_HEADERS,
        )
        self._stack = AsyncExitStack()
        self._sockets: list[socket.socket] = []

    @property
    def addresses(self) -> list[str]:
        """Where it answers, with the real port of one that was left to the system."""
        return [_written(one) for one in self._sockets]

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def start(self, addresses: Iterable[str], group: int | None = None) -> None:
        """Answer on every address, or on none: see `sockets.listen` for what is refused."""
        async with AsyncExitStack() as stack:
            for address in addresses:
                made = sockets.listen(address, group)
                stack.callback(sockets.remove, made, address)
                self._sockets.append(made)
            await self._runner.setup()
            stack.push_async_callback(self._connections.close)
            stack.push_async_callback(self._runner.cleanup)
            assert self._runner.server is not None
            factory = self._connections.factory(self._runner.server)
            for made in self._sockets:
                listening = await asyncio.get_running_loop().create_server(factory, sock=made)
                stack.callback(listening.close)
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Accept nothing more, let what is under way end for a moment, and go."""
        await self._stack.aclose()


def _written(made: socket.socket) -> str:
    name = made.getsockname()
    if made.family is socket.AF_UNIX:
        return f"{sockets.UNIX}{name}"
    return f"[{name[0]}]:{name[1]}" if made.family is socket.AF_INET6 else f"{name[0]}:{name[1]}"
