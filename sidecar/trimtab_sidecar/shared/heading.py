"""The writing side of `head`."""

from __future__ import annotations

from typing import Final

from trimtab.model.positions import Position
from trimtab.shared import head, layout
from trimtab.shared.head import Announcement, Attested
from trimtab_sidecar.shared.files import SharedFiles

_NEW: Final = "head.new"


class Heading:
    """Announces generations and standings. The file outlives the sidecar: readers have it mapped."""

    def __init__(self, files: SharedFiles) -> None:
        """Take the head that is there, or make one; one that cannot be read is replaced."""
        self._files = files
        files.remove(_NEW)
        self._handle, content = self._existing() if layout.HEAD in files.names() else self._fresh()
        newest, attested = head.newest(content), head.attested(content)
        self._sequence = 0 if newest is None else newest.sequence
        self.generation = 0 if newest is None else newest.generation
        self._attested = 0 if attested is None else attested[0]

    def announce(self, generation: int, frames: int, log_end: int, position: Position) -> None:
        """Name the generation that serves, and how much of its log there is."""
        made = Announcement(self._sequence + 1, generation, frames, log_end, position)
        self._files.store(self._handle, made.place, made.encode())
        self._sequence = made.sequence
        self.generation = generation
        self._files.store(self._handle, head.WORD, made.sequence.to_bytes(8, "little"))

    def attest(self, attested: Attested) -> None:
        """Say how far to trust what is served."""
        self._attested += 1
        self._files.store(self._handle, head.standing_place(self._attested), attested.encode(self._attested))

    def close(self) -> None:
        """Give the file back."""
        self._files.close_handle(self._handle)

    def _existing(self) -> tuple[int, bytes]:
        handle = self._files.open(layout.HEAD)
        content = self._files.read_at(handle, 0, head.SIZE)
        if len(content) == head.SIZE and content.startswith(layout.prefix(layout.MAGIC_HEAD)):
            return handle, content
        self._files.close_handle(handle)
        return self._fresh()

    def _fresh(self) -> tuple[int, bytes]:
        """A head under another name first: readers never meet a half one."""
        handle = self._files.create(_NEW, head.SIZE)
        try:
            self._files.write_at(handle, 0, head.empty())
            self._files.rename(_NEW, layout.HEAD)
        except BaseException:
            self._files.close_handle(handle)
            raise
        return handle, head.empty()
