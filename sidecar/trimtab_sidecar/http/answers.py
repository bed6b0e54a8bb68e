"""Answers: JSON in canonical bytes, problems (RFC 9457), and what every answer says about what is served."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from trimtab.model import canonical
from trimtab.model.canonical import Json
from trimtab.model.errors import (
    ConflictError,
    DeniedError,
    NotFoundError,
    TrimtabError,
    UnavailableError,
    UsageError,
    ValidationError,
)
from trimtab.model.links import Position
from trimtab_sidecar.node import Node

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
_STATUSES: Final = (
    (UsageError, 400),
    (ValidationError, 400),
    (NotFoundError, 404),
    (ConflictError, 409),
    (DeniedError, 403),
    (UnavailableError, 503),
)


def about(node: Node) -> CIMultiDict[str]:
    """The headers of every answer: which revision this is, and how far to trust it."""
    staleness = node.staleness_seconds
    return CIMultiDict(
        {
            "Trimtab-Environment": node.environment,
            **of_position(node.position),
            **of_overrides(node),
            "Trimtab-Status": node.status.value,
            "Trimtab-Staleness-Seconds": f"{staleness:.3f}" if math.isfinite(staleness) else "Infinity",
            "X-Content-Type-Options": "nosniff",
        }
    )


def of_position(position: Position) -> dict[str, str]:
    """The headers that name a revision."""
    return {"Trimtab-Epoch": str(position.epoch), "Trimtab-Revision": str(position.revision)}


def of_overrides(node: Node) -> dict[str, str]:
    """The header that names what this node overrides at a revision; none where nothing is."""
    return {"Trimtab-Overrides": node.overlaid.variant} if node.overlaid.variant else {}


def json(value: Json, *, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=canonical.encode(value), status=status, content_type=JSON)


def written(answer: web.Response, headers: Mapping[str, str]) -> bytes:
    """An answer as bytes, after which the connection closes, for who has not asked."""
    body = answer.body
    assert isinstance(body, bytes)
    told = {**headers, "Content-Type": answer.content_type, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {text}" for name, text in told.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def problem(error: TrimtabError, path: str, *, status: int = 0) -> web.Response:
    """What was refused, by which rule, and what to do; `path` is what was asked about."""
    chosen = status or next((number for kind, number in _STATUSES if isinstance(error, kind)), 500)
    told: Json = {
        "type": f"urn:trimtab:problem:{error.code}",
        "title": error.what,
        "status": chosen,
        "detail": error.why,
        "path": path,
        "rule": error.code,
        "remedy": error.remedy,
    }
    return web.Response(body=canonical.encode(told), status=chosen, content_type=PROBLEM)
