"""From `applied` to `proven`: what was served for long enough, also where a newer snapshot has taken its place.

A snapshot that replaces `applied` takes with it what may still become proven. So that is set aside first, as it was at
the revision that was served, unless something waits there already (docs/decisions/0007-generations-on-disk.md).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from trimtab.feeds.disk import generations, sealed
from trimtab.feeds.disk.applied import Applied
from trimtab.feeds.disk.generations import Generation
from trimtab.feeds.disk.loaded import PREVIOUS, PROVEN
from trimtab.files import Files
from trimtab.model.errors import FilesRefused, SignatureRefused
from trimtab.model.links import START, Position
from trimtab.model.statements import Trust

ASIDE: Final = "aside"


class Proving:
    """The files `proven`, `previous` and `aside`. Raises `OSError` where the files do, `PersistFailed` as `Applied`.

    `position` is that of `proven`; what is set aside belongs to this run.
    """

    def __init__(self, files: Files, trust: Trust, environment: str, applied: Applied) -> None:
        self._files, self._trust, self._environment = files, trust, environment
        self._applied = applied
        self._aside = START
        self.position = START

    def set_aside(self, served: Position) -> None:
        """Keep a copy of `applied` as it was at this position; where it does not tell there is nothing to keep."""
        if not self._aside <= self.position < served:
            return
        generation = None
        with suppress(SignatureRefused, FilesRefused, FileNotFoundError):  # damaged: it is about to be replaced
            held = self._applied.read()
            generation = None if held is None else held.upto(served)
        if generation is not None and generation.position == served:
            sealed.replace(self._files, ASIDE, generation.encode())
            self._aside = served

    def promote(self, position: Position) -> bool:
        """Make what was held at a position, or set aside before it, the new `proven`, and the old one `previous`.

        False if that is no progress, or if nothing so old is held.
        """
        if position <= self.position or self._applied.tail is None:
            return False
        self._applied.drain()
        proven = self._applied.checked().upto(position)
        if proven is None and self._aside <= position:
            proven = self._read_aside()
        if proven is None or proven.position <= self.position:
            return False
        temporary = sealed.prepare(self._files, PROVEN, proven.encode())
        with suppress(FileNotFoundError):
            self._files.rename(PROVEN, PREVIOUS)
        self._files.rename(temporary, PROVEN)
        self.position = proven.position
        self._files.sync_directory()
        return True

    def _read_aside(self) -> Generation | None:
        if self._aside > self.position:
            with suppress(SignatureRefused, FilesRefused, FileNotFoundError):  # damaged: the next one will do
                content = self._files.read(ASIDE, generations.MAX_BYTES)
                return generations.read(content, self._trust, self._environment)
            self._aside = START
        return None
