"""An agent that answers over HTTP: the least ASGI application that gives the value at a path as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.peers import content

_VALUES = content.flat(int(os.environ["BENCH_ITEMS"])) if "BENCH_ITEMS" in os.environ else {}
_HEADERS = [(b"content-type", b"application/json")]


async def application(
    scope: dict[str, Any], _receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        return
    name = scope["path"].removeprefix("/")
    body = json.dumps(_VALUES.get(name)).encode()
    status = 200 if name in _VALUES else 404
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*_HEADERS, length]})
    await send({"type": "http.response.body", "body": body})
