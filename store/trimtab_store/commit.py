"""Step 3 of a commit: the short locked part, and what it means when it cannot be done.

    round trip 1   (planning) the head and the items around the edit: one statement, no transaction, no lock
    round trip 2   BEGIN; stage the bulky rows, take the lock and the next revision, tell what others touched since
                   the lock is held, and nothing else is waited for: does the plan still hold? sign each line's link
    round trip 3   versions, links, current items, audit; COMMIT

A writer that has met nobody lately does 2 and 3 at once: it signs for the revision that round trip 1 makes it expect,
and the server does all or, where somebody else came first, nothing; then it goes on with 2 (decision 0006).

A plan that a moved head touches is rolled back and made again; after three of those the next one is made under the
lock, so that every writer gets its turn.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NoReturn, TypeAlias

import psycopg
from psycopg import errors as sql

from trimtab.model.errors import Contention, UnavailableError
from trimtab.model.links import Link, Message
from trimtab.model.statements import SigningKey
from trimtab_store import locking, outcomes, turns
from trimtab_store.database import Connection, ConnectionLost, Database, abandon, bound, is_lost
from trimtab_store.deadlines import DeadlinePassed
from trimtab_store.editing import Request
from trimtab_store.locking import GRACE_SECONDS
from trimtab_store.planning import Plan
from trimtab_store.turns import Locked, Turn
from trimtab_store.writer import Committed

FAILURES: Final = 3
CALM: Final = 4
"""After it met somebody, a writer commits at once again when this many of its turns in a row were as expected."""
_KEY: Final = "configuration_versions_idempotency_key_key"

MakePlan: TypeAlias = "Callable[[Connection], Plan]"
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
    calm: int = CALM

    def commit_locked(self, request: Request, take: TakeLock, make_plan: MakeLockedPlan) -> Made:
        """Commit a plan that is made under a lock of its own kind (an epoch's); nothing is tried twice."""
        attempt = _Attempt(self, request, lambda _: _never())
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
            attempt = _Attempt(self, request, make_plan)
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
    """One try on one connection. `begun` comes with the transaction, `sent` once COMMIT may have reached the server."""

    def __init__(self, committer: Committer, request: Request, make_plan: MakePlan) -> None:
        self._committer, self._request, self._make_plan = committer, request, make_plan
        self.begun = self.sent = False

    def run(self, connection: Connection, *, under_lock: bool) -> Made:
        """Everything from the idempotency key to COMMIT."""
        try:
            if self._request.idempotency_key is not None and (found := outcomes.find(connection, self._request)):
                return Made(found)
            if under_lock:
                return self.under_lock(connection, locking.take_lock, lambda inside, _: self._make_plan(inside))
            plan = self._make_plan(connection)
            if plan.is_empty:
                return Made(outcomes.unchanged(connection, self._request.environment), plan=plan)
            if (made := self._at_once(connection, plan)) is not None:
                return made
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
            version = locking.new_version()
            heads = locking.stage(connection, version, plan)
            return self._finish(connection, plan, replace(locked, heads=heads), version)
        finally:
            abandon(connection)

    def _stage_and_lock(self, connection: Connection, plan: Plan) -> tuple[Locked, uuid.UUID]:
        version = locking.new_version()
        self.begun = True
        bound(connection, locking.WAIT_MS / 1000 + GRACE_SECONDS)
        rows = locking.begin(connection, version, plan)
        locked = locking.locked_of(rows, locking.hold_ms(plan))
        expected = locked.revision == plan.head.revision + 1
        self._committer.calm = min(CALM, self._committer.calm + 1) if expected else 0
        if not locking.holds(plan, locked, rows):
            raise _Moved
        return locked, version

    def _finish(self, connection: Connection, plan: Plan, locked: Locked, version: uuid.UUID) -> Made:
        extended = turns.extend(plan, locked, self._committer.key)
        if time.monotonic() >= locked.until:  # the server has ended this transaction: sending COMMIT can only confuse
            raise UnavailableError(
                "Nothing was committed",
                "this writer held the store for too long",
                "Try again; it may have been suspended",
            )
        self.sent = True
        bound(connection, locking.hold_ms(plan) / 1000 + GRACE_SECONDS)
        try:
            committed_at = locking.commit(connection, plan, locked, version, extended)
        except (psycopg.Error, DeadlinePassed):
            # what the server told us on a connection that lives is an answer: nothing was committed
            self.sent = is_lost(connection)
            raise
        return _made(plan, locked, extended, committed_at)

    def _at_once(self, connection: Connection, plan: Plan) -> Made | None:
        """The whole commit in one statement, if that may be and nobody comes before us."""
        turn = locking.expected_turn(connection, plan) if self._committer.calm >= CALM else None
        if turn is None:
            return None
        version = locking.new_version()
        extended = turns.extend(plan, turn, self._committer.key)
        self.begun = self.sent = True
        bound(connection, locking.hold_ms(plan) / 1000 + GRACE_SECONDS)
        try:
            committed_at = locking.commit_at_once(connection, plan, turn, version, extended)
        except (psycopg.Error, DeadlinePassed):
            self.sent = is_lost(connection)
            raise
        if committed_at is None:
            self.begun = self.sent = False
            self._committer.calm = 0
            return None
        return _made(plan, turn, extended, committed_at)


def _made(plan: Plan, turn: Turn, extended: Sequence[Link], committed_at: datetime) -> Made:
    committed = Committed(
        environment=plan.request.environment,
        epoch=turn.epoch,
        revision=turn.revision,
        hash=next((one.hash for one in extended if one.environment == plan.request.environment), b""),
        paths=plan.paths,
        environments=plan.lines,
        committed_at=committed_at,
        warnings=plan.warnings,
    )
    return Made(committed, tuple(Message(one, plan.change) for one in extended), plan)


def _never() -> NoReturn:
    raise AssertionError("an epoch is planned under its lock")
