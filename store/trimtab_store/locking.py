"""The lock of the store and what is written before and under it: staging, the next revision, the signed links.

The statements call the functions of `migrations/sql/0001_commit.sql`, which check what they are given.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from trimtab.model.links import Link
from trimtab_store import wire
from trimtab_store.database import Connection
from trimtab_store.planning import Plan
from trimtab_store.reading import LineHead, line_head
from trimtab_store.turns import Locked, Turn, audit_parts, audit_record
from trimtab_store.wire import Parameter, Row, Statement

WAIT_MS: Final = 10_000
"""How long a writer waits for the lock."""
HOLD_MS: Final = 3_000
"""How long the lock may be held; a writer that freezes loses its session, and with it the lock, after this."""
GRACE_SECONDS: Final = 5.0
"""How much longer than the server may take an answer may be on its way."""
EDITS_PER_MS: Final = 10
"""Larger changes may hold the lock a millisecond longer for every so many edits."""
AT_ONCE_EDITS: Final = 64
AT_ONCE_BYTES: Final = 64 * 1024
"""Beyond either, a plan is staged before the lock is taken, not under it."""
TOUCHED_LIMIT: Final = 1_000
"""If others touched more than this nearby since the plan was made, it is made again without looking further."""
_TRANSACTION_TIMEOUT: Final = 170_000  # the server's version that brought it

_STAGE: Final = b"SELECT trimtab.trimtab_stage_v1($1, $2, $3, $4, $5, $6)"
LOCK_COLUMNS: Final = (
    b"SELECT epoch, revision, structure_revision, moved_at,"
    b" environment, head_epoch, head_revision, head_hash, head_checksum"
)
_BEGIN: Final = (
    LOCK_COLUMNS + b", touched_environment, touched_path"
    b" FROM trimtab.trimtab_begin_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
)
_LOCK: Final = LOCK_COLUMNS + b" FROM trimtab.trimtab_lock_v1($1, $2, $3)"
_HEADS: Final = (
    b"SELECT environment, epoch, revision, hash, checksum FROM trimtab.line_heads WHERE environment = ANY($1)"
)
_AT_ONCE: Final = (
    b"SELECT trimtab.trimtab_commit_at_once_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
    b" $16, $17)"
)
_COMMIT: Final = b"SELECT trimtab.trimtab_commit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"


def new_version() -> uuid.UUID:
    """A version id that grows with time, so that new rows stand together in the indexes (UUID version 7)."""
    number = int.from_bytes((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10), "big")
    number = number & ~(0xF << 76) | (0x7 << 76)
    return uuid.UUID(int=number & ~(0x3 << 62) | (0x2 << 62))


def hold_ms(plan: Plan) -> int:
    """How long the server lets this plan hold the lock."""
    return min(60_000, HOLD_MS + len(plan.edits) // EDITS_PER_MS)


def begin(connection: Connection, version: uuid.UUID, plan: Plan) -> list[Row]:
    """BEGIN, stage the bulky rows, take the lock and tell what others touched since: one round trip."""
    parameters = (
        *_staged(version, plan),
        wire.texts(plan.lines),
        wire.texts(plan.read),
        wire.int8(plan.head.revision),
        wire.int4(TOUCHED_LIMIT),
        wire.int4(WAIT_MS),
        wire.int4(hold_ms(plan)),
    )
    return wire.exchange(connection, [Statement(b"BEGIN"), Statement(_BEGIN, parameters)])[1]


def stage(connection: Connection, version: uuid.UUID, plan: Plan) -> dict[str, LineHead]:
    """Write the bulky rows where the lock is held already; the heads of the plan's lines."""
    asked = [Statement(_STAGE, _staged(version, plan)), Statement(_HEADS, (wire.texts(plan.lines),))]
    return {wire.read_text(row[0]): line_head(row[1:]) for row in wire.exchange(connection, asked)[1]}


def take_lock(connection: Connection) -> Locked:
    """Take the lock and the next revision before there is a plan."""
    parameters = (wire.texts(()), wire.int4(WAIT_MS), wire.int4(WAIT_MS))
    return locked_of(wire.exchange(connection, [Statement(_LOCK, parameters)])[0], WAIT_MS)


def locked_of(rows: Sequence[Row], hold: int) -> Locked:
    """What the rows of the lock say; those of what was touched are passed over."""
    first = rows[0]
    return Locked(
        epoch=wire.read_int(first[0]),
        revision=wire.read_int(first[1]),
        structure_revision=wire.read_int(first[2]),
        moved_at=wire.read_time(first[3]),
        heads={
            wire.read_text(row[4]): line_head(row[5:9]) for row in rows if row[0] is not None and row[5] is not None
        },
        until=time.monotonic() + hold / 1000,
    )


def holds(plan: Plan, locked: Locked, rows: Sequence[Row]) -> bool:
    """Whether a plan is still right under the lock: nothing that it read has moved since."""
    if (locked.epoch, locked.structure_revision) != (plan.head.epoch, plan.head.structure_revision):
        return False
    touched = [row[9:11] for row in rows if row[0] is None]
    return len(touched) < TOUCHED_LIMIT and not any(
        name is None or path is None or plan.depends_on(name.decode(), path.decode()) for name, path in touched
    )


def commit(
    connection: Connection, plan: Plan, locked: Locked, version: uuid.UUID, extended: Sequence[Link]
) -> datetime:
    """Write versions, links, current items and audit, and COMMIT, in one round trip; when that was."""
    parameters = _commit_parameters(plan, locked, version, extended)
    return wire.read_time(wire.exchange(connection, [Statement(_COMMIT, parameters), Statement(b"COMMIT")])[0][0][0])


def commit_at_once(
    connection: Connection, plan: Plan, turn: Turn, version: uuid.UUID, extended: Sequence[Link]
) -> datetime | None:
    """The whole commit as one statement, its own transaction; when that was, or None if the turn was not ours."""
    request, (before, after) = plan.request, audit_parts(plan, turn, version)
    assert plan.read_at is not None, "a turn is expected of heads that were read"
    staged = _staged(version, plan)
    parameters = (
        staged[0],
        *staged[2:],
        wire.int8(turn.epoch),
        wire.int8(turn.revision - 1),
        wire.moment(plan.read_at),
        wire.int4(hold_ms(plan)),
        staged[1],
        wire.text(request.kind),
        wire.text(request.author),
        wire.text(request.reason),
        wire.boolean(request.urgent),
        wire.blobs([link.header() for link in extended]),
        wire.blob(before),
        wire.blob(after),
    )
    ((answer,),) = wire.exchange(connection, [Statement(_AT_ONCE, parameters)])[0]
    return None if answer is None else wire.read_time(answer)


def expected_turn(connection: Connection, plan: Plan) -> Turn | None:
    """The turn of a plan that nobody comes before, where it may be committed at once.

    Not with an idempotency key: settling one relies on the lock of a transaction, which a statement that is still on
    its way does not hold. Not before PostgreSQL 17: without transaction_timeout a connection that stalls within the
    statement's messages would keep the lock. Not for much, for then it is staged before the lock.
    """
    request = plan.request
    if request.idempotency_key is not None or request.structure is not None or request.epoch is not None:
        return None
    if (
        len(plan.edits) > AT_ONCE_EDITS
        or len(plan.change) > AT_ONCE_BYTES
        or connection.pgconn.server_version < _TRANSACTION_TIMEOUT
    ):
        return None
    if not plan.heads.keys() >= plan.deltas.keys():
        return None
    return Turn(plan.head.epoch, plan.head.revision + 1, plan.heads)


def _staged(version: uuid.UUID, plan: Plan) -> tuple[Parameter, ...]:
    edits = plan.edits
    return (
        wire.identifier(version),
        wire.text(plan.request.environment),
        wire.blob(plan.change),
        wire.texts([edit.layer for edit in edits]),
        wire.texts([edit.path for edit in edits]),
        wire.blobs([edit.outcome for edit in edits]),
    )


def _commit_parameters(
    plan: Plan, locked: Locked, version: uuid.UUID, extended: Sequence[Link]
) -> tuple[Parameter, ...]:
    request = plan.request
    return (
        wire.identifier(version),
        wire.int8(locked.revision),
        wire.text(None if request.kind == "epoch" else request.environment),
        wire.text(request.kind),
        wire.text(request.author),
        wire.text(request.reason),
        wire.boolean(request.urgent),
        wire.text(request.idempotency_key),
        wire.blob(None if request.idempotency_key is None else request.hash),
        wire.blobs([link.header() for link in extended]),
        wire.blob(audit_record(plan, locked, version)),
    )
