"""`head`: the only file that is rewritten in place. It names the newest generation and says how far to trust it.

0     prefix (16 bytes), then the sequence word: the number of the newest record, written last
64    64 records of 56 bytes used in turn: record n stands in slot n mod 64
4096  two standings of 2,048 bytes used in turn
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trimtab.model.positions import START, Position
from trimtab.shared import layout

SIZE: Final = 2 * layout.PAGE
WORD: Final = 16
"""Where the sequence word stands."""
RECORDS: Final = 64
_FIRST: Final = 64
_RECORD: Final = struct.Struct("<QQQQQQI4x")
_STANDING: Final = struct.Struct("<QqqQQQQIII4x")
_STANDINGS: Final = layout.PAGE
_SLOT: Final = 2048
_NEVER: Final = -1
_TEXT_CHARACTERS: Final = 200

FOLLOWING, SUBSCRIBED, AHEAD, FORKED = 1, 2, 4, 8


@dataclass(frozen=True, slots=True)
class Announcement:
    """A record of the head: which generation serves, and how much of its log there is."""

    sequence: int
    generation: int
    frames: int
    log_end: int
    position: Position

    @property
    def place(self) -> int:
        """Where in the file it stands."""
        return _FIRST + self.sequence % RECORDS * _RECORD.size

    def encode(self) -> bytes:
        """Its bytes."""
        fields = (self.sequence, self.generation, self.frames, self.log_end, *_numbers(self.position))
        return _RECORD.pack(*fields, layout.checksum(_RECORD.pack(*fields, 0)[:48]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """What the sidecar says about the freshness of what it serves; times in seconds of the clock that counts suspend.

    `certified_at` is None if nothing was ever certified; it was certified for the view at `served`, and with it that
    nothing up to the store's revision `proven` is missing.
    """

    heartbeat: float
    certified_at: float | None = None
    served: Position = START
    proven: Position = START
    poll_after: float = 1.0
    following: bool = True
    subscribed: bool = False
    ahead: bool = False
    forked: bool = False
    alarms: Mapping[str, str] = field(default_factory=dict[str, str])

    def encode(self, sequence: int) -> bytes:
        """One slot; alarms are shortened to fit."""
        flags = sum(
            flag
            for flag, is_set in (
                (FOLLOWING, self.following),
                (SUBSCRIBED, self.subscribed),
                (AHEAD, self.ahead),
                (FORKED, self.forked),
            )
            if is_set
        )
        certified = _NEVER if self.certified_at is None else int(self.certified_at * 1e9)
        text = self._text()
        content = _STANDING.pack(
            sequence,
            int(self.heartbeat * 1e9),
            certified,
            *_numbers(self.served),
            *_numbers(self.proven),
            int(self.poll_after * 1000),
            flags,
            len(text),
        )
        content = (content + text).ljust(_SLOT - 4, b"\0")
        return content + layout.checksum(content).to_bytes(4, "little")

    def _text(self) -> bytes:
        alarms = {name: text[:_TEXT_CHARACTERS] for name, text in self.alarms.items()}
        while len(text := json.dumps(alarms, ensure_ascii=True).encode()) > _SLOT - 4 - _STANDING.size:
            alarms.popitem()
        return text


def empty() -> bytes:
    """A head that announces nothing."""
    return layout.prefix(layout.MAGIC_HEAD).ljust(SIZE, b"\0")


def newest(content: bytes | memoryview) -> Announcement | None:
    """The newest record that is whole; None if there is none."""
    word = int.from_bytes(content[WORD : WORD + 8], "little")
    found = _record(content, word % RECORDS)
    if found is not None and found.sequence == word:
        return found
    known = (_record(content, slot) for slot in range(RECORDS))
    return max((one for one in known if one is not None), key=lambda one: one.sequence, default=None)


def attested(content: bytes | memoryview) -> tuple[int, Attested] | None:
    """The newest standing that is whole, with its number; None if there is none."""
    found = [one for slot in (0, 1) if (one := _standing(content, slot)) is not None]
    return max(found, key=lambda one: one[0], default=None)


def standing_place(sequence: int) -> int:
    """Where the standing with this number stands."""
    return _STANDINGS + sequence % 2 * _SLOT


def _record(content: bytes | memoryview, slot: int) -> Announcement | None:
    at = _FIRST + slot * _RECORD.size
    text = bytes(content[at : at + _RECORD.size])
    if len(text) < _RECORD.size:
        return None
    sequence, generation, frames, log_end, epoch, revision, check = _RECORD.unpack(text)
    if not sequence or check != layout.checksum(text[:48]):
        return None
    return Announcement(sequence, generation, frames, log_end, Position(epoch, revision))


def _standing(content: bytes | memoryview, slot: int) -> tuple[int, Attested] | None:
    at = _STANDINGS + slot * _SLOT
    text = bytes(content[at : at + _SLOT])
    if len(text) < _SLOT or int.from_bytes(text[-4:], "little") != layout.checksum(text[:-4]):
        return None
    sequence, heartbeat, certified, *numbers, poll_after, flags, length = _STANDING.unpack_from(text)
    if not sequence:
        return None
    return sequence, Attested(
        heartbeat=heartbeat / 1e9,
        certified_at=None if certified == _NEVER else certified / 1e9,
        served=Position(*numbers[:2]),
        proven=Position(*numbers[2:]),
        poll_after=poll_after / 1000,
        following=bool(flags & FOLLOWING),
        subscribed=bool(flags & SUBSCRIBED),
        ahead=bool(flags & AHEAD),
        forked=bool(flags & FORKED),
        alarms=json.loads(text[_STANDING.size : _STANDING.size + length]),
    )


def _numbers(position: Position) -> tuple[int, int]:
    return position.epoch, position.revision
