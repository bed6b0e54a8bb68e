"""The target: a file that is replaced whole or not at all, and only when its content differs."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_MODE: Final = 0o600
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Target:
    """One file. Its calls block on the disk, so they belong on a thread; they raise `OSError`."""

    def __init__(self, path: Path, mode: int | None = None) -> None:
        """`mode` of the file: the one that it has, else 0600, for what is rendered may be a secret."""
        self.path = path
        self._mode = mode
        self._draft = path.with_name(f".{path.name}.trimtab")

    def holds(self, content: bytes) -> bool:
        """Whether this is what the file holds already."""
        try:
            return self.path.read_bytes() == content
        except FileNotFoundError:
            return False

    def draft(self, content: bytes) -> Path:
        """Write the content beside the file, safe from a crash of the machine; `replace` puts it into its place."""
        self.discard()
        handle = os.open(self._draft, _FLAGS, _MODE)
        try:
            os.fchmod(handle, self._chosen_mode())
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        return self._draft

    def replace(self) -> None:
        """The draft becomes the file, in one step."""
        self._draft.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def discard(self) -> None:
        """Remove the draft, if there is one."""
        with suppress(FileNotFoundError):
            self._draft.unlink()

    def _chosen_mode(self) -> int:
        if self._mode is not None:
            return self._mode
        try:
            return stat.S_IMODE(self.path.stat().st_mode)
        except FileNotFoundError:
            return _MODE
