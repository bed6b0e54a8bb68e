"""`changes-<n>`: the log of one generation, written at its end only.

    0     prefix, u64 generation, u64 capacity in frames, u32 checksum of the bytes before it
    64    one byte for each frame that may come: the bells
    8192  frames, one after the other

A bell is 255 while no frame follows: whoever has taken i frames looks at bell i. It becomes 0 once frame i is whole and
announced, and never changes again, so that nobody who looks away can mistake a later state for an earlier one. When
another generation takes over all bells become 0: a rung bell without a frame means that `head` knows more.

A frame is a header of 72 bytes (magic, length, generation, number, epoch, revision, hash), its body, and a
checksum over both.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from trimtab.model.errors import FilesRefused
from trimtab.model.positions import Position
from trimtab.shared import layout, records

BELLS: Final = 64
FIRST: Final = 2 * layout.PAGE
"""Where the first frame stands."""
CAPACITY: Final = FIRST - BELLS
"""Frames that one log has bells for."""
QUIET, RUNG = 0xFF, 0
Layer: TypeAlias = "tuple[int, str, str, int]"
"""(number, environment, selector, rank)."""

_HEADER: Final = struct.Struct("<QQ")
_FRAME: Final = struct.Struct("<IIQQQQ32s")
_MAGIC: Final = 0x4D415246
_COUNTS: Final = struct.Struct("<III")
_LONG: Final = struct.Struct("<I")
OVERHEAD: Final = _FRAME.size + 4
MAX_FRAME: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame. `records` are the new records of the touched paths by path, `deltas` the children of their parents."""

    generation: int
    number: int
    position: Position
    hash: bytes
    layers: tuple[Layer, ...] = ()
    records: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    deltas: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    def encode(self) -> bytes:
        """Its bytes."""
        body = self._body()
        header = _FRAME.pack(
            _MAGIC,
            OVERHEAD + len(body),
            self.generation,
            self.number,
            self.position.epoch,
            self.position.revision,
            self.hash,
        )
        content = header + body
        return content + layout.checksum(content, self.generation).to_bytes(4, "little")

    def _body(self) -> bytes:
        named = json.dumps(self.layers).encode() if self.layers else b""
        parts = [_COUNTS.pack(len(named), len(self.records), len(self.deltas)), named, *self.records.values()]
        for parent, content in self.deltas.items():
            name = parent.encode()
            parts += (struct.pack("<H", len(name)), name, _LONG.pack(len(content)), content)
        return b"".join(parts)


def empty(generation: int) -> bytes:
    """The first two pages of a log without frames."""
    content = layout.prefix(layout.MAGIC_CHANGES) + _HEADER.pack(generation, CAPACITY)
    content += layout.checksum(content).to_bytes(4, "little")
    return content.ljust(BELLS, b"\0") + bytes([QUIET]) * CAPACITY


def check(what: str, content: bytes, generation: int) -> None:
    """Refuse the first pages of a log that are not those of this generation."""
    layout.check_prefix(what, content, layout.MAGIC_CHANGES)
    end = layout.PREFIX.size + _HEADER.size
    if len(content) < FIRST:
        raise layout.damaged(what, "it is cut off")
    found, capacity = _HEADER.unpack_from(content, layout.PREFIX.size)
    said = int.from_bytes(content[end : end + 4], "little")
    if said != layout.checksum(content[:end]) or found != generation or capacity != CAPACITY:
        raise layout.damaged(what, "its checksum or its generation is wrong")


def decode(content: bytes | memoryview, at: int, generation: int, number: int) -> tuple[Frame, int]:
    """The frame at a place, and the place after it; raises `FilesRefused` for anything but frame `number`."""
    if len(content) - at < OVERHEAD:
        raise damaged(generation, number, "it is cut off")
    magic, length, found, counted, epoch, revision, digest = _FRAME.unpack_from(content, at)
    if magic != _MAGIC or (found, counted) != (generation, number) or not OVERHEAD <= length <= MAX_FRAME:
        raise damaged(generation, number, "its header is wrong")
    end = at + length
    if end > len(content):
        raise damaged(generation, number, "it is cut off")
    if layout.checksum(content[at : end - 4], generation) != int.from_bytes(content[end - 4 : end], "little"):
        raise damaged(generation, number, "its checksum is wrong")
    try:
        frame = _read(bytes(content[at + _FRAME.size : end - 4]), generation, number, Position(epoch, revision), digest)
    except (struct.error, ValueError, TypeError) as error:
        raise damaged(generation, number, "it is malformed") from error
    return frame, end


def length_at(content: bytes, at: int) -> int:
    """How long the frame at a place says that it is; 0 where nothing says so."""
    if len(content) - at < _FRAME.size:
        return 0
    magic, length, *_ = _FRAME.unpack_from(content, at)
    return length if magic == _MAGIC and length <= MAX_FRAME else 0


def _read(body: bytes, generation: int, number: int, position: Position, digest: bytes) -> Frame:
    named, count, parents = _COUNTS.unpack_from(body)
    at = _COUNTS.size + named
    layers = tuple((one[0], one[1], one[2], one[3]) for one in json.loads(body[_COUNTS.size : at])) if named else ()
    held: dict[str, bytes] = {}
    for _ in range(count):
        (length,) = _LONG.unpack_from(body, at)
        record = body[at : at + length]
        held[records.path_of(record).decode()] = record
        at += length
    deltas: dict[str, bytes] = {}
    for _ in range(parents):
        parent, at = records.text(body, at)
        (length,) = _LONG.unpack_from(body, at)
        at += _LONG.size
        deltas[parent] = body[at : at + length]
        at += length
    if at != len(body):
        raise ValueError("length")
    return Frame(
        generation=generation,
        number=number,
        position=position,
        hash=digest,
        layers=layers,
        records=held,
        deltas=deltas,
    )


def damaged(generation: int, number: int, why: str) -> FilesRefused:
    """The error for a frame that cannot be taken."""
    return layout.damaged(f"Frame {number} of {layout.changes_name(generation)}", why)
