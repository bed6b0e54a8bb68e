"""A generation: one file that holds a signed snapshot and, appended after it, a journal of signed messages.

    trimtab-generation 1
    {…the snapshot's statement…}
    …the snapshot's bytes…
    …frames: length and CRC-32 of a message, four bytes each and big-endian, then the message…

Nothing in it is believed before it is verified: the statement's signature and the snapshot's SHA-256, then that each
message follows the one before and hashes to its link. The last link's signature covers, through the hashes, every
change between it and the snapshot, so one verification serves a whole journal; only where it fails is each signature
looked at. A journal is cut at its first frame that fails; what comes before it stands.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trimtab.model import canonical, links, snapshots
from trimtab.model.errors import SignatureRefused
from trimtab.model.links import Link, Position
from trimtab.model.snapshots import Statement
from trimtab.model.statements import Trust

MAX_JOURNAL_BYTES: Final = 64 * 1024 * 1024
"""A journal above this is not appended to: the agent takes a newer snapshot first."""
MAX_BYTES: Final = canonical.MAX_SNAPSHOT_BYTES + 2 * MAX_JOURNAL_BYTES
_MAX_MESSAGE_BYTES: Final = canonical.MAX_CHANGE_BYTES + 64 * 1024
_MAGIC: Final = b"trimtab-generation 1"
_FRAME: Final = struct.Struct(">II")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Where a line ends: the next link must name this revision and hash as its previous ones."""

    position: Position
    hash: bytes

    def precedes(self, link: Link) -> bool:
        """Whether a link comes right after this place."""
        return (
            link.epoch == self.position.epoch
            and link.revision > self.position.revision
            and link.previous_revision == self.position.revision
            and link.previous_hash == self.hash
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A verified generation: snapshot, messages after it, and where they lead. `cut` says why a journal was cut."""

    statement: Statement
    statement_bytes: bytes
    body: bytes
    messages: tuple[bytes, ...]
    tail: Tail
    cut: str = ""

    @property
    def position(self) -> Position:
        """The position of the last message, or of the snapshot if there is none."""
        return self.tail.position

    def encode(self) -> bytes:
        """The file's content, without what was cut."""
        return encode(self.statement_bytes, self.body, self.messages)

    def upto(self, position: Position) -> Generation | None:
        """The generation as it was at a position, None if its snapshot is newer."""
        if self.statement.position > position:
            return None
        tail = origin(self.statement)
        kept: list[bytes] = []
        for message in self.messages:
            link = links.read(message).link
            if link.position > position:
                break
            kept.append(message)
            tail = Tail(position=link.position, hash=link.hash)
        return Generation(
            statement=self.statement,
            statement_bytes=self.statement_bytes,
            body=self.body,
            messages=tuple(kept),
            tail=tail,
        )


def origin(statement: Statement) -> Tail:
    """Where a journal after this snapshot begins."""
    return Tail(position=statement.position, hash=statement.hash)


def follow(tail: Tail, messages: Iterable[bytes]) -> tuple[list[bytes], Tail]:
    """Those of the messages that continue a line one after the other, and where they lead."""
    kept: list[bytes] = []
    for message in messages:
        link = links.read(message).link
        if tail.precedes(link):
            kept.append(message)
            tail = Tail(position=link.position, hash=link.hash)
    return kept, tail


def encode(statement: bytes, body: bytes, messages: Iterable[bytes]) -> bytes:
    """The content of a generation's file."""
    return b"\n".join((_MAGIC, statement, body)) + b"".join(map(frame, messages))


def frame(message: bytes) -> bytes:
    """One entry of a journal."""
    return _FRAME.pack(len(message), zlib.crc32(message)) + message


def read(content: bytes, trust: Trust, environment: str) -> Generation:
    """Verify a generation's file; raises `SignatureRefused` unless at least its snapshot can be trusted."""
    magic_end = content.find(b"\n")
    statement_end = content.find(b"\n", magic_end + 1)
    if content[: max(magic_end, 0)] != _MAGIC or statement_end < 0:
        raise SignatureRefused("A generation is refused", "it does not begin like one", "It is written anew")
    statement_bytes = content[magic_end + 1 : statement_end]
    statement = snapshots.read_statement(statement_bytes)
    if statement.encode() != statement_bytes:
        raise SignatureRefused("A generation is refused", "its statement is not written canonically", "")
    snapshots.verify(statement, trust, environment)
    start = statement_end + 1
    body = content[start : start + statement.length]
    if len(body) != statement.length or hashlib.sha256(body).digest() != statement.sha256:
        raise SignatureRefused(
            "A generation is refused", "its snapshot's bytes are not those that were signed", "It is written anew"
        )
    messages, tail, cut = _read_journal(content, start + statement.length, statement, trust)
    return Generation(
        statement=statement,
        statement_bytes=statement_bytes,
        body=body,
        messages=tuple(messages),
        tail=tail,
        cut=cut,
    )


def _read_journal(content: bytes, offset: int, statement: Statement, trust: Trust) -> tuple[list[bytes], Tail, str]:
    """The valid messages from an offset on, where they lead, and why reading ended early (empty if it did not)."""
    messages: list[bytes] = []
    tails = [origin(statement)]
    signed: list[Link] = []
    why = ""
    at = offset
    while at < len(content) and not why:
        try:
            messages.append(_read_frame(content, at))
            signed.append(_follow(messages[-1], tails[-1], statement.environment))
        except SignatureRefused as error:
            why = error.why or error.what
        else:
            tails.append(Tail(position=signed[-1].position, hash=signed[-1].hash))
            at += _FRAME.size + len(messages[-1])
    sound = _count_authentic(signed, trust)
    if sound < len(signed):
        why = "a signature does not hold"
    kept = messages[:sound]
    left = len(content) - offset - sum(_FRAME.size + len(message) for message in kept)
    return kept, tails[sound], f"its last {left} bytes were cut off ({why})" if why else ""


def _count_authentic(chained: list[Link], trust: Trust) -> int:
    """How many links of a chain are authentic: all of them if the last one is, which names a hash over all."""
    if not chained or _is_authentic(chained[-1], trust):
        return len(chained)
    return next(number for number, link in enumerate(chained) if not _is_authentic(link, trust))


def _is_authentic(link: Link, trust: Trust) -> bool:
    try:
        links.verify_signature(link, trust)
    except SignatureRefused:
        return False
    return True


def _follow(message: bytes, tail: Tail, environment: str) -> Link:
    read_message = links.read(message)
    if not tail.precedes(read_message.link):
        raise SignatureRefused("A message is refused", "it does not follow the one before")
    links.check(read_message, environment)
    return read_message.link


def _read_frame(content: bytes, offset: int) -> bytes:
    if len(content) - offset < _FRAME.size:
        raise SignatureRefused("A frame is refused", "a torn write")
    length, checksum = _FRAME.unpack_from(content, offset)
    start = offset + _FRAME.size
    message = content[start : start + length]
    if length > _MAX_MESSAGE_BYTES or len(message) != length or zlib.crc32(message) != checksum:
        raise SignatureRefused("A frame is refused", "a torn write")
    return message
