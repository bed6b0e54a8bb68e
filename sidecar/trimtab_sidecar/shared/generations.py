"""Generations: the files that the directory holds, and how those go that nobody needs any more."""

from __future__ import annotations

from trimtab.shared import frames, layout
from trimtab_sidecar.shared.files import SharedFiles


class Generations:
    """What is there of every generation. Everything here raises `OSError`, and `FilesRefused` for what is not ours.

    A reader that has a removed file open keeps it; one that was about to open it looks at `head` again.
    """

    def __init__(self, files: SharedFiles) -> None:
        self._files = files

    @property
    def newest(self) -> int:
        """The highest number that any file has, 0 without one."""
        return max(self._named().values(), default=0)

    def keep_only(self, kept: int) -> None:
        """Remove every file of the others; the bells of each log ring before it goes."""
        for name, generation in self._named().items():
            if generation == kept:
                continue
            if name == layout.changes_name(generation):
                self._ring_all(name)
            self._files.remove(name)

    def discard(self, generation: int) -> None:
        """Remove the files of one that was never announced: nobody reads it."""
        self._files.remove(layout.snapshot_name(generation))
        self._files.remove(layout.changes_name(generation))

    def _named(self) -> dict[str, int]:
        named = {name: layout.generation_of(name) for name in self._files.names()}
        return {name: generation for name, generation in named.items() if generation is not None}

    def _ring_all(self, name: str) -> None:
        handle = self._files.open(name)
        try:
            if len(self._files.read_at(handle, 0, frames.FIRST)) == frames.FIRST:
                self._files.store(handle, frames.BELLS, bytes([frames.RUNG]) * frames.CAPACITY)
        finally:
            self._files.close_handle(handle)
