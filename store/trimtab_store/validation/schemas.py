"""Registered schemas: the documents `schema.<name>`, and what is wrong with one itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from trimtab.model import documents, paths
from trimtab.model.canonical import Json
from trimtab.model.documents import Shape
from trimtab.model.errors import PathError, nearest
from trimtab.model.problems import Problem
from trimtab_store.validation.json_schema import CompiledSchema, compile_schema
from trimtab_store.validation.json_schema_faults import SchemaRefused

FIELDS: Final = ("description", "documents", "text", "upgrades", "version")
REQUIRED: Final = ("documents", "text", "version")
OURS: Final = frozenset({"meta", "rule", "schema"})
"""Categories whose documents Trimtab alone says the shape of."""


@dataclass(frozen=True)
class Schema:
    """A schema that is registered for the documents of a pattern."""

    name: str
    documents: str
    version: int
    text: str

    @cached_property
    def shape(self) -> Shape:
        """The segments of the pattern."""
        return documents.shape_of(self.documents)

    @property
    def compiled(self) -> CompiledSchema:
        """What checks documents."""
        return compile_schema(self.text)

    @property
    def scope(self) -> str:
        """The path at and below which all its documents stand."""
        return prefix(self.shape)

    def covers(self, segments: tuple[str, ...]) -> bool:
        """Whether it is for the document at a path."""
        shape = self.shape
        return len(shape) == len(segments) and all(
            one in {None, segment} for one, segment in zip(shape, segments, strict=True)
        )


def prefix(shape: Shape) -> str:
    """The path below which everything stands that a shape covers."""
    known: list[str] = []
    for segment in shape:
        if segment is None:
            break
        known.append(segment)
    return paths.join(known)


def schema_of(name: str, value: Json) -> Schema | None:
    """The schema that a document stands for; None where `faults` would find any."""
    if not isinstance(value, dict):
        return None
    pattern, version, text = (value.get(field) for field in ("documents", "version", "text"))
    if not isinstance(pattern, str) or not isinstance(text, str) or isinstance(version, bool):
        return None
    if not isinstance(version, int) or _pattern_fault("", pattern) is not None:
        return None
    try:
        compile_schema(text)
    except SchemaRefused:
        return None
    return Schema(name, pattern, version, text)


def faults(value: Json, path: str) -> Iterator[Problem]:
    """Everything that is wrong with the document of a schema itself."""
    if not isinstance(value, dict):
        yield Problem(path=path, rule="type", why="a schema is an object", remedy="Use trimtab schema put")
        return
    for field in sorted(value.keys() - set(FIELDS)):
        remedy = nearest(field, FIELDS) or f"Known are {', '.join(FIELDS)}"
        yield Problem(
            path=paths.child(path, field), rule="unknown-field", why="a schema has no such field", remedy=remedy
        )
    for field in REQUIRED:
        if field not in value:
            yield Problem(path=paths.child(path, field), rule="required", why="it is missing", remedy=_REMEDIES[field])
    for field, judge in (("documents", _documents), ("version", _version), ("text", _text), ("description", _words)):
        if field in value:
            yield from judge(paths.child(path, field), value[field])
    if not isinstance(value.get("upgrades", []), list):
        yield Problem(path=paths.child(path, "upgrades"), rule="type", why="upgrades are a list of steps")


_REMEDIES: Final = {
    "documents": "Name a pattern such as strategy_params.*",
    "text": "Pass the JSON Schema as a string",
    "version": "Begin with 1",
}


def _documents(path: str, value: Json) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem(path=path, rule="type", why="it is no pattern", remedy=_REMEDIES["documents"])
    elif (fault := _pattern_fault(path, value)) is not None:
        yield fault


def _pattern_fault(path: str, pattern: str) -> Problem | None:
    try:
        shape = documents.shape_of(pattern)
    except PathError as error:
        return Problem(path=path, rule="pattern", why=f"{error.what}: {error.why}", remedy=error.remedy, value=pattern)
    if shape[0] in OURS:
        why = f"the shape of {shape[0]} documents is fixed"
        return Problem(path=path, rule="pattern", why=why, remedy="Name documents of your own", value=pattern)
    return None


def _version(path: str, value: Json) -> Iterator[Problem]:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        why = "a version is a whole number, 1 or more"
        yield Problem(path=path, rule="range", why=why, remedy=_REMEDIES["version"], value=str(value)[:80])


def _text(path: str, value: Json) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem(path=path, rule="type", why="it is no string", remedy=_REMEDIES["text"])
        return
    try:
        compile_schema(value)
    except SchemaRefused as error:
        yield from error.at(path)


def _words(path: str, value: Json) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem(path=path, rule="type", why="it is no text", remedy="Write it in quotes")
