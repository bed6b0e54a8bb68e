"""Asking: what a request asks for, read strictly: the labels it speaks for, its parameters, and its validators."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from trimtab.model import canonical, layers
from trimtab.model.errors import DeniedError, LayerError, UsageError, nearest
from trimtab.model.links import Position

MAX_LABELS: Final = 16
LABEL: Final = "label"
_INHERITED: Final = ("node", "region")
_ANY: Final = "*"


def parameters(request: web.Request, *known: str) -> None:
    """Refuse a parameter that has no meaning here, or that stands twice; raises `UsageError`."""
    for name in request.query:
        if name not in {LABEL, *known}:
            said = nearest(name, {LABEL, *known}) or f"There are: {', '.join((LABEL, *known))}"
            raise UsageError(f"The parameter {name!r} is refused", "it has no meaning here", said)
        if name != LABEL and len(request.query.getall(name)) > 1:
            raise UsageError(f"The parameter {name} is refused", "it stands twice", "Leave one out")


def identity(request: web.Request, own: Mapping[str, str]) -> dict[str, str]:
    """The identity labels that a request speaks for: the sidecar's own, and what `label=bot=mm-btc` adds.

    Raises `LayerError` for a word that is no label or an attribute label, `DeniedError` for another node or region than
    the sidecar's.
    """
    given = request.query.getall(LABEL, [])
    if len(given) > MAX_LABELS:
        raise UsageError("This request is refused", f"it names more than {MAX_LABELS} labels", "Name fewer")
    found: dict[str, str] = {}
    for word in given:
        dimension, equals, label = word.partition("=")
        if not equals:
            raise LayerError(f"The label {word[:80]!r} is refused", "it is written dimension=label", "label=bot=mm-btc")
        if dimension in found:
            raise LayerError(f"The dimension {dimension[:80]!r} stands twice", "", "Name each dimension once")
        found[dimension] = label
    layers.check_identity(found)
    for dimension in _INHERITED:
        if found.get(dimension, own.get(dimension)) != own.get(dimension, found.get(dimension)):
            raise DeniedError(
                f"The label {dimension}={found[dimension]} is refused",
                f"this sidecar is at {dimension}={own[dimension]}",
                "Leave it out: it is inherited",
            )
    return {**own, **found}


def tag(position: Position, labels: Mapping[str, str], variant: str = "") -> str:
    """The ETag of everything that readers with these labels see at a position, in a variant if there is one."""
    digest = hashlib.sha256(canonical.encode(dict(labels))).hexdigest()[:16]
    return "-".join([str(position.epoch), str(position.revision), digest, *([variant] if variant else [])])


def knows(request: web.Request, current: str) -> bool:
    """Whether `If-None-Match` names the current tag."""
    return any(one.value in {current, _ANY} for one in request.if_none_match or ())
