"""A commit by hand: what the store does with the functions of the schema, without the store."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg

STAGE = "SELECT trimtab.trimtab_stage_v1(%s, %s, %s, %s::text[], %s::text[], %s::bytea[])"
LOCK = "SELECT * FROM trimtab.trimtab_lock_v1(%s::text[], %s, %s)"
LOCK_EPOCH = "SELECT * FROM trimtab.trimtab_lock_epoch_v1(%s, %s, %s, %s, %s)"
COMMIT = "SELECT trimtab.trimtab_commit_v1(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::bytea[], %s)"
Content: TypeAlias = bytes | None
"""Canonical bytes; none of them hide the path, None removes the item."""


@dataclass
class Commit:
    """One commit and the ways to get it wrong."""

    environment: str | None = "base"
    edits: list[tuple[str, str, Content]] = field(default_factory=list[tuple[str, str, Content]])  # layer, path
    kind: str = "edit"
    reached: list[str] = field(default_factory=list[str])
    structure: dict[str, Any] | None = None
    epoch: tuple[int, int, int] | None = None  # from_revision, floor_epoch, floor_revision
    idempotency_key: str | None = None
    wrong: dict[str, Any] = field(default_factory=dict[str, Any])  # fields of the links that lie
    audited_revision: int | None = None
    version: uuid.UUID = field(default_factory=uuid.uuid4)

    def run(self, connection: psycopg.Connection[Any]) -> int:
        """Stage, lock, commit; the revision. The caller ends the transaction."""
        change = json.dumps(self._change(connection)).encode()
        layers, places, contents = ([edit[n] for edit in self.edits] for n in range(3))
        connection.execute(STAGE, (self.version, self.environment, change, layers, places, contents))
        if self.epoch is None:
            reached = self.reached or [self.environment or ""]
            heads = connection.execute(LOCK, (reached, 2000, 2000)).fetchall()
        else:
            heads = connection.execute(LOCK_EPOCH, (*self.epoch, 2000, 2000)).fetchall()
        epoch, revision, _, moved_at = heads[0][:4]
        headers = [self._header(change, head) for head in heads if head[4] is not None]
        audit = {
            "action": "commit", "actor": "ada", "at": moved_at.isoformat(), "detail": {"kind": self.kind},
            "environment": self.environment, "epoch": epoch, "revision": self.audited_revision or revision,
        }  # fmt: skip
        request_hash = None if self.idempotency_key is None else bytes(32)
        what = (self.version, revision, self.environment, self.kind, "ada", "because", False)
        key = (self.idempotency_key, request_hash)
        connection.execute(COMMIT, (*what, *key, headers, json.dumps(audit).encode()))
        return int(revision)

    def _change(self, connection: psycopg.Connection[Any]) -> dict[str, Any]:
        change: dict[str, Any] = {"v": 1, "paths": [path for _, path, _ in self.edits]}
        if self.structure is not None:
            change["structure"] = self.structure
        if self.epoch is not None:
            row = connection.execute("SELECT epoch FROM trimtab.store_head").fetchone()
            assert row is not None
            said = {"epoch": max(row[0], self.epoch[1]) + 1, "from_epoch": row[0], "from_revision": self.epoch[0]}
            change["epoch"] = {**said, "lost": "", "reason": "a standby was promoted"}
        return change

    def _header(self, change: bytes, head: tuple[Any, ...]) -> bytes:
        epoch, revision, _, _, environment, head_epoch, head_revision, head_hash, _ = head
        previous = (head_revision, head_hash) if head_epoch == epoch else (0, genesis(environment, epoch))
        link = {
            "checksum": bytes(32).hex(), "environment": environment, "epoch": epoch,
            "hash": hashlib.sha256(previous[1] + change).hexdigest(), "key_id": "key-1",
            "previous_hash": previous[1].hex(), "previous_revision": previous[0], "revision": revision,
            "signature": bytes(64).hex(),
        }  # fmt: skip
        return json.dumps({**link, **self.wrong}).encode()


def genesis(environment: str, epoch: int) -> bytes:
    return hashlib.sha256(f"trimtab line\0{environment}\0{epoch}".encode()).digest()


def create(name: str, parent: str | None = None) -> Commit:
    """The commit that creates an environment."""
    structure = {"environment": name, "parent": parent, "dimensions": ["mode"] if parent is None else []}
    return Commit(name, kind="structure", structure=structure)


def put(environment: str, path: str, content: Content, layer: str = "") -> Commit:
    """The commit that puts one item."""
    return Commit(environment, [(layer, path, content)])
