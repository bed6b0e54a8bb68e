"""The fields of the built-in categories, as their JSON Schemas have them: where they sit, and what JSON they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeAlias, cast

from trimtab import categories
from trimtab.model import paths
from trimtab.model.documents import KNOWN

Types: TypeAlias = "frozenset[str]"
"""Words of JSON Schema: string, number, integer, boolean, null, array."""
Segments: TypeAlias = "tuple[str, ...]"

ANY: Final[Types] = frozenset()
"""Whatever YAML would make of a text."""
_DEEPEST: Final = 12
_CHOICES: Final = ("anyOf", "oneOf", "allOf")


@cache
def fields_of(kind: str) -> Mapping[Segments, Types]:
    """The leaves of a type of document, by their segments below it; none for a type that is not built in."""
    if kind not in categories.MODELS:
        return {}
    schema = cast("dict[str, Any]", categories.json_schema(kind))
    return dict(_leaves(schema, schema.get("$defs", {}), ()))


def _leaves(schema: dict[str, Any], defined: dict[str, Any], at: Segments) -> Iterator[tuple[Segments, Types]]:
    if len(at) > _DEEPEST:
        return
    branches = list(_branches(schema, defined))
    types = frozenset(word for branch in branches for word in _types(branch)) - {"object"}
    if at and types - {"null"}:
        yield at, types
    for branch in branches:
        for name, below in branch.get("properties", {}).items():
            yield from _leaves(below, defined, (*at, name))


def _branches(schema: dict[str, Any], defined: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema itself, less choices and references, for which what they stand for is given."""
    if "$ref" in schema:
        yield from _branches(defined.get(str(schema["$ref"]).rpartition("/")[2], {}), defined)
        return
    chosen = [one for word in _CHOICES for one in schema.get(word, [])]
    for one in chosen:
        yield from _branches(one, defined)
    if not chosen or "properties" in schema:
        yield schema


def _types(branch: dict[str, Any]) -> list[str]:
    if isinstance(said := branch.get("type"), str):
        return [said]
    if isinstance(said, list):
        return [str(word) for word in cast("list[object]", said)]
    listed: list[object] = [*branch.get("enum", []), *([branch["const"]] if "const" in branch else [])]
    return [type_of(one) for one in listed]


def types_at(path: str) -> Types:
    """What the built-in field at a canonical path takes; `ANY` where there is none."""
    document = KNOWN.of(path)
    kind = KNOWN.type_of(document)
    return ANY if kind is None else fields_of(kind).get(paths.parse(path)[len(paths.parse(document)) :], ANY)


def type_of(value: object) -> str:
    """The word of JSON Schema for a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"
