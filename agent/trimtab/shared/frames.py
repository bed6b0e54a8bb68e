"""`changes-<n>`: the log of one generation, written at its end only.

    0     prefix, u64 generation, u64 capacity in frames, u32 checksum of the bytes before it
    64    one byte for each frame that may come: the bells
    8192  frames, one after the other

A bell is 255 while no frame follows: whoever has taken i frames looks at bell i. It becomes 0 once frame i is whole and
announced, and never changes again, so that nobody who looks away can mistake a later state for an earlier one. When
another generation takes over all bells become 0: a rung bell without a frame means that `head` knows more.

A frame is a header of 80 bytes (magic, length, generation, number, epoch, revision, hash, flag), its body, and a
checksum over both. Its flag says whether it holds a tombstone.
"""

from __future__ import annotations

import json
import struct
from typing import Final, NamedTuple, TypeAlias

from trimtab.model.errors import FilesRefused
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
_FRAME: Final = struct.Struct("<IIQQQQ32sI4x")
_MAGIC: Final = 0x4D415246
_COUNTS: Final = struct.Struct("<III")
_SHORT: Final = struct.Struct("<H")
_LONG: Final = struct.Struct("<I")
OVERHEAD: Final = _FRAME.size + 4
MAX_FRAME: Final = 8 * 1024 * 1024


class Frame(NamedTuple):
    """One frame. `records` are the new records of the touched paths by path, `deltas` the children of their parents.

    A tuple, because a reader that attaches makes hundreds.
    """

    generation: int
    number: int
    epoch: int
    revision: int
    hash: bytes
    hides: bool
    layers: tuple[Layer, ...]
    records: dict[str, bytes]
    deltas: dict[str, bytes]

    def encode(self) -> bytes:
        """Its bytes."""
        named = json.dumps(self.layers).encode() if self.layers else b""
        parts = [_COUNTS.pack(len(named), len(self.records), len(self.deltas)), named, *self.records.values()]
        for parent, content in self.deltas.items():
            name = parent.encode()
            parts += (_SHORT.pack(len(name)), name, _LONG.pack(len(content)), content)
        body = b"".join(parts)
        place = (self.generation, self.number, self.epoch, self.revision)
        content = _FRAME.pack(_MAGIC, OVERHEAD + len(body), *place, self.hash, self.hides) + body
        return content + layout.checksum(content, self.generation).to_bytes(4, "little")


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


def decode(content: bytes, at: int, generation: int, number: int) -> tuple[Frame, int]:
    """The frame at a place, and the place after it; raises `FilesRefused` for anything but frame `number`."""
    if len(content) - at < OVERHEAD:
        raise damaged(generation, number, "it is cut off")
    magic, length, found, counted, epoch, revision, digest, hides = _FRAME.unpack_from(content, at)
    if magic != _MAGIC or found != generation or counted != number or not OVERHEAD <= length <= MAX_FRAME:
        raise damaged(generation, number, "its header is wrong")
    end = at + length
    if end > len(content):
        raise damaged(generation, number, "it is cut off")
    if layout.checksum(content[at : end - 4], generation) != int.from_bytes(content[end - 4 : end], "little"):
        raise damaged(generation, number, "its checksum is wrong")
    try:
        layers, held, deltas = _read(content, at + _FRAME.size, end - 4)
    except (struct.error, ValueError, TypeError) as error:
        raise damaged(generation, number, "it is malformed") from error
    return Frame(generation, number, epoch, revision, digest, bool(hides), layers, held, deltas), end


def length_at(content: bytes, at: int) -> int:
    """How long the frame at a place says that it is; 0 where nothing says so."""
    if len(content) - at < _FRAME.size:
        return 0
    magic, length, *_ = _FRAME.unpack_from(content, at)
    return length if magic == _MAGIC and length <= MAX_FRAME else 0


def _read(content: bytes, at: int, end: int) -> tuple[tuple[Layer, ...], dict[str, bytes], dict[str, bytes]]:
    """The body of a frame."""
    named, count, parents = _COUNTS.unpack_from(content, at)
    at += _COUNTS.size
    layers: tuple[Layer, ...] = ()
    if named:
        layers = tuple((one[0], one[1], one[2], one[3]) for one in json.loads(content[at : at + named]))
        at += named
    held: dict[str, bytes] = {}
    for _ in range(count):
        length, _, name = records.START.unpack_from(content, at)
        begin = at + records.START.size
        held[content[begin : begin + name].decode()] = content[at : at + length]
        at += length
    deltas: dict[str, bytes] = {}
    for _ in range(parents):
        parent, at = records.text(content, at)
        (length,) = _LONG.unpack_from(content, at)
        at += _LONG.size
        deltas[parent] = content[at : at + length]
        at += length
    if at != end:
        raise ValueError("length")
    return layers, held, deltas


def damaged(generation: int, number: int, why: str) -> FilesRefused:
    """The error for a frame that cannot be taken."""
    return layout.damaged(f"Frame {number} of {layout.changes_name(generation)}", why)
