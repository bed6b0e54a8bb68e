"""What became of a commit: finding it by its idempotency key, and settling one whose answer never came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from trimtab.model.errors import IdempotencyMismatch, OutcomeUnknown, TrimtabError, UnavailableError
from trimtab_store.database import Connection, Database, abandon
from trimtab_store.editing import Request
from trimtab_store.writer import Committed

SETTLE_MS: Final = 15_000
"""How long a lost commit may still hold the lock before we give up asking."""

_BY_KEY: Final = """
    SELECT v.request_hash, v.environment, v.epoch, v.revision, v.committed_at, l.hash, v.version_id
      FROM trimtab.configuration_versions AS v
      JOIN trimtab.links AS l ON l.environment = v.environment AND l.epoch = v.epoch AND l.revision = v.revision
     WHERE v.idempotency_key = %s
"""


def find(connection: Connection, request: Request) -> Committed | None:
    """The commit that the idempotency key made; raises `IdempotencyMismatch` if that asked for something else."""
    row = connection.cursor(binary=True).execute(_BY_KEY, (request.idempotency_key,)).fetchone()
    if row is None:
        return None
    if bytes(row[0]) != request.hash:
        raise IdempotencyMismatch(
            f"The idempotency key {request.idempotency_key!r} is taken",
            f"revision {row[3]} used it for other edits",
            "Use a new key for a new edit",
        )
    return _committed(connection, row)


def _committed(connection: Connection, row: Sequence[Any]) -> Committed:
    _, environment, epoch, revision, committed_at, digest, version = row
    touched = connection.execute(
        "SELECT DISTINCT path FROM trimtab.configuration_items WHERE version_id = %s ORDER BY path",
        (version,),
    ).fetchall()
    reached = connection.execute(
        "SELECT environment FROM trimtab.links WHERE revision = %s ORDER BY environment", (revision,)
    ).fetchall()
    return Committed(
        environment=environment,
        epoch=epoch,
        revision=revision,
        hash=bytes(digest),
        paths=tuple(path for (path,) in touched),
        environments=tuple(name for (name,) in reached),
        committed_at=committed_at,
        replayed=True,
    )


def unchanged(connection: Connection, environment: str) -> Committed:
    """What an edit that changes nothing gives back: the environment's newest revision."""
    row = (
        connection.cursor(binary=True)
        .execute(
            "SELECT h.epoch, h.revision, h.hash, v.committed_at FROM trimtab.line_heads AS h"
            " JOIN trimtab.configuration_versions AS v USING (revision) WHERE h.environment = %s",
            (environment,),
        )
        .fetchone()
    )
    assert row is not None, "an environment begins with a link"
    return Committed(
        environment=environment,
        epoch=row[0],
        revision=row[1],
        hash=bytes(row[2]),
        paths=(),
        environments=(),
        committed_at=row[3],
        created=False,
    )


def settle(database: Database, request: Request, lost: TrimtabError) -> Committed:
    """Find out what became of a COMMIT whose answer never came.

    With an idempotency key: wait for the lock of the store, which the lost transaction holds until it has ended, then
    look for the key. Raises `UnavailableError` if nothing was committed, `OutcomeUnknown` if that cannot be found out.
    """
    if request.idempotency_key is None:
        raise OutcomeUnknown(
            "Whether this edit is committed is unknown",
            f"COMMIT was sent and its answer never came ({lost.why or lost.what})",
            "Look at the history before you repeat it; with an idempotency key it could be repeated safely",
        ) from lost
    try:
        found = database.read(lambda connection: _after_lock(connection, request))
    except UnavailableError as error:
        raise OutcomeUnknown(
            "Whether this edit is committed is unknown",
            f"COMMIT was sent, its answer never came, and the store cannot be asked ({error.why or error.what})",
            "Repeat it with the same idempotency key: it is committed once at most",
        ) from error
    if found is None:
        raise UnavailableError(
            "Nothing was committed", f"the connection broke before the end ({lost.why or lost.what})", "Try again"
        ) from lost
    return found


def _after_lock(connection: Connection, request: Request) -> Committed | None:
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT trimtab.trimtab_lock_v1(ARRAY[]::text[], %s, %s)", (SETTLE_MS, SETTLE_MS))
        return find(connection, request)
    finally:
        abandon(connection)
