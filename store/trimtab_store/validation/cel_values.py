"""Values as an expression sees them: numbers by the type that the schema of their document gives them.

JSON has one kind of number, CEL has two and mixes them in no operation. A field whose schema says `integer` is a whole
number, any other number is a double, also where it is written without a fraction; so `doc.max_leverage / 2` means the
same for 3 and for 2.5. An amount that is written as a text, where the schema permits a number as well, is a double,
too: rules compare, they do not keep books. Where no schema is known every number is a double.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, overload

from trimtab import categories
from trimtab.model import documents, paths
from trimtab.model.canonical import Json
from trimtab_store.validation.json_schema import CompiledSchema, compile_schema
from trimtab_store.validation.json_schema_nodes import Node, inside

_is_amount: Final = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?").fullmatch


def typed(value: Json, document: str, schemas: Mapping[str, str]) -> Json:
    """What stands at a canonical path, its numbers by their types. `schemas`: pattern → text of users' schemas."""
    found = _schema(document, schemas)
    if found is None:
        return in_doubles(value)
    compiled, steps = found
    return _typed(value, compiled.graph.reaching(steps))


@overload
def in_doubles(value: dict[str, Json]) -> dict[str, Json]: ...
@overload
def in_doubles(value: Json) -> Json: ...
def in_doubles(value: Json) -> Json:
    """A value with every number a double."""
    if isinstance(value, dict):
        return {name: in_doubles(one) for name, one in value.items()}
    if isinstance(value, list):
        return [in_doubles(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _typed(value: Json, nodes: list[Node]) -> Json:
    if isinstance(value, dict):
        return {name: _typed(one, inside(nodes, name)) for name, one in value.items()}
    if isinstance(value, list):
        return [_typed(one, inside(nodes, at)) for at, one in enumerate(value)]
    if isinstance(value, bool) or value is None:
        return value
    types = {name for node in nodes for name in _types(node)}
    if isinstance(value, str):
        return float(value) if "number" in types and _is_amount(value) else value
    return value if "integer" in types and "number" not in types else float(value)


def _types(node: Node) -> Sequence[str]:
    said = node.schema.get("type")
    return [said] if isinstance(said, str) else [one for one in said or () if isinstance(one, str)]  # type: ignore[union-attr]


def _schema(path: str, schemas: Mapping[str, str]) -> tuple[CompiledSchema, tuple[str, ...]] | None:
    """The schema of the document that holds a path, and the way in it."""
    segments = paths.parse(path)
    for pattern, text in schemas.items():
        shape = documents.shape_of(pattern)
        if len(shape) <= len(segments) and all(one in {None, two} for one, two in zip(shape, segments, strict=False)):
            return compile_schema(text), segments[len(shape) :]
    document = documents.document_of(path)
    kind = documents.KNOWN.type_of(document)
    return None if kind is None else (_of_kind(kind), segments[len(paths.parse(document)) :])


@lru_cache(maxsize=64)
def _of_kind(kind: str) -> CompiledSchema:
    return compile_schema(json.dumps(categories.json_schema(kind)))
