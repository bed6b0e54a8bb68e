"""The labels that agents report to Postgres: whoever is declared nowhere is warned of at least."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Final, cast

import orjson

from trimtab.model import layers
from trimtab.model.errors import LayerError
from trimtab_store import wire
from trimtab_store.wire import Row

REPORTED: Final = (
    b"SELECT DISTINCT environment, (report -> 'labels')::text FROM trimtab.agent_reports WHERE environment = ANY($1)"
)


def label_sets(rows: Iterable[Row]) -> dict[str, list[dict[str, str]]]:
    """The label sets that agents of each environment reported, from the rows of `REPORTED`."""
    found: dict[str, list[dict[str, str]]] = {}
    for environment, claimed in rows:
        if claimed is not None and isinstance(said := orjson.loads(claimed), dict):
            identity = _identity(cast("dict[str, object]", said))
            found.setdefault(wire.read_text(environment), []).append(identity)
    return found


def _identity(claimed: Mapping[str, object]) -> dict[str, str]:
    """The identity labels in a report, less what is none: agents write these, and no report may stop a commit."""
    found: dict[str, str] = {}
    for dimension, label in claimed.items():
        if isinstance(label, str):
            with contextlib.suppress(LayerError):
                found.update(layers.check_identity({dimension: label}))
    return found
