"""Links: what a revision adds to the line of one environment, and the message that carries it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import orjson

from trimtab.model import canonical
from trimtab.model.errors import SignatureRefused
from trimtab.model.positions import START as START  # noqa: PLC0414 - it is known by this name here, too
from trimtab.model.positions import Position as Position  # noqa: PLC0414 - the same
from trimtab.model.statements import SigningKey, Trust

HASH_BYTES: Final = 32


def genesis(environment: str, epoch: int) -> bytes:
    """The previous hash of a line's first link in an epoch: SHA-256 of its name and epoch."""
    return hashlib.sha256(f"trimtab line\0{environment}\0{epoch}".encode()).digest()


def chain(previous_hash: bytes, change: bytes) -> bytes:
    """The hash of a link: SHA-256 over the previous hash and the canonical bytes of the change."""
    digest = hashlib.sha256(previous_hash)
    digest.update(change)  # without a copy, and a long one without the interpreter's lock
    return digest.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link. `previous_revision` is 0 for the first of a line in its epoch; `checksum` is the state's after it."""

    environment: str
    epoch: int
    revision: int
    previous_revision: int
    previous_hash: bytes
    hash: bytes
    checksum: bytes
    key_id: str = ""
    signature: bytes = b""

    @property
    def position(self) -> Position:
        """Its place in history."""
        return Position(self.epoch, self.revision)

    @property
    def is_first(self) -> bool:
        """Whether it is the first of its line in its epoch, which comes with a snapshot."""
        return self.previous_revision == 0

    def fields(self) -> dict[str, canonical.Json]:
        """What the signature covers."""
        return {
            "checksum": self.checksum.hex(),
            "environment": self.environment,
            "epoch": self.epoch,
            "hash": self.hash.hex(),
            "key_id": self.key_id,
            "previous_hash": self.previous_hash.hex(),
            "previous_revision": self.previous_revision,
            "revision": self.revision,
        }

    def signed(self, key: SigningKey) -> Link:
        """The link with the key's name and signature."""
        fields = {**self.fields(), "key_id": key.key_id}
        return replace(self, key_id=key.key_id, signature=key.sign("link", fields))

    def to_dict(self) -> dict[str, canonical.Json]:
        """The fields and the signature."""
        return {**self.fields(), "signature": self.signature.hex()}

    def header(self) -> bytes:
        """The canonical JSON of the fields and the signature: a message's first line."""
        return canonical.encode_trusted(self.to_dict())


@dataclass(frozen=True, slots=True)
class Message:
    """A link and the bytes of its change, as they travel."""

    link: Link
    change: bytes

    @property
    def position(self) -> Position:
        """The link's place in history."""
        return self.link.position

    def encode(self) -> bytes:
        """The bytes of stream, channel and journal: the link's JSON, a line feed, the change."""
        return self.link.header() + b"\n" + self.change


def read(message: bytes) -> Message:
    """Take a message apart without trusting it; raises `SignatureRefused` for what no writer of ours made."""
    header, line_feed, change = message.partition(b"\n")
    try:
        fields: dict[str, object] = orjson.loads(header)
        if not line_feed or type(fields) is not dict or fields.keys() != _FIELDS:
            raise ValueError("fields")  # noqa: TRY301 - becomes the refusal below
        link = Link(
            environment=_string(fields["environment"]),
            epoch=_number(fields["epoch"]),
            revision=_number(fields["revision"]),
            previous_revision=_number(fields["previous_revision"]),
            previous_hash=_digest(fields["previous_hash"]),
            hash=_digest(fields["hash"]),
            checksum=_digest(fields["checksum"]),
            key_id=_string(fields["key_id"]),
            signature=bytes.fromhex(_string(fields["signature"])),
        )
        if fields != link.to_dict():  # hexadecimal in capitals or with spaces
            raise ValueError("spelling")  # noqa: TRY301 - the same
    except ValueError as error:  # JSONDecodeError is one
        raise SignatureRefused(
            "A message is refused", "it is not a link and a change", "Find out who publishes it"
        ) from error
    return Message(link, change)


def verify(message: Message, trust: Trust, environment: str) -> None:
    """Raise `SignatureRefused` unless the link is ours, for this environment, and hashes to this very change.

    What it does not check is contiguity: that the previous hash is the reader's own is the replica's business.
    """
    check(message, environment)
    verify_signature(message.link, trust)


def check(message: Message, environment: str) -> None:
    """`verify` without the signature: for a link whose hash is covered by a signed link after it."""
    link = message.link
    if link.environment != environment:
        raise SignatureRefused(
            "A message is refused",
            f"it belongs to the environment {link.environment[:80]!r}, not {environment!r}",
            "Check the channels",
        )
    if chain(link.previous_hash, message.change) != link.hash:
        raise SignatureRefused(
            "A message is refused", "its change does not hash to its link", "Find out who publishes it"
        )


def verify_signature(link: Link, trust: Trust) -> None:
    """Raise `SignatureRefused` unless a trusted key signed all the fields of a link."""
    trust.verify("link", link.fields(), link.key_id, link.signature)


_FIELDS: Final = frozenset(Link.__dataclass_fields__)


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("number")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("string")  # noqa: TRY004 - becomes the refusal in `read`
    return value


def _digest(value: object) -> bytes:
    digest = bytes.fromhex(_string(value))
    if len(digest) != HASH_BYTES:
        raise ValueError("digest")
    return digest
