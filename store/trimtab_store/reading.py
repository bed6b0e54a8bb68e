"""What the writer's side reads of the store: its head, its environments, and items now or at a revision.

Every function takes a connection; whoever calls decides in which transaction. Scopes are canonical paths that lie
below no other one; reading a scope means the items at it, below it and at its ancestors. The cost is in what is
found, not in what is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from psycopg import errors
from psycopg.pq import TransactionStatus

from trimtab.model import paths, states
from trimtab.model.errors import RevisionNotFound, UsageError
from trimtab.model.items import Item
from trimtab.model.links import Position
from trimtab.model.states import State
from trimtab.model.structure import Forest, Lineage
from trimtab.model.trees import HIDDEN
from trimtab_store import wire
from trimtab_store.database import Connection
from trimtab_store.operations import EVERYTHING
from trimtab_store.reported import REPORTED, label_sets
from trimtab_store.wire import Row, Statement

_HEAD: Final = "SELECT epoch, revision, structure_revision FROM trimtab.store_head"
_NEAR: Final = (
    b"SELECT epoch, revision, structure_revision, read_at, environment, hash, checksum, layer, path, content"
    b" FROM trimtab.trimtab_near_v1($1, $2, $3, $4)"
)
_AROUND: Final = b"SELECT environment, layer, path, content FROM trimtab.trimtab_around_v1($1, $2, $3)"
_ALL: Final = b"SELECT environment, layer, path, content FROM trimtab.configuration_current WHERE environment = ANY($1)"
_AT: Final = """
    SELECT DISTINCT ON (r.environment, r.path, r.layer) r.environment, r.layer, r.path, i.operation, i.content
      FROM trimtab.item_revisions AS r
      JOIN trimtab.configuration_items AS i USING (version_id, path, layer)
     WHERE r.environment = ANY(%s::text[]) AND r.revision <= %s
       AND (r.path = ANY(%s::text[])
            OR EXISTS (SELECT FROM unnest(%s::text[]) AS s (path)
                        WHERE r.path > s.path || '.' AND r.path < s.path || '/'))
     ORDER BY r.environment, r.path, r.layer, r.revision DESC
"""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the store stands: its position, and the revision that last changed its structure."""

    epoch: int
    revision: int
    structure_revision: int


@dataclass(frozen=True, slots=True)
class LineHead:
    """The newest link of a line."""

    epoch: int
    revision: int
    hash: bytes
    checksum: bytes


@dataclass(frozen=True, slots=True)
class Near:
    """What a plan reads; the lines' heads and the server's time of reading where they were read with it.

    `reported` are the label sets that agents of each environment reported.
    """

    head: Head
    items: list[Item]
    heads: Mapping[str, LineHead] = field(default_factory=dict[str, LineHead])
    read_at: datetime | None = None
    reported: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict[str, Sequence[Mapping[str, str]]])


@dataclass(frozen=True, slots=True)
class Moment:
    """A revision that a reader asked for, and when it was committed (None for the empty store)."""

    position: Position
    committed_at: datetime | None

    @property
    def revision(self) -> int:
        """Its number."""
        return self.position.revision


def head(connection: Connection) -> Head:
    """The head, in one row."""
    row = connection.execute(_HEAD).fetchone()
    assert row is not None, "a migrated store has a head"
    return Head(*row)


def forest(connection: Connection) -> Forest:
    """The environments as they are."""
    return _forest(connection.execute("SELECT name, parent, dimensions FROM trimtab.environments").fetchall())


def forest_at(connection: Connection, revision: int) -> Forest:
    """The environments as they were at a revision."""
    return _forest(
        connection.execute(
            "SELECT DISTINCT ON (environment) environment, parent, dimensions FROM trimtab.environment_revisions"
            " WHERE revision <= %s ORDER BY environment, revision DESC",
            (revision,),
        ).fetchall()
    )


def moment(connection: Connection, as_of: int | datetime | None) -> Moment:
    """The revision that a number, a time with its zone, or nothing (the head) names; raises `RevisionNotFound`."""
    now = head(connection)
    if as_of is None:
        as_of = now.revision
    if isinstance(as_of, datetime):
        return _at_time(connection, as_of, now)
    if as_of == 0:
        return Moment(Position(now.epoch, 0), None)
    row = connection.execute(
        "SELECT epoch, revision, committed_at FROM trimtab.configuration_versions WHERE revision = %s", (as_of,)
    ).fetchone()
    if row is None:
        why = f"the newest is {now.revision}" if as_of > now.revision else "no epoch of this store has used that number"
        raise RevisionNotFound(f"There is no revision {as_of}", why, "See `trimtab history`")
    return Moment(Position(row[0], row[1]), row[2])


def _at_time(connection: Connection, time: datetime, now: Head) -> Moment:
    if time.tzinfo is None:
        raise UsageError(f"The time {time.isoformat()} is refused", "it names no zone", "Write 2026-01-05T14:03:07Z")
    row = connection.execute(
        "SELECT epoch, revision, committed_at FROM trimtab.configuration_versions"
        " WHERE committed_at <= %s ORDER BY committed_at DESC, revision DESC LIMIT 1",
        (time,),
    ).fetchone()
    return Moment(Position(row[0], row[1]), row[2]) if row else Moment(Position(now.epoch, 0), None)


def items(connection: Connection, environments: Iterable[str], scopes: Sequence[str]) -> list[Item]:
    """The newest items of some environments around the scopes."""
    return _read_items(wire.exchange(connection, [_items_statement(environments, scopes)])[0])


def near(
    connection: Connection,
    environments: Sequence[str],
    scopes: Sequence[str],
    reached: Sequence[str],
    *,
    reports: bool = False,
) -> Near:
    """The head and the items around the scopes, in one round trip; the heads of the lines reached with them.

    All of it is one state of the store, but where everything is read: there the items may be newer than the head. With
    `reports` come the label sets that agents of the lines reported.
    """
    if EVERYTHING in scopes:
        asked = [Statement(_HEAD.encode()), _items_statement(environments, scopes)]
        ((first,), rows), reported = _exchange(connection, asked, reached if reports else ())
        return Near(Head(*map(wire.read_int, first)), _read_items(rows), reported=reported)
    parameters = (wire.texts(environments), wire.texts(scopes), wire.texts(_above(scopes)), wire.texts(reached))
    ((first, *rows),), reported = _exchange(connection, [Statement(_NEAR, parameters)], reached if reports else ())
    return Near(
        head=Head(*map(wire.read_int, first[:3])),
        items=_read_items((row[4], *row[7:]) for row in rows if row[8] is not None),
        heads={wire.read_text(row[4]): line_head((*row[:2], *row[5:7])) for row in rows if row[8] is None},
        read_at=wire.read_time(first[3]),
        reported=reported,
    )


def _exchange(
    connection: Connection, asked: list[Statement], reporting: Sequence[str]
) -> tuple[list[list[Row]], dict[str, list[dict[str, str]]]]:
    """What statements answer, and the label sets that agents of some environments reported."""
    if not reporting:
        return wire.exchange(connection, asked), {}
    try:
        *found, reported = wire.exchange(connection, [*asked, Statement(REPORTED, (wire.texts(reporting),))])
    except (errors.UndefinedTable, errors.InsufficientPrivilege):
        if connection.info.transaction_status != TransactionStatus.IDLE:
            raise
        return wire.exchange(connection, asked), {}  # reports can only warn: no commit waits for them to be readable
    return found, label_sets(reported)


def line_head(row: Row) -> LineHead:
    """The head of a line from its epoch, revision, hash and checksum."""
    epoch, revision, digest, checksum = row
    return LineHead(wire.read_int(epoch), wire.read_int(revision), wire.read_blob(digest), wire.read_blob(checksum))


def _above(scopes: Iterable[str]) -> list[str]:
    return sorted({above for scope in scopes for above in paths.parents(scope)})


def _items_statement(environments: Iterable[str], scopes: Sequence[str]) -> Statement:
    names = wire.texts(list(environments))
    if EVERYTHING in scopes:
        return Statement(_ALL, (names,))
    return Statement(_AROUND, (names, wire.texts(scopes), wire.texts(_above(scopes))))


def _read_items(rows: Iterable[Row]) -> list[Item]:
    text = wire.read_text
    return [
        Item(text(environment), text(layer), text(path), HIDDEN if content is None else content)
        for environment, layer, path, content in rows
    ]


def items_of(rows: Iterable[Sequence[Any]]) -> Iterator[Item]:
    """The items of such rows: environment, layer, path and content."""
    for environment, layer, path, content in rows:
        yield Item(environment, layer, path, HIDDEN if content is None else content)


def items_at(connection: Connection, environments: Iterable[str], scopes: Sequence[str], revision: int) -> list[Item]:
    """The items of some environments around the scopes, as they were at a revision."""
    names = list(environments)
    cursor = connection.cursor(binary=True)
    if EVERYTHING in scopes:
        found: list[Item] = []
        for name in names:
            cursor.execute(
                "SELECT %s::text, layer, path, content FROM trimtab.trimtab_items_at_v1(%s, %s)", (name, name, revision)
            )
            found += items_of(cursor.fetchall())
        return found
    exact = sorted({*scopes, *(above for scope in scopes for above in paths.parents(scope))})
    cursor.execute(_AT, (names, revision, exact, list(scopes)))
    kept = ((row[0], row[1], row[2], row[4]) for row in cursor.fetchall() if row[3] != "remove")
    return list(items_of(kept))


def state_of(lineage: Lineage, found: Iterable[Item]) -> State:
    """The part of a line that these items make; those of other environments are left out."""
    names = set(lineage.environments)
    return states.build(lineage, (item for item in found if item.environment in names))


def part_of(lineage: Lineage, found: Iterable[Item]) -> State:
    """The same to plan with: its checksum is worth nothing, what a change adds to it is right (`states.part`)."""
    names = set(lineage.environments)
    return states.part(lineage, (item for item in found if item.environment in names))


def line(connection: Connection, environment: str, scopes: Sequence[str], at: Moment | None = None) -> State:
    """The part of an environment's line around the scopes, now or at a moment; raises `EnvironmentNotFound`."""
    if at is None:
        lineage = forest(connection).lineage(environment)
        return state_of(lineage, items(connection, lineage.environments, scopes))
    lineage = forest_at(connection, at.revision).lineage(environment)
    return state_of(lineage, items_at(connection, lineage.environments, scopes, at.revision))


def _forest(rows: Iterable[Sequence[Any]]) -> Forest:
    parents: dict[str, str | None] = {}
    dimensions: dict[str, tuple[str, ...]] = {}
    for name, parent, declared in rows:
        parents[name] = parent
        if parent is None:
            dimensions[name] = tuple(declared)
    return Forest(parents, dimensions)
