"""The turn of a commit: the position that it takes, the links that it signs there, its audit record. No I/O."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trimtab.model import canonical, links
from trimtab.model.canonical import Json
from trimtab.model.items import NO_ITEMS, add_checksums
from trimtab.model.links import Link
from trimtab.model.statements import SigningKey
from trimtab_store.planning import Plan
from trimtab_store.reading import LineHead

_AUDITED_PATHS: Final = 100


@dataclass(frozen=True, slots=True)
class Turn:
    """The position that a commit takes, and the heads of the lines that it extends."""

    epoch: int
    revision: int
    heads: Mapping[str, LineHead]


@dataclass(frozen=True, slots=True)
class Locked(Turn):
    """The turn that the lock gave, with the heads as they are now.

    `until` is an instant of `time.monotonic()` by which the server has surely taken the lock back.
    """

    structure_revision: int
    moved_at: datetime
    until: float


def extend(plan: Plan, locked: Turn, key: SigningKey) -> list[Link]:
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


def audit_record(plan: Plan, locked: Locked, version: uuid.UUID) -> bytes:
    """The canonical bytes of the audit row: who did what, where, when; places, never values."""
    before, after = audit_parts(plan, locked, version)
    return before + locked.moved_at.isoformat().encode() + after


def audit_parts(plan: Plan, turn: Turn, version: uuid.UUID) -> tuple[bytes, bytes]:
    """What stands before and after the time in the audit record, whose keys are sorted."""
    request = plan.request
    detail: dict[str, Json] = {
        "edits": len(plan.edits),
        "paths": list(plan.paths[:_AUDITED_PATHS]),
        "reason": request.reason,
        "version": str(version),
    }
    if request.force is not None:
        detail["force"] = request.force
    before = canonical.encode({"action": request.kind, "actor": request.author, "at": ""})
    after = canonical.encode({"detail": detail, "environment": request.environment, "revision": turn.revision})
    return before[:-2], b'",' + after[1:]
