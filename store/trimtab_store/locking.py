"""The lock of the store and what is written before and under it: staging, the next revision, the signed links.

The statements call the functions of `migrations/sql/0001_commit.sql`, which check what they are given.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trimtab.model import canonical, links
from trimtab.model.canonical import Json
from trimtab.model.items import NO_ITEMS, add_checksums
from trimtab.model.links import Link
from trimtab.model.statements import SigningKey
from trimtab_store.database import Connection
from trimtab_store.planning import Plan

WAIT_MS: Final = 10_000
"""How long a writer waits for the lock."""
HOLD_MS: Final = 3_000
"""How long the lock may be held; a writer that freezes loses its session, and with it the lock, after this."""
GRACE_SECONDS: Final = 5.0
"""How much longer than the server may take an answer may be on its way."""
EDITS_PER_MS: Final = 10
"""Larger changes may hold the lock a millisecond longer for every so many edits."""
TOUCHED_LIMIT: Final = 1_000
"""If others touched more than this nearby since the plan was made, it is made again without looking further."""
_AUDITED_PATHS: Final = 100

_STAGE: Final = "SELECT trimtab.trimtab_stage_v1(%s, %s, %s, %s::text[], %s::text[], %s::bytea[])"
LOCK_COLUMNS: Final = (
    "SELECT epoch, revision, structure_revision, moved_at,"
    " environment, head_epoch, head_revision, head_hash, head_checksum"
)
_BEGIN: Final = (
    LOCK_COLUMNS + ", touched_environment, touched_path FROM trimtab.trimtab_begin_v1("
    "%s, %s, %s, %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[], %s, %s, %s, %s)"
)
_LOCK: Final = LOCK_COLUMNS + " FROM trimtab.trimtab_lock_v1(%s::text[], %s, %s)"
_HEADS: Final = (
    "SELECT environment, epoch, revision, hash, checksum FROM trimtab.line_heads WHERE environment = ANY(%s::text[])"
)
_COMMIT: Final = "SELECT trimtab.trimtab_commit_v1(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::bytea[], %s)"


@dataclass(frozen=True, slots=True)
class LineHead:
    """The newest link of a line."""

    epoch: int
    revision: int
    hash: bytes
    checksum: bytes


@dataclass(frozen=True, slots=True)
class Locked:
    """What the lock gave: our own position, and the heads of the lines as they are now.

    `until` is an instant of `time.monotonic()` by which the server has surely taken the lock back.
    """

    epoch: int
    revision: int
    structure_revision: int
    moved_at: datetime
    heads: Mapping[str, LineHead]
    until: float


def new_version() -> uuid.UUID:
    """A version id that grows with time, so that new rows stand together in the indexes (UUID version 7)."""
    number = int.from_bytes((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10), "big")
    number = number & ~(0xF << 76) | (0x7 << 76)
    return uuid.UUID(int=number & ~(0x3 << 62) | (0x2 << 62))


def hold_ms(plan: Plan) -> int:
    """How long the server lets this plan hold the lock."""
    return min(60_000, HOLD_MS + len(plan.edits) // EDITS_PER_MS)


def begin(connection: Connection, version: uuid.UUID, plan: Plan) -> Any:
    """Stage the bulky rows, then ask for the lock and for what others touched since; the cursor holds the answer."""
    near = (list(plan.lines), list(plan.read), plan.head.revision, TOUCHED_LIMIT)
    return connection.cursor(binary=True).execute(_BEGIN, (*_staged(version, plan), *near, WAIT_MS, hold_ms(plan)))


def stage(connection: Connection, version: uuid.UUID, plan: Plan) -> Any:
    """Write the bulky rows, and ask for the heads of the plan's lines, where the lock is held already."""
    connection.execute(_STAGE, _staged(version, plan))
    return connection.cursor(binary=True).execute(_HEADS, (list(plan.lines),))


def heads_of(rows: Sequence[Sequence[Any]]) -> dict[str, LineHead]:
    """What those rows say."""
    return {row[0]: LineHead(*row[1:]) for row in rows}


def take_lock(connection: Connection, environments: Sequence[str], hold: int) -> Any:
    """Ask for the lock and the heads of some lines; the cursor holds the answer."""
    return connection.cursor(binary=True).execute(_LOCK, (list(environments), WAIT_MS, hold))


def locked_of(rows: Sequence[Sequence[Any]], hold: int) -> Locked:
    """What the rows of the lock say; those of what was touched are passed over."""
    epoch, revision, structure_revision, moved_at = rows[0][:4]
    heads = {row[4]: LineHead(*row[5:9]) for row in rows if row[0] is not None and row[5] is not None}
    return Locked(epoch, revision, structure_revision, moved_at, heads, time.monotonic() + hold / 1000)


def holds(plan: Plan, locked: Locked, rows: Sequence[Sequence[Any]]) -> bool:
    """Whether a plan is still right under the lock: nothing that it read has moved since."""
    if (locked.epoch, locked.structure_revision) != (plan.head.epoch, plan.head.structure_revision):
        return False
    touched = [(row[9], row[10]) for row in rows if row[0] is None]
    return len(touched) < TOUCHED_LIMIT and not any(
        name is None or path is None or plan.depends_on(name, path) for name, path in touched
    )


def commit(connection: Connection, plan: Plan, locked: Locked, version: uuid.UUID, extended: Sequence[Link]) -> Any:
    """Write versions, links, current items and audit, and COMMIT, in one round trip; the cursor holds the time."""
    parameters = _commit_parameters(plan, locked, version, extended)
    with connection.pipeline():
        answer = connection.execute(_COMMIT, parameters)
        connection.execute("COMMIT")
    return answer


def extend(plan: Plan, locked: Locked, key: SigningKey) -> list[Link]:
    """The signed links of the plan's lines, about 60 µs each."""
    extended: list[Link] = []
    for name in plan.lines:
        head = locked.heads.get(name)
        checksum = add_checksums(head.checksum if head else NO_ITEMS, (plan.deltas[name],))
        follows = head if head is not None and head.epoch == locked.epoch else None
        before = follows.hash if follows else links.genesis(name, locked.epoch)
        link = Link(
            environment=name,
            epoch=locked.epoch,
            revision=locked.revision,
            previous_revision=follows.revision if follows else 0,
            previous_hash=before,
            hash=links.chain(before, plan.change),
            checksum=checksum,
        )
        extended.append(link.signed(key))
    return extended


def _staged(version: uuid.UUID, plan: Plan) -> tuple[object, ...]:
    edits = plan.edits
    return (
        version,
        plan.request.environment,
        plan.change,
        [edit.layer for edit in edits],
        [edit.path for edit in edits],
        [edit.outcome for edit in edits],
    )


def _commit_parameters(plan: Plan, locked: Locked, version: uuid.UUID, extended: Sequence[Link]) -> tuple[object, ...]:
    request = plan.request
    return (
        version,
        locked.revision,
        None if request.kind == "epoch" else request.environment,
        request.kind,
        request.author,
        request.reason,
        request.urgent,
        request.idempotency_key,
        None if request.idempotency_key is None else request.hash,
        [link.header() for link in extended],
        audit_record(plan, locked, version),
    )


def audit_record(plan: Plan, locked: Locked, version: uuid.UUID) -> bytes:
    """The canonical bytes of the audit row: who did what, where, when; places, never values."""
    request = plan.request
    detail: dict[str, Json] = {
        "edits": len(plan.edits),
        "paths": list(plan.paths[:_AUDITED_PATHS]),
        "reason": request.reason,
        "version": str(version),
    }
    return canonical.encode(
        {
            "action": request.kind,
            "actor": request.author,
            "at": locked.moved_at.isoformat(),
            "detail": detail,
            "environment": request.environment,
            "revision": locked.revision,
        }
    )
