"""The guard: what every request passes, before and after whoever answers it.

Only GET and HEAD; a Host of this machine (a page in a browser can make its own name resolve to 127.0.0.1, but not lie
about it); bounded sizes (numbers: `connections`); every error is a problem; a reader that does not read is cut off.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from trimtab.model.errors import DeniedError, NotFoundError, TrimtabError, UsageError
from trimtab_sidecar import logs
from trimtab_sidecar.http import answers
from trimtab_sidecar.node import Node

MAX_TARGET: Final = 8 * 1024
"""Bytes of a path with its query."""
MAX_HEADERS: Final = 16 * 1024
WRITE_SECONDS: Final = 10.0
"""How long a reader may take to accept an answer."""
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

Counted = Callable[[str, int], None]


class Guard:
    """A middleware around everything."""

    def __init__(self, node: Node, counted: Counted) -> None:
        """`counted` is told of every answer: which kind of request, and its status."""
        self._node = node
        self.counted = counted

    @property
    def middleware(self) -> Middleware:
        """For `web.Application`."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guarded(request, handler)

        return guarded

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await self._answer(request, handler)
        self.counted(_kind(request), answer.status)
        if answer.prepared:
            return answer  # a stream, which is over
        for name, told in answers.about(self._node).items():
            answer.headers.setdefault(name, told)
        return await self._send(request, answer)

    def written(self, error: TrimtabError, status: int) -> bytes:
        """A problem as bytes, for a connection without a request; it closes after this."""
        self.counted("connection", status)
        return answers.written(answers.problem(error, "", status=status), answers.about(self._node))

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = request.match_info.get("path", "")
        try:
            refused = self._refused(request)
            return refused or await handler(request)
        except TrimtabError as error:
            return answers.problem(error, asked)
        except web.HTTPMethodNotAllowed:
            return _only_reads(request)
        except web.HTTPNotFound:
            there = "There are /v1/values/PATH, /v1/view, /v1/changes, /v1/status, /healthz, /readyz and /metrics"
            return answers.problem(NotFoundError("There is no such resource", "", there), asked, status=404)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on being answered
            logs.LOGGER.exception("request_failed", kind=_kind(request))
            failed = TrimtabError("The request failed", type(error).__name__, "See the sidecar's log")
            return answers.problem(failed, asked, status=500)

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.method not in {hdrs.METH_GET, hdrs.METH_HEAD}:
            return _only_reads(request)
        if len(request.path_qs) > MAX_TARGET or request.can_read_body:
            why = "it has a body" if request.can_read_body else f"it has more than {MAX_TARGET} bytes"
            refused = UsageError("This request is refused", why, "Ask for less at once")
            return answers.problem(refused, "", status=413 if request.can_read_body else 414)
        if sum(len(name) + len(value) for name, value in request.raw_headers) > MAX_HEADERS:
            why = f"its headers have more than {MAX_HEADERS} bytes"
            return answers.problem(UsageError("This request is refused", why, "Send fewer"), "", status=431)
        if not _is_local(request):
            foreign = DeniedError(
                "This request is refused",
                "its Host is not this machine, so a web page may have sent it",
                "Ask for http://127.0.0.1:PORT or http://localhost:PORT",
            )
            return answers.problem(foreign, "", status=421)
        return None

    async def _send(self, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await answer.prepare(request)
                await answer.write_eof()  # which waits while more is on its way than the transport's 64 KiB
        except TimeoutError:
            logs.LOGGER.warning("slow_reader_cut_off", kind=_kind(request))
            if request.transport is not None:
                request.transport.abort()
        return answer


def _only_reads(request: web.Request) -> web.Response:
    refused = UsageError(f"{request.method} is refused", "this interface only reads", "Change values with trimtab set")
    answer = answers.problem(refused, "", status=405)
    answer.headers[hdrs.ALLOW] = "GET, HEAD"
    return answer


def _is_local(request: web.Request) -> bool:
    """Whether it came by a unix socket, where no browser can ask, or names this machine as its host."""
    transport = request.transport
    own: socket.socket | None = None if transport is None else transport.get_extra_info("socket")
    if own is not None and own.family is socket.AF_UNIX:
        return True
    host = request.headers.get(hdrs.HOST, "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] if ":" in host else host
    return name in _LOCAL


def _kind(request: web.Request) -> str:
    """The kind of a request: bounded, whatever is asked for."""
    resource = request.match_info.route.resource
    return "other" if resource is None else resource.canonical.partition("{")[0].rstrip("/")
