"""Declaring an epoch: the one way in which history may break, and only by somebody who says so (DESIGN §2).

After a restore or a failover to a lagging standby the database holds less than agents have proven. The declaration
names the cut and what was lost, links every environment anew, and takes its number above everything that anybody has
seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from trimtab.model.changes import EpochRecord
from trimtab.model.errors import ConflictError, UsageError
from trimtab.model.links import Position
from trimtab_store import reading, wire
from trimtab_store.database import Connection
from trimtab_store.editing import Request
from trimtab_store.locking import LOCK_COLUMNS, WAIT_MS, locked_of
from trimtab_store.planning import Plan, change_of
from trimtab_store.turns import Locked
from trimtab_store.wire import Statement

_LOCK: Final = LOCK_COLUMNS + b" FROM trimtab.trimtab_lock_epoch_v1($1, $2, $3, $4, $5)"


class Witness(Protocol):
    """Somebody beside the database who may know of revisions that it lost: Redis, with what agents reported to it."""

    def highest(self, environments: Sequence[str]) -> Position:
        """The highest epoch and the highest revision, each on its own, that it has seen; raises `UnavailableError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What the operator declares. `above` is the position that the new epoch must lie above, as far as is known."""

    from_revision: int
    reason: str
    lost: str
    author: str
    above: Position

    def check(self) -> Declaration:
        """Itself; raises `UsageError` without a reason."""
        if not self.reason.strip():
            raise UsageError("An epoch without a reason is refused", "everybody will ask why", "Pass --reason")
        return self


def floor(connection: Connection, witness: Witness | None, least: int = 0) -> Position:
    """What a new epoch must lie above: the database, agents' reports, Redis, and a number that the operator names."""
    now = reading.head(connection)
    row = connection.execute(
        "SELECT coalesce(max((report ->> 'epoch')::bigint), 0),"
        " coalesce(max(greatest((report ->> 'revision')::bigint, (report ->> 'proven')::bigint)), 0)"
        " FROM trimtab.agent_reports WHERE report ->> 'epoch' ~ '^[0-9]{1,18}$'"
        " AND report ->> 'revision' ~ '^[0-9]{1,18}$' AND report ->> 'proven' ~ '^[0-9]{1,18}$'"
    ).fetchone()
    assert row is not None, "an aggregate always has a row"
    seen = witness.highest(tuple(reading.forest(connection).parents)) if witness else Position()
    return Position(max(now.epoch, row[0], seen.epoch), max(now.revision, row[1], seen.revision, least))


def lock(connection: Connection, declaration: Declaration) -> Locked:
    """Take the lock, the next epoch and its first revision; raises `ConflictError` if the cut is not the head."""
    above = declaration.above
    now = reading.head(connection)
    if now.revision != declaration.from_revision:
        raise ConflictError(
            f"--from {declaration.from_revision} is refused",
            f"the head of this database is revision {now.revision}",
            f"If this is the database to go on with, declare from {now.revision}",
        )
    places = (declaration.from_revision, above.epoch, above.revision)
    parameters = (*map(wire.int8, places), wire.int4(WAIT_MS), wire.int4(WAIT_MS))
    return locked_of(wire.exchange(connection, [Statement(_LOCK, parameters)])[0], WAIT_MS)


def plan(connection: Connection, declaration: Declaration, locked: Locked) -> Plan:
    """The first change of the new epoch, made under the lock because it names the epoch."""
    forest = reading.forest(connection)
    previous = connection.execute("SELECT max(epoch) FROM trimtab.epochs").fetchone()
    assert previous is not None, "a migrated store has an epoch"
    record = EpochRecord(locked.epoch, previous[0], declaration.from_revision, declaration.lost, declaration.reason)
    names = sorted(forest.parents)
    roots = [name for name in names if forest.parents[name] is None]
    request = Request(
        environment=roots[0] if roots else "",
        author=declaration.author,
        reason=declaration.reason,
        kind="epoch",
        epoch=record,
    ).check()
    return Plan(
        request=request,
        head=reading.head(connection),
        forest=forest,
        read=tuple(names),
        scopes=(),
        edits=(),
        change=change_of(request, ()),
        deltas=dict.fromkeys(names, 0),
    )
