"""Proving a store: every hash chain from its beginning, every signature, every checksum, the audit.

Used after a restore and by whoever doubts the tables. The cost grows with all of history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from trimtab.model import changes, links
from trimtab.model.errors import TrimtabError, UnavailableError
from trimtab.model.items import add_checksums
from trimtab.model.links import Link, Message
from trimtab.model.statements import Trust
from trimtab_store import reading
from trimtab_store.database import Connection
from trimtab_store.operations import EVERYTHING

AUDIT_GENESIS: Final = hashlib.sha256(b"trimtab audit").digest()
_LINKS: Final = """
    SELECT l.environment, l.epoch, l.revision, l.previous_revision, l.previous_hash, l.hash, l.checksum, l.key_id,
           l.signature, l.header, c.change
      FROM trimtab.links AS l
      JOIN trimtab.configuration_versions AS v USING (revision)
      JOIN trimtab.changes AS c USING (version_id)
     ORDER BY l.environment, l.epoch, l.revision
"""

_SPANS: Final = """
    SELECT (SELECT count(*) FROM trimtab.configuration_versions JOIN trimtab.changes USING (version_id)),
           (SELECT coalesce(sum(newest - oldest + 1), 0)
              FROM (SELECT min(revision) AS oldest, max(revision) AS newest
                      FROM trimtab.configuration_versions GROUP BY epoch) AS spans),
           (SELECT coalesce(max(revision), 0) FROM trimtab.configuration_versions),
           (SELECT revision FROM trimtab.store_head)
"""
_VERSIONS: Final = """
    SELECT v.revision, v.environment, v.kind, v.author, v.reason, v.urgent, c.change,
           i.layers, i.paths, i.operations, i.contents
      FROM trimtab.configuration_versions AS v
      JOIN trimtab.changes AS c USING (version_id)
     CROSS JOIN LATERAL (
            SELECT array_agg(layer) AS layers, array_agg(path) AS paths, array_agg(operation) AS operations,
                   array_agg(content) AS contents
              FROM trimtab.configuration_items AS one WHERE one.version_id = v.version_id) AS i
     ORDER BY v.revision
"""
_AUDIT: Final = """
    SELECT id, record, previous_hash, hash, actor, action, environment, revision
      FROM trimtab.configuration_audit ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proven: how many links of how many lines, and how many audit rows (0 where they may not be read)."""

    lines: int
    links: int
    audited: int


def prove(connection: Connection, trust: Trust | None = None, *, audit: bool = True) -> Proof:
    """Check everything; raises `UnavailableError` naming the first thing that does not hold."""
    count = _prove_links(connection, trust)
    forest = reading.forest(connection)
    for name in forest.parents:
        _prove_line(connection, name)
    _prove_versions(connection)
    return Proof(len(forest.parents), count, _prove_audit(connection) if audit else 0)


def _prove_links(connection: Connection, trust: Trust | None) -> int:
    before: Link | None = None
    count = 0
    for link, header, change in _links(connection):
        count += 1
        continues = before is not None and (before.environment, before.epoch) == (link.environment, link.epoch)
        expected_hash = before.hash if continues and before else links.genesis(link.environment, link.epoch)
        expected_revision = before.revision if continues and before else 0
        if (link.previous_hash, link.previous_revision) != (expected_hash, expected_revision):
            raise _broken(f"the link {link.environment} {link.position} does not follow the one before")
        if links.chain(link.previous_hash, change) != link.hash or header != link.header():
            raise _broken(f"the change of {link.environment} {link.position} does not hash to its link")
        changes.decode(change)
        if trust is not None:
            try:
                links.verify(Message(link, change), trust, link.environment)
            except TrimtabError as error:
                raise _broken(f"{link.environment} {link.position}: {error.why}") from error
        before = link
    return count


def _links(connection: Connection) -> Iterator[tuple[Link, bytes, bytes]]:
    with connection.transaction(), connection.cursor("links", binary=True) as cursor:
        cursor.execute(_LINKS)
        row: Sequence[Any]
        for row in cursor:
            link = Link(
                environment=row[0],
                epoch=row[1],
                revision=row[2],
                previous_revision=row[3],
                previous_hash=bytes(row[4]),
                hash=bytes(row[5]),
                checksum=bytes(row[6]),
                key_id=row[7],
                signature=bytes(row[8]),
            )
            yield link, bytes(row[9]), bytes(row[10])


def _prove_line(connection: Connection, environment: str) -> None:
    """The head's checksum equals a rebuild, both from the current items and from history."""
    lineage = reading.forest(connection).lineage(environment)
    current = reading.state_of(lineage, reading.items(connection, lineage.environments, (EVERYTHING,)))
    head = reading.head(connection).revision
    replayed = reading.state_of(lineage, reading.items_at(connection, lineage.environments, (EVERYTHING,), head))
    row = (
        connection.cursor(binary=True)
        .execute("SELECT checksum FROM trimtab.line_heads WHERE environment = %s", (environment,))
        .fetchone()
    )
    said = bytes(row[0]) if row else add_checksums(bytes(32))
    if current.checksum != said or replayed.checksum != said:
        raise _broken(f"the items of {environment} do not add up to the checksum of its head")


def _prove_versions(connection: Connection) -> None:
    """Revisions are dense, and what versions and items say is what the change says whose bytes are hashed."""
    row = connection.execute(_SPANS).fetchone()
    assert row is not None, "aggregates have a row"
    count, spanned, newest, head = row
    if count != spanned or newest != head:
        raise _broken(f"{count} versions stand for {spanned} revisions up to {newest}, the head is {head}")
    with connection.transaction(), connection.cursor("versions", binary=True) as cursor:
        cursor.execute(_VERSIONS)
        for revision, environment, kind, author, reason, urgent, body, layers, paths, operations, contents in cursor:
            change = changes.decode(bytes(body))
            said = (None if change.kind == "epoch" else change.environment, change.kind, change.author, change.reason)
            if said != (environment, kind, author, reason) or change.urgent != urgent:
                raise _broken(f"version {revision} says something else than its change")
            rows = zip(layers or (), paths or (), operations or (), contents or (), strict=True)
            held = {(layer, path): (operation, content) for layer, path, operation, content in rows}
            if held != {(edit.layer, edit.path): (edit.operation, edit.content) for edit in change.edits}:
                raise _broken(f"the items of version {revision} are not those of its change")


def _prove_audit(connection: Connection) -> int:
    before, count = AUDIT_GENESIS, 0
    with connection.transaction(), connection.cursor("audit", binary=True) as cursor:
        cursor.execute(_AUDIT)
        for number, record, previous, digest, *told in cursor:
            count += 1
            if number != count or bytes(previous) != before or hashlib.sha256(before + record).digest() != digest:
                raise _broken(f"the audit row {number} does not follow the one before")
            said = orjson.loads(record)
            if told != [said["actor"], said["action"], said["environment"], said.get("revision")]:
                raise _broken(f"the audit row {number} says something else than its record")
            before = bytes(digest)
    row = connection.execute(
        "SELECT (SELECT count(*) FROM trimtab.configuration_audit WHERE revision IS NOT NULL),"
        " (SELECT count(*) FROM trimtab.configuration_versions),"
        " (SELECT encode(audit_hash, 'hex') FROM trimtab.store_head)"
    ).fetchone()
    assert row is not None, "aggregates have a row"
    if row[0] != row[1] or row[2] != before.hex():
        raise _broken(f"{row[0]} revisions are audited, {row[1]} were committed")
    return count


def _broken(why: str) -> UnavailableError:
    return UnavailableError("This store does not hold together", why, "Restore a backup, and find out who wrote to it")
