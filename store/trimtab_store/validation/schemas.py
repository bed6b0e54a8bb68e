"""Registered schemas: the documents `schema.<name>`, and what is wrong with one itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from trimtab.model import documents, paths
from trimtab.model.canonical import Json
from trimtab.model.documents import Shape
from trimtab.model.errors import PathError
from trimtab.model.problems import Problem
from trimtab_store.evolution import steps
from trimtab_store.evolution.steps import UpgradeRefused
from trimtab_store.validation.json_schema import CompiledSchema, compile_schema
from trimtab_store.validation.json_schema_faults import SchemaRefused

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
    """What is wrong with the document of a schema beyond its fields: a pattern, a text or an upgrade that is none."""
    pattern, text = (value.get("documents"), value.get("text")) if isinstance(value, dict) else (None, None)
    if isinstance(pattern, str) and (fault := _pattern_fault(paths.child(path, "documents"), pattern)) is not None:
        yield fault
    if isinstance(text, str):
        try:
            compile_schema(text)
        except SchemaRefused as error:
            yield from error.at(paths.child(path, "text"))
    upgrades = value.get("upgrades") if isinstance(value, dict) else None
    try:
        steps.read(upgrades if isinstance(upgrades, list) else ())
    except UpgradeRefused as error:
        why = f"{error.what}: {error.why}"
        yield Problem(path=paths.child(path, "upgrades"), rule="upgrades", why=why, remedy=error.remedy)


def _pattern_fault(path: str, pattern: str) -> Problem | None:
    try:
        shape = documents.shape_of(pattern)
    except PathError as error:
        return Problem(path=path, rule="pattern", why=f"{error.what}: {error.why}", remedy=error.remedy, value=pattern)
    if shape[0] in OURS:
        why = f"the shape of {shape[0]} documents is fixed"
        return Problem(path=path, rule="pattern", why=why, remedy="Name documents of your own", value=pattern)
    return None
