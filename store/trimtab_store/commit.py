"""Step 3 of a commit: the short locked part, and what it means when it cannot be done.

    round trip 1   (planning) head; items around the edit                       no transaction, no lock
    round trip 2   BEGIN; stage the bulky rows; take the lock and the next revision; what others touched since
                   here: does the plan still hold? sign a link for each line    the lock is held, nothing else is waited for
    round trip 3   versions, links, current items, audit; COMMIT

Each is one pipeline. A plan that a moved head touches is rolled back and made again; after three of those the next one is
made under the lock, so that every writer gets its turn.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NoReturn, TypeAlias

import psycopg
from psycopg import errors as sql

from trimtab.model import canonical, links
from trimtab.model.canonical import Json
from trimtab.model.errors import Contention, UnavailableError
from trimtab.model.items import NO_ITEMS, add_checksums
from trimtab.model.links import Link, Message
from trimtab.model.statements import SigningKey
from trimtab_store import outcomes
from trimtab_store.database import Connection, ConnectionLost, Database, abandon, bound
from trimtab_store.deadlines import DeadlinePassed
from trimtab_store.editing import Request
from trimtab_store.planning import Plan
from trimtab_store.writer import Committed

WAIT_MS: Final = 10_000
"""How long a writer waits for the lock."""
HOLD_MS: Final = 3_000
"""How long the lock may be held; a writer that freezes loses its session, and with it the lock, after this."""
GRACE_SECONDS: Final = 5.0
"""How much longer than the server may take an answer may be on its way."""
EDITS_PER_MS: Final = 10
"""Larger changes may hold the lock a millisecond longer for every so many edits."""
FAILURES: Final = 3
TOUCHED_LIMIT: Final = 1_000
_KEY: Final = "configuration_versions_idempotency_key_key"
_AUDITED_PATHS: Final = 100

_STAGE: Final = "SELECT trimtab.trimtab_stage_v1(%s, %s, %s, %s::text[], %s::text[], %s::bytea[])"
_LOCK: Final = (
    "SELECT epoch, revision, structure_revision, moved_at, environment, head_epoch, head_revision, head_hash, head_checksum"
    " FROM trimtab.trimtab_lock_v1(%s::text[], %s, %s)"
)
_TOUCHED: Final = "SELECT environment, path FROM trimtab.trimtab_touched_v1(%s::text[], %s, %s)"
_HEADS: Final = (
    "SELECT environment, epoch, revision, hash, checksum FROM trimtab.line_heads WHERE environment = ANY(%s::text[])"
)
_COMMIT: Final = "SELECT trimtab.trimtab_commit_v1(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::bytea[], %s)"

MakePlan: TypeAlias = "Callable[[Connection], Plan]"


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


TakeLock: TypeAlias = "Callable[[Connection], Locked]"
MakeLockedPlan: TypeAlias = "Callable[[Connection, Locked], Plan]"


@dataclass(frozen=True, slots=True)
class Made:
    """A commit and the messages that carry it, one for each line; none if nothing was committed now."""

    committed: Committed
    messages: tuple[Message, ...] = ()
    plan: Plan | None = None


class _Moved(Exception):
    """Somebody else committed what the plan depends on."""


@dataclass(slots=True)
class Committer:
    """Carries out requests. One at a time on each connection; threads may share it."""

    database: Database
    key: SigningKey

    def commit_locked(self, request: Request, take: TakeLock, make_plan: MakeLockedPlan) -> Made:
        """Commit a plan that is made under a lock of its own kind (an epoch's); nothing is tried twice."""
        attempt = _Attempt(self.key, request, lambda _: _never())
        try:
            with self.database.connection() as connection:
                return attempt.under_lock(connection, take, make_plan)
        except ConnectionLost as lost:
            if not attempt.sent:
                raise
            return Made(outcomes.settle(self.database, request, lost))

    def commit(self, request: Request, make_plan: MakePlan) -> Made:
        """Make the plan and commit it; raises what refused it, `Contention` or `OutcomeUnknown`."""
        broken = moved = 0
        while True:
            attempt = _Attempt(self.key, request, make_plan)
            try:
                with self.database.connection() as connection:
                    return attempt.run(connection, under_lock=moved >= FAILURES)
            except ConnectionLost as lost:
                if attempt.sent:
                    return Made(outcomes.settle(self.database, request, lost))
                broken += 1
                if attempt.begun or broken > 1:
                    raise
                self.database.engine.dispose()  # what was pooled before a restart is dead too
            except (_Moved, Contention) as error:
                if isinstance(error, Contention) and not _worth_another_try(error.__cause__):
                    raise
                moved += 1
                if moved > 2 * FAILURES:
                    raise Contention("This edit found no turn", "the head kept moving", "Try again") from error
            time.sleep(random.uniform(0, 0.001) * moved)  # noqa: S311 - jitter, not a secret


def _worth_another_try(error: BaseException | None) -> bool:
    """Whether a plan was merely overtaken; a lock that never came is not asked for again."""
    return isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(("40", "TT"))


class _Attempt:
    """One try on one connection. `begun` is set with the transaction, `sent` once COMMIT may have reached the server."""

    def __init__(self, key: SigningKey, request: Request, make_plan: MakePlan) -> None:
        self._key, self._request, self._make_plan = key, request, make_plan
        self.begun = self.sent = False

    def run(self, connection: Connection, *, under_lock: bool) -> Made:
        """Everything from the idempotency key to COMMIT."""
        try:
            if self._request.idempotency_key is not None and (found := outcomes.find(connection, self._request)):
                return Made(found)
            if under_lock:
                return self.under_lock(connection, _ordinary_lock, lambda inside, _: self._make_plan(inside))
            plan = self._make_plan(connection)
            if plan.is_empty:
                return Made(outcomes.unchanged(connection, self._request.environment), plan=plan)
            locked, version = self._stage_and_lock(connection, plan)
            return self._finish(connection, plan, locked, version)
        except sql.UniqueViolation as error:
            if error.diag.constraint_name == _KEY:
                raise _Moved from error  # somebody used our key a moment ago: the next try finds it
            raise
        finally:
            abandon(connection)

    def under_lock(self, connection: Connection, take: TakeLock, make_plan: MakeLockedPlan) -> Made:
        """Take the lock first, then plan, stage and commit while it is held."""
        self.begun = True
        try:
            connection.execute("BEGIN")
            locked = take(connection)
            plan = make_plan(connection, locked)
            if plan.is_empty:
                connection.rollback()
                return Made(outcomes.unchanged(connection, self._request.environment), plan=plan)
            version = new_version()
            with connection.pipeline():
                stage(connection, version, plan)
                heads = connection.cursor(binary=True).execute(_HEADS, (list(plan.lines),))
            found = {row[0]: LineHead(row[1], row[2], bytes(row[3]), bytes(row[4])) for row in heads.fetchall()}
            return self._finish(connection, plan, replace(locked, heads=found), version)
        finally:
            abandon(connection)

    def _stage_and_lock(self, connection: Connection, plan: Plan) -> tuple[Locked, uuid.UUID]:
        version = new_version()
        self.begun = True
        bound(connection, WAIT_MS / 1000 + GRACE_SECONDS)
        with connection.pipeline():
            connection.execute("BEGIN")
            stage(connection, version, plan)
            taken = take_lock(connection, plan.lines, hold_ms(plan))
            touched = connection.execute(_TOUCHED, (list(plan.read), plan.head.revision, TOUCHED_LIMIT))
        locked = locked_of(taken.fetchall(), hold_ms(plan))
        if locked.epoch != plan.head.epoch or locked.structure_revision != plan.head.structure_revision:
            raise _Moved
        if locked.revision != plan.head.revision + 1:
            rows = touched.fetchall()
            if len(rows) >= TOUCHED_LIMIT or any(path is None or plan.depends_on(name, path) for name, path in rows):
                raise _Moved
        return locked, version

    def _finish(self, connection: Connection, plan: Plan, locked: Locked, version: uuid.UUID) -> Made:
        extended = extend(plan, locked, self._key)
        parameters = _commit_parameters(plan, locked, version, extended)
        if time.monotonic() >= locked.until:  # the server has ended this transaction: sending COMMIT can only confuse
            raise UnavailableError(
                "Nothing was committed", "this writer held the store for too long", "Try again; it may have been suspended"
            )
        self.sent = True
        bound(connection, hold_ms(plan) / 1000 + GRACE_SECONDS)
        try:
            with connection.pipeline():
                answer = connection.execute(_COMMIT, parameters)
                connection.execute("COMMIT")
        except (psycopg.Error, DeadlinePassed):
            # what the server told us on a connection that lives is an answer: nothing was committed
            self.sent = connection.closed or connection.broken
            raise
        row = answer.fetchone()
        assert row is not None, "the function answers when it committed"
        committed = Committed(
            environment=plan.request.environment,
            epoch=locked.epoch,
            revision=locked.revision,
            hash=next((one.hash for one in extended if one.environment == plan.request.environment), b""),
            paths=plan.paths,
            environments=plan.lines,
            committed_at=row[0],
            warnings=plan.warnings,
        )
        return Made(committed, tuple(Message(one, plan.change) for one in extended), plan)


def _ordinary_lock(connection: Connection) -> Locked:
    return locked_of(take_lock(connection, (), WAIT_MS).fetchall(), WAIT_MS)


def _never() -> NoReturn:
    raise AssertionError("an epoch is planned under its lock")


def new_version() -> uuid.UUID:
    """A version id that grows with time, so that new rows stand together in the indexes (UUID version 7)."""
    number = int.from_bytes((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10), "big")
    number = number & ~(0xF << 76) | (0x7 << 76)
    return uuid.UUID(int=number & ~(0x3 << 62) | (0x2 << 62))


def hold_ms(plan: Plan) -> int:
    """How long the server lets this plan hold the lock."""
    return min(60_000, HOLD_MS + len(plan.edits) // EDITS_PER_MS)


def stage(connection: Connection, version: uuid.UUID, plan: Plan) -> None:
    """Write the bulky rows, to which nothing refers yet."""
    edits = plan.edits
    connection.execute(
        _STAGE,
        (
            version,
            plan.request.environment,
            plan.change,
            [edit.layer for edit in edits],
            [edit.path for edit in edits],
            [edit.outcome for edit in edits],
        ),
    )


def take_lock(connection: Connection, environments: Sequence[str], hold: int) -> Any:
    """Ask for the lock and the heads of some lines; the cursor holds the answer."""
    return connection.cursor(binary=True).execute(_LOCK, (list(environments), WAIT_MS, hold))


def locked_of(rows: Sequence[Sequence[Any]], hold: int) -> Locked:
    """What the rows of the lock say."""
    heads = {
        row[4]: LineHead(row[5], row[6], bytes(row[7]), bytes(row[8]))
        for row in rows
        if row[4] is not None and row[5] is not None
    }
    epoch, revision, structure_revision, moved_at = rows[0][:4]
    return Locked(epoch, revision, structure_revision, moved_at, heads, time.monotonic() + hold / 1000)


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
