"""What a publisher reads: the committed line of each environment, through the functions that agents use too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import psycopg

from trimtab.model.errors import DeniedError, NotMigrated, TrimtabError, UnavailableError
from trimtab.model.links import Position
from trimtab_store.deadlines import Deadline
from trimtab_store.kept import KeptConnection

PAGE_BYTES = 4 * 1024 * 1024
_RIGHTS: Final = """
    SELECT current_user::text,
           EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = 'environments' AND relnamespace = schema.oid),
           EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'trimtab_relay'
                   AND has_schema_privilege(pg_roles.oid, schema.oid, 'USAGE'))
    FROM pg_catalog.pg_namespace AS schema WHERE nspname = 'trimtab'
"""
"""What anybody may ask: who we are, whether the tables are there, and whether relays have their rights yet."""


@dataclass(frozen=True, slots=True)
class StoreHead:
    """The newest committed link of a line, as a server told it. A replica (`is_replica`) may lag behind the truth."""

    position: Position
    hash: bytes
    store_revision: int
    is_replica: bool


class Source(Protocol):
    """The committed truth.

    Order: what one call shows, each later call to the same primary shows too. Idempotence: reading changes nothing.
    Errors: `UnavailableError` when it cannot answer before the deadline, `NotMigrated` when it never will.
    """

    def environments(self, deadline: Deadline) -> Sequence[str]:
        """The names of all environments, sorted."""
        ...

    def head(self, environment: str, deadline: Deadline) -> StoreHead | None:
        """The newest link of a line; None for an environment that does not exist."""
        ...

    def changes(
        self, environment: str, after: Position, deadline: Deadline, at_most: int = PAGE_BYTES
    ) -> Sequence[bytes]:
        """A page of messages strictly after a position, in order; from the newest epoch's first if that is a later one.

        A page has `at_most` bytes, but at least one message; an empty page means that there are no more.
        """
        ...

    def statement(self, environment: str, deadline: Deadline) -> bytes | None:
        """The newest signed snapshot's statement; None if there is none yet."""
        ...

    def chunk(self, environment: str, position: Position, number: int, deadline: Deadline) -> bytes | None:
        """A chunk of the snapshot at a position; None if it is gone."""
        ...


class PostgresSource:
    """A `Source` over one kept connection, opened at first need. Threads take turns."""

    def __init__(self, database_url: str) -> None:
        self._kept = KeptConnection(database_url)

    def environments(self, deadline: Deadline) -> list[str]:
        """The names of all environments, sorted. Raises `DeniedError` where this login may not read them."""
        try:
            rows = self._kept.rows('SELECT name FROM trimtab.environments ORDER BY name COLLATE "C"', (), deadline)
        except UnavailableError as error:
            if isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                raise self._denied(error, deadline) from error
            raise
        return [row[0] for row in rows]

    def head(self, environment: str, deadline: Deadline) -> StoreHead | None:
        """See `Source`."""
        query = "SELECT epoch, revision, hash, store_revision, is_replica FROM trimtab.trimtab_head_v1(%s)"
        rows = self._kept.rows(query, (environment,), deadline)
        if not rows or rows[0][0] is None:
            return None
        epoch, revision, digest, store_revision, is_replica = rows[0]
        return StoreHead(Position(epoch, revision), bytes(digest), store_revision, is_replica)

    def changes(self, environment: str, after: Position, deadline: Deadline, at_most: int = PAGE_BYTES) -> list[bytes]:
        """See `Source`."""
        query = "SELECT message FROM trimtab.trimtab_changes_v1(%s, %s, %s, %s) ORDER BY epoch, revision"
        rows = self._kept.rows(query, (environment, after.epoch, after.revision, at_most), deadline)
        return [bytes(row[0]) for row in rows]

    def statement(self, environment: str, deadline: Deadline) -> bytes | None:
        """See `Source`."""
        rows = self._kept.rows("SELECT trimtab.trimtab_snapshot_v1(%s)", (environment,), deadline)
        return rows[0][0].encode() if rows and rows[0][0] is not None else None

    def chunk(self, environment: str, position: Position, number: int, deadline: Deadline) -> bytes | None:
        """See `Source`."""
        query = "SELECT trimtab.trimtab_snapshot_chunk_v1(%s, %s, %s, %s)"
        rows = self._kept.rows(query, (environment, position.epoch, position.revision, number), deadline)
        return bytes(rows[0][0]) if rows and rows[0][0] is not None else None

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._kept.close()

    def _denied(self, error: UnavailableError, deadline: Deadline) -> TrimtabError:
        """Why a login may not read: rights come with the schema, so first of all because there is none yet."""
        rows = self._kept.rows(_RIGHTS, (), deadline)
        user, has_tables, has_rights = rows[0] if rows else ("", False, False)
        if not has_tables:
            return NotMigrated("This database is not migrated", error.why, "Run: trimtab migrate")
        if not has_rights:
            older = "trimtab_relay has no rights in it yet"
            return NotMigrated("The database is older than this trimtab", older, "Run: trimtab migrate")
        return DeniedError(f"{user} may not be a relay here", error.why, f"Run: GRANT trimtab_relay TO {user}")
