"""Records: what all layers together hold at one path.

    u32 length of the record, u32 length of its own part
    own part    u16 length, path; u16 number of candidates, each u32 layer, u32 length, content
    children    u32 number of children, each u16 length, segment

Candidates stand in rank order, the winning one first; an empty content is a tombstone. Its layer carries the bit
`SEALED` where no layer of its rank or above has anything below the path: who sees it sees nothing there. Whoever wants
the candidates of a path with thousands of children reads its own part only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from trimtab.model.errors import FilesRefused
from trimtab.shared import layout

Candidates: TypeAlias = "tuple[tuple[int, bytes], ...]"
"""(number of the layer, content), the winning one first."""

SEALED: Final = 1 << 31
LENGTHS: Final = struct.Struct("<II")
START: Final = struct.Struct("<IIH")
"""Both lengths, and the length of the path that follows."""
_SHORT: Final = struct.Struct("<H")
_LONG: Final = struct.Struct("<I")
_CANDIDATE: Final = struct.Struct("<II")
_DELTA: Final = struct.Struct("<BH")


def encode(path: str, candidates: Sequence[tuple[int, bytes]], children: Iterable[str] = ()) -> bytes:
    """The bytes of a record."""
    name = path.encode()
    parts = [_SHORT.pack(len(name)), name, _SHORT.pack(len(candidates))]
    for layer, content in candidates:
        parts += (_CANDIDATE.pack(layer, len(content)), content)
    own = b"".join(parts)
    below = b"".join(_short(segment) for segment in children)
    if below:
        below = _LONG.pack(len(below)) + below
    return LENGTHS.pack(LENGTHS.size + len(own) + len(below), LENGTHS.size + len(own)) + own + below


def path_of(own: bytes) -> bytes:
    """The path of a record, UTF-8, given its own part (with the lengths)."""
    (length,) = _SHORT.unpack_from(own, LENGTHS.size)
    begin = LENGTHS.size + _SHORT.size
    return own[begin : begin + length]


def has_children(own: bytes) -> bool:
    """Whether a record lists children."""
    total, mine = LENGTHS.unpack_from(own)
    return bool(total > mine)


def candidates(own: bytes) -> Candidates:
    """The candidates of a record; raises `FilesRefused` for lengths that point outside."""
    try:
        (length,) = _SHORT.unpack_from(own, LENGTHS.size)
        at = LENGTHS.size + _SHORT.size + length
        (count,) = _SHORT.unpack_from(own, at)
        at += _SHORT.size
        found: list[tuple[int, bytes]] = []
        for _ in range(count):
            layer, length = _CANDIDATE.unpack_from(own, at)
            at += _CANDIDATE.size
            found.append((layer, own[at : at + length]))
            at += length
    except struct.error as error:
        raise _damaged() from error
    if at > len(own):
        raise _damaged()
    return tuple(found)


def children(below: bytes) -> Iterator[str]:
    """The segments that the second part of a record lists."""
    at = _LONG.size
    while at < len(below):
        segment, at = text(below, at)
        yield segment


def text(content: bytes, at: int) -> tuple[str, int]:
    """A short text and the place after it; raises `FilesRefused` where there is none."""
    try:
        (length,) = _SHORT.unpack_from(content, at)
        begin = at + _SHORT.size
        found = content[begin : begin + length]
        if len(found) == length:
            return found.decode(), begin + length
    except (struct.error, UnicodeDecodeError) as error:
        raise _damaged() from error
    raise _damaged()


def encode_delta(segment: str, *, there: bool) -> bytes:
    """A child that appears or vanishes: u8, u16 length, segment."""
    name = segment.encode()
    return _DELTA.pack(there, len(name)) + name


def deltas(content: bytes) -> dict[str, bool]:
    """Which children appeared (true) and vanished, the last word of each."""
    found: dict[str, bool] = {}
    at = 0
    while at < len(content):
        there = content[at] == 1
        segment, at = text(content, at + 1)
        found[segment] = there
    return found


def _short(segment: str) -> bytes:
    name = segment.encode()
    return _SHORT.pack(len(name)) + name


def _damaged() -> FilesRefused:
    return layout.damaged("A record", "its lengths point outside of it")
