"""Going on after a loss: declaring an epoch, and restoring a backup, which declares one in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trimtab.model.links import Position
from trimtab_store import backup, epochs
from trimtab_store.commit import Committer, Made
from trimtab_store.database import Connection, bound
from trimtab_store.editing import Request
from trimtab_store.epochs import Declaration, Witness
from trimtab_store.turns import Locked


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the operator says. `above` replaces the question to Redis: the highest revision that is known anywhere."""

    author: str
    reason: str
    lost: str = ""
    above: int | None = None

    def request(self) -> Request:
        """The request that stands for it until the lock gives the epoch its number."""
        return Request(environment="", author=self.author, reason=self.reason, kind="epoch").check()

    def floor(self, connection: Connection, witness: Witness | None) -> Position:
        """What the new epoch must lie above."""
        return epochs.floor(connection, witness if self.above is None else None, self.above or 0)

    def declaration(self, from_revision: int, above: Position, lost: str = "") -> Declaration:
        """The declaration; raises `UsageError` without a reason."""
        return Declaration(
            from_revision=from_revision, reason=self.reason, lost=self.lost or lost, author=self.author, above=above
        ).check()


def declare(committer: Committer, witness: Witness | None, words: Words, from_revision: int) -> Made:
    """Declare an epoch from the head of this database."""
    words.declaration(from_revision, Position())
    floor = committer.database.read(lambda connection: words.floor(connection, witness))
    declaration = words.declaration(from_revision, floor)
    return committer.commit_locked(
        words.request(),
        lambda inside: epochs.lock(inside, declaration),
        lambda inside, locked: epochs.plan(inside, declaration, locked),
    )


def restore(committer: Committer, witness: Witness | None, words: Words, directory: Path, *, replace: bool) -> Made:
    """Load a backup and declare the epoch that follows it; all of it is committed, or nothing."""
    manifest = backup.read(directory)
    start = manifest.position
    lost = f"what came after revision {start.revision} of epoch {start.epoch}"
    words.declaration(start.revision, Position())
    declared: list[Declaration] = []

    def take(connection: Connection) -> Locked:
        bound(connection, None)
        before = words.floor(connection, witness)
        backup.load(connection, directory, manifest, None, replace=replace)
        after = words.floor(connection, witness)
        above = Position(max(before.epoch, after.epoch), max(before.revision, after.revision))
        declared.append(words.declaration(start.revision, above, lost))
        return epochs.lock(connection, declared[0])

    return committer.commit_locked(
        words.request(), take, lambda inside, locked: epochs.plan(inside, declared[0], locked)
    )
