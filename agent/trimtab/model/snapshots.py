"""Snapshots: every item of a line at one revision, as signed bytes.

    trimtab-snapshot 1
    {"checksum": …, "dimensions": […], "environment": …, "epoch": …, "hash": …, "items": 2, "lineage": […],
     "revision": …, "urgent": 0}
    ["base","",1]
    risk.global.max_leverage
    3.0
    ["production","mode=live",1]
    risk.global.max_leverage
    2.0

The header is one line. `urgent` is the revision of the newest urgent change on the line in this epoch, 0 if there is
none, so that whoever skips changes by a snapshot knows whether one of them was urgent.

A group for each layer, root environment first, then by layer text; two lines for each item, its path and its canonical
bytes, an empty second line for a tombstone. Canonical JSON holds no raw line feed and paths hold none either, so the
bytes are cut at line feeds and no value is parsed until someone reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import orjson

from trimtab.model import canonical, groups
from trimtab.model.errors import SignatureRefused, TrimtabError, ValueRefused
from trimtab.model.links import START, Position
from trimtab.model.statements import SigningKey, Trust
from trimtab.model.states import Assembly, State
from trimtab.model.structure import Lineage

CHUNK_BYTES: Final = 1024 * 1024
_MAGIC: Final = b"trimtab-snapshot 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a snapshot's signature covers: the state's name, and length and SHA-256 of the exact bytes."""

    environment: str
    epoch: int
    revision: int
    hash: bytes
    checksum: bytes
    length: int
    sha256: bytes
    key_id: str = ""
    signature: bytes = b""

    @property
    def position(self) -> Position:
        """The snapshot's place in history."""
        return Position(self.epoch, self.revision)

    @property
    def chunks(self) -> int:
        """How many chunks of 1 MiB the bytes make."""
        return max(1, -(-self.length // CHUNK_BYTES))

    def fields(self) -> dict[str, canonical.Json]:
        """What the signature covers."""
        return {
            "checksum": self.checksum.hex(),
            "environment": self.environment,
            "epoch": self.epoch,
            "hash": self.hash.hex(),
            "key_id": self.key_id,
            "length": self.length,
            "revision": self.revision,
            "sha256": self.sha256.hex(),
        }

    def to_dict(self) -> dict[str, canonical.Json]:
        """The fields and the signature."""
        return {**self.fields(), "signature": self.signature.hex()}

    def encode(self) -> bytes:
        """The canonical JSON of the statement with its signature."""
        return canonical.encode(self.to_dict())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state with the name of its revision, and of the newest urgent one of its epoch (0: none) at or before it."""

    environment: str
    position: Position
    hash: bytes
    state: State
    urgent: int = 0

    @property
    def urgent_position(self) -> Position:
        """The place of the newest urgent change of the epoch; (0, 0) if there is none."""
        return Position(self.position.epoch, self.urgent) if self.urgent else START


def read_statement(text: bytes) -> Statement:
    """Read a statement without trusting it yet; raises `SignatureRefused` if it is none."""
    try:
        fields = orjson.loads(text)
        statement = Statement(
            environment=str(fields["environment"]),
            epoch=int(fields["epoch"]),
            revision=int(fields["revision"]),
            hash=bytes.fromhex(fields["hash"]),
            checksum=bytes.fromhex(fields["checksum"]),
            length=int(fields["length"]),
            sha256=bytes.fromhex(fields["sha256"]),
            key_id=str(fields["key_id"]),
            signature=bytes.fromhex(fields["signature"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _refused("its statement is malformed") from error
    if fields != statement.to_dict():
        raise _refused("its statement is malformed")
    if not 0 < statement.length <= canonical.MAX_SNAPSHOT_BYTES:
        raise _refused(f"its length of {statement.length} bytes is outside the limits")
    return statement


def verify(statement: Statement, trust: Trust, environment: str) -> None:
    """Raise `SignatureRefused` unless the statement is ours and speaks of this environment."""
    if statement.environment != environment:
        raise _refused(f"it belongs to the environment {statement.environment[:80]!r}, not {environment!r}")
    trust.verify("snapshot", statement.fields(), statement.key_id, statement.signature)


def encode(snapshot: Snapshot) -> bytes:
    """The bytes of a snapshot; raises `ValueRefused` above 1 GiB."""
    lineage = snapshot.state.lineage
    header = {
        "checksum": snapshot.state.checksum.hex(),
        "dimensions": list(lineage.dimensions),
        "environment": snapshot.environment,
        "epoch": snapshot.position.epoch,
        "hash": snapshot.hash.hex(),
        "items": snapshot.state.count,
        "lineage": list(lineage.environments),
        "revision": snapshot.position.revision,
        "urgent": snapshot.urgent,
    }
    lines = [_MAGIC, canonical.encode(header)]
    group: list[bytes] = []
    current: tuple[str, str] | None = None
    for item in snapshot.state.items():
        if (item.environment, item.layer) != current:
            _close_group(lines, current, group)
            current, group = (item.environment, item.layer), []
        group += (item.path.encode(), item.content)
    _close_group(lines, current, group)
    text = b"\n".join(lines) + b"\n"
    if len(text) > canonical.MAX_SNAPSHOT_BYTES:
        raise ValueRefused(
            "This snapshot is refused", f"it has {len(text)} bytes, more than 1 GiB", "Remove items first"
        )
    return text


def sign(snapshot: Snapshot, text: bytes, key: SigningKey) -> Statement:
    """The signed statement over a snapshot's bytes."""
    statement = Statement(
        environment=snapshot.environment,
        epoch=snapshot.position.epoch,
        revision=snapshot.position.revision,
        hash=snapshot.hash,
        checksum=snapshot.state.checksum,
        length=len(text),
        sha256=hashlib.sha256(text).digest(),
        key_id=key.key_id,
    )
    return replace(statement, signature=key.sign("snapshot", statement.fields()))


def decode_steps(statement: Statement, text: bytes) -> Iterator[Snapshot | None]:
    """Check the bytes against a verified statement and rebuild the state: yields None between steps, then the snapshot.

    Raises `SignatureRefused` where bytes and statement differ in anything, the checksum over all items included.
    """
    if len(text) != statement.length or hashlib.sha256(text).digest() != statement.sha256:
        raise _refused("its bytes are not those that were signed")
    yield None
    try:
        body = text.index(b"\n", len(_MAGIC) + 1) + 1
        magic, header = text[: body - 1].split(b"\n")
        found = _read_header(magic, header, statement)
        assembly = Assembly(found.lineage)
        for _ in groups.read(found.lineage, text, body, assembly):
            yield None
        state = assembly.finish()
    except (ValueError, KeyError, TypeError, TrimtabError) as error:
        raise _refused(f"its content is malformed ({error})") from error
    if state.checksum != statement.checksum or state.count != found.items:
        raise _refused("its items do not add up to its checksum")
    yield Snapshot(statement.environment, statement.position, statement.hash, state, found.urgent)


def decode(statement: Statement, text: bytes) -> Snapshot:
    """`decode_steps` in one go."""
    snapshot = next((step for step in decode_steps(statement, text) if step is not None), None)
    assert snapshot is not None, "the last step is the snapshot"
    return snapshot


def _close_group(lines: list[bytes], key: tuple[str, str] | None, group: list[bytes]) -> None:
    if key is not None:
        lines.append(canonical.encode([key[0], key[1], len(group) // 2]))
        lines.extend(group)


@dataclass(frozen=True, slots=True)
class _Header:
    """What a header says beside the name of the state."""

    lineage: Lineage
    items: int
    urgent: int


def _read_header(magic: bytes, header: bytes, statement: Statement) -> _Header:
    fields = orjson.loads(header)
    named = (fields["environment"], fields["epoch"], fields["revision"], fields["hash"], fields["checksum"])
    signed = (
        statement.environment,
        statement.epoch,
        statement.revision,
        statement.hash.hex(),
        statement.checksum.hex(),
    )
    if magic != _MAGIC or named != signed:
        raise _refused("its header names another state")
    lineage = Lineage(tuple(fields["lineage"]), tuple(fields["dimensions"]))
    if lineage.environment != statement.environment:
        raise _refused("its lineage ends elsewhere")
    urgent = fields["urgent"]
    if type(urgent) is not int or not 0 <= urgent <= statement.revision:
        raise _refused("its newest urgent revision is none of its past")
    return _Header(lineage, int(fields["items"]), urgent)


def _refused(why: str) -> SignatureRefused:
    return SignatureRefused("A snapshot is refused", why, "It is fetched again from another place")
