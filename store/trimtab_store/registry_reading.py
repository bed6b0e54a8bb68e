"""What the registry is read from: a whole line, the history of one document, and what is wrong with it today."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from trimtab import categories
from trimtab.model import documents, labels, paths, resolution
from trimtab.model.canonical import Json
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab.model.resolution import Absent
from trimtab.model.states import State
from trimtab.model.values import thaw
from trimtab_store import checking, reading
from trimtab_store.database import Connection
from trimtab_store.operations import EVERYTHING
from trimtab_store.registry import Entry, Registry
from trimtab_store.validation.inspection import Inspector
from trimtab_store.validation.json_schema import compile_schema

_CHANGED: Final = """
    SELECT DISTINCT r.path
      FROM trimtab.item_revisions AS r
      JOIN trimtab.configuration_versions AS v USING (revision)
     WHERE r.environment = ANY(%s) AND v.committed_at >= %s
"""
_TIMES: Final = """
    SELECT min(v.committed_at), max(v.committed_at)
      FROM trimtab.item_revisions AS r
      JOIN trimtab.configuration_versions AS v USING (revision)
     WHERE r.environment = ANY(%s) AND (r.path = %s OR r.path > %s AND r.path < %s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Everything about one document. What is derived stands here; what somebody entered is in `entry.metadata`.

    `schema` is the name of the registered schema that it is written for. `created_at` and `updated_at` are those of the
    first and the newest revision that touched it in its line; `last_validated` is when it or its schema was last
    committed, for no commit leaves out what it touches. `problems` are found now.
    """

    entry: Entry
    schema: str | None
    created_at: datetime | None
    updated_at: datetime | None
    last_validated: datetime | None
    dependents: tuple[str, ...]
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Json]:
        """All of it for programs."""
        found: list[Json] = [one.to_dict() for one in self.problems]
        return {
            **self.entry.to_dict(),
            "schema": self.schema,
            "created_at": _time(self.created_at),
            "updated_at": _time(self.updated_at),
            "last_validated": _time(self.last_validated),
            "dependents": list(self.dependents),
            "validation_errors": found,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What documents are asked for: `fields` as `Registry.find` takes them, and what no metadata say.

    `changed_since` is when a document, or what it inherits, was changed at the earliest; `invalid` wants those with
    which something is wrong today, rules across documents included.
    """

    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    changed_since: datetime | None = None
    invalid: bool = False


def find(connection: Connection, environment: str, asked: Asked, inspector: Inspector) -> tuple[Entry, ...]:
    """The documents of an environment that fit all of it, by path. Call it within one state of the database."""
    state = reading.line(connection, environment, (EVERYTHING,))
    known = Registry(state)
    found = known.find(**asked.fields)
    if asked.changed_since is not None:
        rows = connection.execute(_CHANGED, (list(state.lineage.environments), asked.changed_since)).fetchall()
        found = _those(found, known.documents_of(row[0] for row in rows))
    if asked.invalid:
        problems = _wrong(connection, environment, inspector)
        found = _those(found, known.documents_of(one.path for one in problems))
    return found


def _those(found: Iterable[Entry], wanted: AbstractSet[str]) -> tuple[Entry, ...]:
    return tuple(one for one in found if one.path in wanted)


def _wrong(connection: Connection, environment: str, inspector: Inspector) -> tuple[Problem, ...]:
    try:
        checking.check_stored(connection, environment, inspector)
    except DocumentsRefused as error:
        return tuple(one for one in error.problems if one.severity == "refuse" and one.path)
    return ()


def registry(connection: Connection, environment: str) -> Registry:
    """The registry of an environment, now. Call it within one state of the database."""
    return Registry(reading.line(connection, environment, (EVERYTHING,)))


def show(connection: Connection, environment: str, path: str) -> Shown:
    """One document; raises `PathNotFound`. Call it within one state of the database."""
    state = reading.line(connection, environment, (EVERYTHING,))
    found = Registry(state)
    entry = found.entry(path)
    lineage = state.lineage.environments
    schema = found.schemas.of_document(entry.path)
    name = schema.name if schema is not None and schema.registered else None
    created, updated = _times(connection, lineage, entry.path)
    changed = None if name is None else _times(connection, lineage, paths.child("schema", name))[1]
    return Shown(
        entry=entry,
        schema=name,
        created_at=created,
        updated_at=updated,
        last_validated=max((one for one in (updated, changed) if one is not None), default=None),
        dependents=found.dependents(entry.path),
        problems=tuple(problems(state, entry.path, name)),
    )


def problems(state: State, path: str, schema: str | None) -> Iterator[Problem]:
    """What is wrong with a document by itself, for a reader without labels and for every declared bot."""
    text = None if schema is None else resolution.resolve_at(state, {}, paths.join(("schema", schema, "text")))
    kind = documents.KNOWN.type_of(path)
    readers: list[Mapping[str, str]] = [{}]
    readers += [labels.effective(state, {"bot": bot}) for bot in labels.declared_bots(state)]
    seen: list[Json] = []
    for reader in readers:
        value = resolution.resolve_at(state, reader, path)
        plain = None if isinstance(value, Absent) else thaw(value)
        if isinstance(value, Absent) or plain in seen:
            continue
        seen.append(plain)
        found = [] if kind is None else [*categories.check(kind, plain, path)]
        found += compile_schema(text).check(plain, path) if isinstance(text, str) else []
        for one in found:
            yield replace(one, environment=state.lineage.environment, labels=reader)


def _times(connection: Connection, lineage: tuple[str, ...], path: str) -> tuple[datetime | None, datetime | None]:
    row = connection.execute(_TIMES, (list(lineage), path, f"{path}.", f"{path}/")).fetchone()
    assert row is not None, "aggregates have a row"
    return row[0], row[1]


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
