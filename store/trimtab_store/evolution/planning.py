"""The plan of an upgrade: for every environment what it does to its own items, and what would be wrong afterwards.

Environments are upgraded one after the other, those that inherit first: the stamp of a parent, which is the last to
rise, says that the whole line is written for the new version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trimtab.model import paths
from trimtab.model.errors import PathNotFound, nearest
from trimtab.model.items import LeafEdit
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab.model.states import State
from trimtab.model.structure import Forest
from trimtab.model.trees import HIDDEN
from trimtab_store import reading
from trimtab_store.database import Connection
from trimtab_store.drafts import Draft
from trimtab_store.evolution import builtin, steps
from trimtab_store.evolution.operations import Rewrite, Stamp
from trimtab_store.evolution.versions import Schemas, Versioned, owns, stamp_of, stamp_path
from trimtab_store.operations import EVERYTHING
from trimtab_store.registry_reading import problems


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What one environment does: its documents with the version that each had, and what comes of them."""

    environment: str
    documents: Mapping[str, int]
    operations: tuple[Rewrite | Stamp, ...]
    edits: tuple[LeafEdit, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """Everything that is to be done for one schema, in this order; nothing where every document is up to date."""

    schema: str
    version: int
    upgrades: tuple[Upgrade, ...]


def plan(connection: Connection, name: str) -> Planned:
    """Work out the upgrade of every document of a schema. Call it within one state of the database.

    Raises `PathNotFound` for a schema that nobody knows, `UpgradeRefused` for a step that cannot be taken, and
    `DocumentsRefused` if a document would not fit its schema afterwards.
    """
    forest = reading.forest(connection)
    items = reading.items(connection, forest.parents, (EVERYTHING,))
    lines = {one: reading.state_of(forest.lineage(one), items) for one in forest.parents}
    schemas = {one: Schemas.of(state) for one, state in lines.items()}
    known = {one: schema for one in lines if (schema := _schema(schemas[one], name)) is not None}
    if not known:
        registered = {path for state in lines.values() for path in _names(state)}
        raise PathNotFound(f"There is no schema {name!r}", "", nearest(name, registered) or "See `trimtab schema list`")
    found = [
        upgrade
        for one in sorted(known, key=lambda one: (-len(forest.lineage(one).environments), one))
        if (upgrade := _upgrade(lines[one], schemas[one], known[one])) is not None
    ]
    refused = [one for name, schema in sorted(known.items()) for one in _afterwards(forest, lines[name], schema, found)]
    if refused:
        raise DocumentsRefused(refused, "This upgrade is refused: documents would not fit their schema afterwards")
    return Planned(name, max(one.version for one in known.values()), tuple(found))


def _schema(schemas: Schemas, name: str) -> Versioned | None:
    found = schemas[name]
    if found is None and name in builtin.UPGRADES:
        return Versioned(name, builtin.version_of(name))
    return found


def _upgrade(state: State, schemas: Schemas, schema: Versioned) -> Upgrade | None:
    """What an environment does to its own items; None if they are up to date."""
    environment = state.lineage.environment
    taken = steps.read(schema.upgrades)
    documents: dict[str, int] = {}
    operations: list[Rewrite | Stamp] = []
    for document in sorted(_documents(state, environment, schemas, schema.name)):
        old = stamp_of(state, environment, document, schema)
        if old < schema.version:
            first = not any(owns(state, one, document) for one in state.lineage.environments[:-1])
            stamped = state.content(environment, "", stamp_path(document))
            operations.append(Rewrite(document, schema, taken, old, first))
            operations.append(Stamp(document, schema.version, stamped))
            documents[document] = old
    if not operations:
        return None
    draft = Draft(environment, state, state)
    for operation in operations:
        operation.apply(draft)
    return Upgrade(environment, documents, tuple(operations), draft.edits())


def _documents(state: State, environment: str, schemas: Schemas, name: str) -> Iterator[str]:
    """The documents of a schema of which an environment itself holds something, each once."""
    held = {item.path for item in state.items(environment)}
    for document in set(map(schemas.documents.of, held)):
        if schemas.covers(name, document) and owns(state, environment, document):
            yield document


def _afterwards(forest: Forest, state: State, schema: Versioned, done: list[Upgrade]) -> Iterator[Problem]:
    """What would be wrong in one line once every environment of it is upgraded."""
    lineage = forest.lineage(state.lineage.environment).environments
    touched: set[str] = set()
    for one in done:
        if one.environment in lineage:
            state = state.apply(one.environment, one.edits)
            touched.update(one.documents)
    for document in sorted(touched):
        yield from problems(state, document, schema.name if schema.registered else None)


def _names(state: State) -> Iterator[str]:
    """The schemas that a line registers in any layer."""
    for item in state.items():
        segments = paths.parse(item.path)
        if segments[0] == "schema" and len(segments) > 1 and item.content != HIDDEN:
            yield segments[1]
