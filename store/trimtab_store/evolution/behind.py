"""Documents that wait for their upgrade: what a newer schema or type finds wrong with them is told, not refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from trimtab import categories
from trimtab.model.canonical import Json
from trimtab.model.documents import KNOWN
from trimtab.model.problems import Problem
from trimtab.model.states import State
from trimtab_store.evolution import builtin
from trimtab_store.evolution.versions import Schemas, stamp_path


def tempered(found: Sequence[Problem], state: State, document: str, value: Json) -> Sequence[Problem]:
    """The problems of a document of a line; those that only its schema finds are warnings where it is behind.

    The schema of a built-in type is its category; of any other document the category refuses as ever.
    """
    if not found:
        return found
    schemas = Schemas.of(state)
    schema = schemas.of_document(document)
    if schema is None or schemas.version_in(state, document) >= schema.version:
        return found
    kind = KNOWN.type_of(document)
    own = [] if kind is None else categories.check(kind, value, document)
    remedy = f"It waits for `trimtab schema upgrade {schema.name}`"
    told = [replace(one, severity="warn", remedy=remedy) for one in found]
    return [new if (old in own) != schema.registered else old for old, new in zip(found, told, strict=True)]


class Evolving(Protocol):
    """A schema with a version."""

    @property
    def version(self) -> int:
        """The newest one."""
        ...


def scopes(documents: Iterable[str], schemas: Iterable[Evolving]) -> list[str]:
    """Where the versions of documents stand; nowhere that matters while no schema and no type has a second version."""
    if any(schema.version > 1 for schema in schemas):
        return [stamp_path(one) for one in documents]
    if not builtin.UPGRADES:
        return []
    return [stamp_path(one) for one in documents if builtin.version_of(KNOWN.type_of(one)) > 1]
