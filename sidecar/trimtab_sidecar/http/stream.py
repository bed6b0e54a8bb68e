"""The stream of changes: server-sent events (WHATWG HTML), resumable by their ids.

    event: start        once at the beginning of a stream that resumes nothing: what comes is newer than this
    event: change       one or more paths have other values now: {"changes": [{"path", "old", "new"}, …], …}
    event: reload       read the state again: {"reason": …}
    : heartbeat         a comment, with the id that a resume may use

Ids are `<epoch>-<revision>`, with a third part where this node overrides something. `Last-Event-ID`, or `after=` where
a client cannot set it, resumes after one; `after=` may leave the third part out. Several revisions may come as one
change: state is guaranteed, events are not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Final, Protocol

from aiohttp import hdrs, web

from trimtab.model import canonical, patterns
from trimtab.model.canonical import Json
from trimtab.model.errors import UnavailableError, UsageError
from trimtab.model.links import Position
from trimtab.model.patterns import Pattern
from trimtab_sidecar import logs
from trimtab_sidecar.http import answers, asking, guard
from trimtab_sidecar.http.health import not_ready
from trimtab_sidecar.node import Node
from trimtab_sidecar.telling import News, Reload, Telling, Told

MAX_STREAMS: Final = 128
MAX_CHANGES: Final = 1_000
"""Paths in one event; more are a reload."""
MAX_EVENT_BYTES: Final = 256 * 1024
HEARTBEAT_SECONDS: Final = 10.0
_POSITION: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})(?:-([0-9a-f]{16}))?")


class Counting(Protocol):
    """What is counted about streams."""

    def stream_opened(self) -> None:
        """One more is open."""
        ...

    def stream_closed(self, *, slow: bool) -> None:
        """One less; `slow`: because nobody read it."""
        ...


class Streams:
    """Every stream that is open."""

    def __init__(self, node: Node, counting: Counting) -> None:
        self._node = node
        self._counting = counting
        self._telling = Telling(node)
        self._open = 0
        self._ending = False

    def end(self) -> None:
        """End them all, soon; whoever was connected may resume elsewhere."""
        self._ending = True
        self._node.ring()

    async def changes(self, request: web.Request) -> web.StreamResponse:
        """`/v1/changes?pattern=risk.**`."""
        asking.parameters(request, "pattern", "after")
        identity = asking.identity(request, self._node.identity)
        pattern = patterns.parse(request.query.get("pattern", "**"))
        after = _after(request)
        if not self._node.has_data or self._ending:
            raise not_ready(self._node)
        if self._open >= MAX_STREAMS:
            raise UnavailableError("This stream is refused", f"{MAX_STREAMS} are open", "Close one, or try again soon")
        headers = {**answers.about(self._node), hdrs.CONTENT_TYPE: "text/event-stream", hdrs.CACHE_CONTROL: "no-store"}
        stream = web.StreamResponse(headers=headers)
        if request.method == hdrs.METH_HEAD:
            return stream
        self._open += 1
        self._counting.stream_opened()
        slow = True
        try:
            await stream.prepare(request)
            await self._feed(stream, identity, pattern, after)
            slow = False
        except TimeoutError:
            logs.LOGGER.warning("slow_stream_cut_off")
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            slow = False  # gone
        except asyncio.CancelledError:
            slow = False
            raise
        finally:
            self._open -= 1
            self._counting.stream_closed(slow=slow)
        return stream

    async def _feed(
        self, stream: web.StreamResponse, identity: Mapping[str, str], pattern: Pattern, after: Told | None
    ) -> None:
        """Write what is new whenever something is, until the end; raises `TimeoutError` for who does not read."""
        node = self._node
        told, variant = after or (node.position, node.overlaid.variant)
        if after is None:
            await _write(stream, _event("start", told, node.overlaid.variant, {}))
        while not self._ending:
            news = node.news
            if told == node.position and variant in {None, node.overlaid.variant}:
                variant = node.overlaid.variant
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await news.wait()
                except TimeoutError:
                    await _write(stream, f": heartbeat\nid: {_id(told, variant)}\n\n".encode())
                continue
            found = await self._telling.since(identity, (told, variant))
            told, variant = found.position, found.variant
            event = _written(found, pattern)
            if event:
                await _write(stream, event)


def _written(found: News | Reload, pattern: Pattern) -> bytes:
    """The event of what is new; empty where the pattern is about none of it."""
    if isinstance(found, Reload):
        return _event("reload", found.position, found.variant, {"reason": found.reason})
    changes = found.matching(pattern)
    if not changes:
        return b""
    several: dict[str, Json] = {"changes": changes}
    event = _event("change", found.position, found.variant, several) if len(changes) <= MAX_CHANGES else b""
    if not event or len(event) > MAX_EVENT_BYTES:
        return _event("reload", found.position, found.variant, {"reason": "too much changed at once"})
    return event


def _event(kind: str, position: Position, variant: str, fields: dict[str, Json]) -> bytes:
    told: Json = {"epoch": position.epoch, "revision": position.revision, **fields}
    name = _id(position, variant).encode()
    return b"event: %s\nid: %s\ndata: %s\n\n" % (kind.encode(), name, canonical.encode(told))


def _id(position: Position, variant: str) -> str:
    return f"{position}-{variant}" if variant else str(position)


async def _write(stream: web.StreamResponse, content: bytes) -> None:
    async with asyncio.timeout(guard.WRITE_SECONDS):
        await stream.write(content)


def _after(request: web.Request) -> Told | None:
    """What to resume after; an empty one is none. Raises `UsageError` for what is no id of ours."""
    last = request.headers.get("Last-Event-ID")
    text = last or request.query.get("after", "")
    if not text:
        return None
    match = _POSITION.fullmatch(text)
    if match is None:
        raise UsageError(
            f"The id {text[:80]!r} is refused", "an id is EPOCH-REVISION", "Use one of this stream, or none"
        )
    return Position(int(match[1]), int(match[2])), match[3] or ("" if last else None)
