"""Signed snapshots: made by the writer's side after a commit, outside the lock, where they are due.

Due are the first link of a line in its epoch, every change of structure or epoch, and a line whose changes since the
last snapshot have grown beyond a quarter of it (and beyond `LEAST_BYTES`, so that small environments are not signed
at every commit). What fails is tried again at the next commit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from trimtab.model import snapshots
from trimtab.model.errors import TrimtabError, UnavailableError
from trimtab.model.links import Message, Position
from trimtab.model.snapshots import CHUNK_BYTES, Snapshot
from trimtab.model.statements import SigningKey
from trimtab_store import reading
from trimtab_store.database import Connection, Database
from trimtab_store.operations import EVERYTHING

LEAST_BYTES: Final = 64 * 1024
SHARE: Final = 4
_LEAST_STEP: Final = LEAST_BYTES // 8
"""A writer lets this much grow before it asks again, however little room is left."""
KEPT: Final = 2
_log = logging.getLogger("trimtab.store")

# Changes of structure and epoch cannot be applied from their edits, so a snapshot older than one of them is of no use.
_STANDING: Final = """
    SELECT h.environment,
           s.length,
           coalesce((SELECT sum(octet_length(c.change))
                       FROM trimtab.links AS l
                       JOIN trimtab.configuration_versions AS v USING (revision)
                       JOIN trimtab.changes AS c USING (version_id)
                      WHERE l.environment = h.environment AND l.epoch = h.epoch AND l.revision > s.revision),
                      0)::bigint,
           EXISTS (SELECT
                     FROM trimtab.links AS l
                     JOIN trimtab.configuration_versions AS v USING (revision)
                    WHERE l.environment = h.environment AND l.epoch = h.epoch AND l.revision > s.revision
                      AND v.kind IN ('structure', 'epoch'))
      FROM trimtab.line_heads AS h
      LEFT JOIN LATERAL (
               SELECT n.epoch, n.revision, n.length FROM trimtab.snapshots AS n
                WHERE n.environment = h.environment AND n.epoch = h.epoch
                ORDER BY n.revision DESC LIMIT 1) AS s ON true
     WHERE h.environment = ANY(%s::text[])
"""

# Newest first through the index of urgent versions. A change of an environment that the line inherits from has a link
# on the line too.
NEWEST_URGENT: Final = """
    SELECT v.revision
      FROM trimtab.configuration_versions AS v
     WHERE v.urgent AND v.epoch = %(epoch)s AND v.revision <= %(revision)s
       AND EXISTS (SELECT FROM trimtab.links AS l
                    WHERE l.environment = %(environment)s AND l.epoch = v.epoch AND l.revision = v.revision)
     ORDER BY v.revision DESC
     LIMIT 1
"""


@dataclass(slots=True)
class _Standing:
    """What this process knows of one line: bytes that it may still grow before a snapshot is due."""

    room: int = 0


@dataclass(slots=True)
class Snapshots:
    """Makes the snapshots of one store. Threads may share it."""

    database: Database
    key: SigningKey
    _known: dict[str, _Standing] = field(default_factory=dict[str, _Standing])
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def after(self, messages: Sequence[Message], *, anew: bool) -> None:
        """Look after the lines of a commit, one of structure or epoch if `anew`. Never raises for a server."""
        asked: list[str] = []
        with self._turn:
            for message in messages:
                name = message.link.environment
                standing = self._known.setdefault(name, _Standing())
                standing.room -= len(message.change)
                if anew or message.link.is_first or standing.room <= 0:
                    asked.append(name)
            if asked:
                try:
                    self.renew(asked)
                except TrimtabError as error:
                    _log.warning("no snapshot was made, it is tried again at the next commit: %s", error)

    def renew(self, environments: Iterable[str]) -> tuple[str, ...]:
        """Make what is due among these environments; the names of those that were made."""
        names = list(environments)
        rows = self.database.read(lambda connection: connection.execute(_STANDING, (names,)).fetchall())
        made: list[str] = []
        for name, length, grown, outdated in rows:
            room = -1 if length is None or outdated else max(LEAST_BYTES, length // SHARE) - grown
            if room <= 0:
                self.make(name)
                made.append(name)
                room = LEAST_BYTES
            # Others write too: ask again after half of the room, not only when all of it is used up by us.
            self._known[name] = _Standing(max(_LEAST_STEP, room // 2))
        return tuple(made)

    def make(self, environment: str) -> Position:
        """Sign the newest state of a line and keep it; raises `UnavailableError` if what is held does not add up."""
        snapshot = self.database.snapshot(lambda connection: newest(connection, environment))
        text = snapshots.encode(snapshot)
        statement = snapshots.sign(snapshot, text, self.key)
        chunks = [text[start : start + CHUNK_BYTES] for start in range(0, len(text), CHUNK_BYTES)]
        place = (environment, snapshot.position.epoch, snapshot.position.revision)
        with self.database.connection() as connection, connection.transaction():
            kept = connection.execute(
                "INSERT INTO trimtab.snapshots (environment, epoch, revision, length, chunks, statement)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING true",
                (*place, len(text), len(chunks), statement.encode().decode()),
            ).fetchone()
            if kept is not None:
                with connection.cursor() as cursor:
                    cursor.executemany(
                        "INSERT INTO trimtab.snapshot_chunks (environment, epoch, revision, n, chunk)"
                        " VALUES (%s, %s, %s, %s, %s)",
                        [(*place, number, chunk) for number, chunk in enumerate(chunks)],
                    )
                connection.execute("SELECT trimtab.trimtab_prune_snapshots_v1(%s, %s)", (environment, KEPT))
        return snapshot.position


def newest(connection: Connection, environment: str) -> Snapshot:
    """The newest state of a line, proven against the checksum of its head."""
    lineage = reading.forest(connection).lineage(environment)
    row = (
        connection.cursor(binary=True)
        .execute(
            "SELECT epoch, revision, hash, checksum FROM trimtab.line_heads WHERE environment = %s", (environment,)
        )
        .fetchone()
    )
    assert row is not None, "an environment begins with a link"
    state = reading.state_of(lineage, reading.items(connection, lineage.environments, (EVERYTHING,)))
    if state.checksum != bytes(row[3]):
        raise UnavailableError(
            f"No snapshot of {environment} was made",
            f"the items in Postgres do not add up to the checksum of revision {row[1]}",
            "Somebody changed the tables by hand: restore a backup",
        )
    position = Position(row[0], row[1])
    return Snapshot(environment, position, bytes(row[2]), state, _newest_urgent(connection, environment, position))


def _newest_urgent(connection: Connection, environment: str, position: Position) -> int:
    """The revision of the newest urgent change on a line in the epoch of a position, up to it; 0 if there is none."""
    row = connection.execute(
        NEWEST_URGENT, {"environment": environment, "epoch": position.epoch, "revision": position.revision}
    ).fetchone()
    return 0 if row is None else int(row[0])
