"""The writing side of one `changes-<n>`."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import Final

from trimtab.shared import frames, layout
from trimtab.shared.frames import Frame
from trimtab_sidecar.shared.building import Delta
from trimtab_sidecar.shared.files import SharedFiles

_SPARE: Final = 64 * 1024
"""For the layers that a frame names, and its headers."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much memory a log takes from the start, so that no frame can fail for lack of it."""

    bytes: int = 2 * 1024 * 1024
    frames: int = frames.CAPACITY


@dataclass(frozen=True, slots=True)
class Limits:
    """When a log goes over to the next generation: so many distinct paths or frames, or bytes; and its whole size."""

    paths: int = 4096
    frames: int = 1024
    log_bytes: int = 1024 * 1024
    room: Room = field(default_factory=Room)


class Log:
    """One log: frames are appended, then announced elsewhere, then rung for."""

    def __init__(self, files: SharedFiles, generation: int, room: Room) -> None:
        """Make the file, whole; raises `OSError` if there is no memory for it."""
        self._files = files
        self._room = room
        self.generation = generation
        self.frames = 0
        self.end = frames.FIRST
        self.paths: set[str] = set()
        self._handle = files.create(layout.changes_name(generation), room.bytes)
        try:
            files.write_at(self._handle, 0, frames.empty(generation))
        except OSError:
            self.close()
            raise

    def has_room(self, size: int) -> bool:
        """Whether a change of about this size can be appended, and one bell is left."""
        return self.end + size + _SPARE <= self._room.bytes and self.frames + 1 < self._room.frames

    def passes(self, limits: Limits) -> bool:
        """Whether the next generation is due."""
        return len(self.paths) > limits.paths or self.frames > limits.frames or self.end > limits.log_bytes

    def append(self, delta: Delta) -> None:
        """Write the next frame. Nobody looks at it before its bell or an announcement."""
        content = Frame(
            self.generation,
            self.frames,
            delta.position.epoch,
            delta.position.revision,
            delta.hash,
            delta.hides,
            delta.layers,
            delta.records,
            delta.deltas,
        ).encode()
        if self.end + len(content) > self._room.bytes:
            raise OSError(errno.ENOSPC, "the log is full")
        self._files.write_at(self._handle, self.end, content)
        self.frames += 1
        self.end += len(content)
        self.paths.update(delta.records)

    def ring(self) -> None:
        """Tell those who wait for the frame that was appended last."""
        self._files.store(self._handle, frames.BELLS + self.frames - 1, bytes([frames.RUNG]))

    def ring_all(self) -> None:
        """Tell everybody that this log ends here."""
        self._files.store(self._handle, frames.BELLS, bytes([frames.RUNG]) * frames.CAPACITY)

    def close(self) -> None:
        """Give the file back."""
        self._files.close_handle(self._handle)
