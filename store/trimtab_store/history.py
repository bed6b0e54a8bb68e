"""History: who changed what, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from trimtab.model import paths
from trimtab.model.canonical import Json, trusted
from trimtab.model.links import Position
from trimtab.model.trees import HIDDEN
from trimtab_store import reading
from trimtab_store.database import Connection, Database

DEFAULT_LIMIT: Final = 50

# What a change says after its edits, where it was forced. That part is short; the edits before it may be many.
_WITH_END: Final = """
      JOIN trimtab.changes AS c ON c.version_id = v.version_id
     CROSS JOIN LATERAL (
           SELECT substring(c.change FROM greatest(1, octet_length(c.change) - 262143)) AS text OFFSET 0) AS tail
"""
_END: Final = "CASE WHEN position('\\x2c22666f726365223a'::bytea IN tail.text) > 0 THEN tail.text END"
_FORCE: Final = b',"force":'
_LINE: Final = f"""
    SELECT v.epoch, v.revision, coalesce(v.environment, ''), v.kind, v.author, v.reason, v.urgent, v.committed_at,
           {_END}, l.hash,
           (SELECT count(*) FROM trimtab.configuration_items AS i WHERE i.version_id = v.version_id)
      FROM trimtab.links AS l
      JOIN trimtab.configuration_versions AS v USING (revision) {_WITH_END}
     WHERE l.environment = %s AND l.revision < %s
     ORDER BY l.epoch DESC, l.revision DESC
     LIMIT %s
"""  # noqa: S608 - of constants
_PATH: Final = f"""
    SELECT v.epoch, v.revision, r.environment, v.kind, v.author, v.reason, v.urgent, v.committed_at,
           {_END}, r.layer, r.path, i.operation, i.content, i.previous_operation, i.previous
      FROM trimtab.item_revisions AS r
      JOIN trimtab.configuration_items AS i USING (version_id, path, layer)
      JOIN trimtab.configuration_versions AS v ON v.revision = r.revision {_WITH_END}
     WHERE r.environment = ANY(%s) AND r.revision < %s
       AND (r.path = ANY(%s) OR r.path > %s AND r.path < %s)
     ORDER BY v.revision DESC, r.layer, r.path
     LIMIT %s
"""  # noqa: S608 - of constants
_AFTER: Final = f"""
    SELECT v.epoch, v.revision, coalesce(v.environment, ''), v.kind, v.author, v.reason, v.urgent, v.committed_at,
           {_END}, i.layer, i.path, i.operation, i.content, i.previous_operation, i.previous, l.hash
      FROM (SELECT revision, hash FROM trimtab.links
             WHERE environment = %s AND revision > %s ORDER BY revision LIMIT %s) AS l
      JOIN trimtab.configuration_versions AS v USING (revision) {_WITH_END}
      LEFT JOIN trimtab.configuration_items AS i ON i.version_id = v.version_id
     ORDER BY v.revision, i.layer, i.path
"""  # noqa: S608 - of constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One revision of a line. `environment` is the edited one (empty for an epoch), `items` how many it changed.

    `force` is why guards were passed over, None if they were not.
    """

    position: Position
    environment: str
    kind: str
    author: str
    reason: str
    urgent: bool
    committed_at: datetime
    hash: bytes
    items: int
    force: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathEntry:
    """What one revision did to one item.

    `old` and `new` are canonical bytes, `HIDDEN` for a tombstone, None for absent.
    """

    position: Position
    environment: str
    kind: str
    author: str
    reason: str
    urgent: bool
    committed_at: datetime
    layer: str
    path: str
    old: bytes | None
    new: bytes | None
    force: str | None = None


def value_of(content: bytes | None) -> Json:
    """A content for people and programs: its value, None where there is none."""
    return trusted(content) if content else None


@dataclass(frozen=True, slots=True)
class History:
    """Reads the history of one store."""

    database: Database

    def environment(
        self, environment: str, *, limit: int = DEFAULT_LIMIT, before: int | None = None
    ) -> tuple[Entry, ...]:
        """The revisions of an environment's line, the newest first, inherited changes included."""

        def work(connection: Connection) -> tuple[Entry, ...]:
            reading.forest(connection).lineage(environment)
            cursor = connection.cursor(binary=True).execute(_LINE, (environment, before or 2**62, limit))
            return tuple(_entry(row) for row in cursor.fetchall())

        return self.database.snapshot(work)

    def path(
        self, path: str, environment: str, *, limit: int = DEFAULT_LIMIT, before: int | None = None
    ) -> tuple[PathEntry, ...]:
        """What revisions did at, below and above a path, in the environment and what it inherits from."""
        wanted = paths.canonical(path)

        def work(connection: Connection) -> tuple[PathEntry, ...]:
            names = list(reading.forest(connection).lineage(environment).environments)
            exact = [wanted, *paths.parents(wanted)]
            cursor = connection.cursor(binary=True)
            cursor.execute(_PATH, (names, before or 2**62, exact, f"{wanted}.", f"{wanted}/", limit))
            return tuple(_path_entry(row) for row in cursor.fetchall())

        return self.database.snapshot(work)

    def after(self, environment: str, revision: int, *, limit: int = DEFAULT_LIMIT) -> tuple[Entry | PathEntry, ...]:
        """What the next `limit` revisions of a line after `revision` did, the oldest first.

        One `PathEntry` for each item, and an `Entry` for a revision that changed none.
        """

        def work(connection: Connection) -> tuple[Entry | PathEntry, ...]:
            reading.forest(connection).lineage(environment)
            rows = connection.cursor(binary=True).execute(_AFTER, (environment, revision, limit)).fetchall()
            return tuple(_entry((*row[:9], row[15], 0)) if row[10] is None else _path_entry(row) for row in rows)

        return self.database.snapshot(work)


def _entry(row: Sequence[Any]) -> Entry:
    return Entry(
        position=Position(row[0], row[1]),
        environment=row[2],
        kind=row[3],
        author=row[4],
        reason=row[5],
        urgent=row[6],
        committed_at=row[7],
        force=_force(row[8]),
        hash=bytes(row[9]),
        items=row[10],
    )


def _path_entry(row: Sequence[Any]) -> PathEntry:
    return PathEntry(
        position=Position(row[0], row[1]),
        environment=row[2],
        kind=row[3],
        author=row[4],
        reason=row[5],
        urgent=row[6],
        committed_at=row[7],
        force=_force(row[8]),
        layer=row[9],
        path=row[10],
        new=_content(row[11], row[12]),
        old=_content(row[13], row[14]),
    )


def _force(tail: bytes | None) -> str | None:
    """What a change says of force, from its end; what stands there within an edit's value is none."""
    if tail is None or (at := tail.rfind(_FORCE)) < 0:
        return None
    try:
        fields = orjson.loads(b"{" + tail[at + 1 :])
    except orjson.JSONDecodeError:  # more is closed there than the change itself
        return None
    return str(fields["force"])


def _content(operation: str | None, content: bytes | None) -> bytes | None:
    if operation == "put" and content is not None:
        return bytes(content)
    return HIDDEN if operation == "hide" else None
