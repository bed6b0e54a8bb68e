"""Files: the port through which the sidecar writes its directory, and the real one.

Nothing here is brought to stable storage: the directory lives in memory and is built anew after a crash of the machine.
A kill leaves what was written so far, in the order in which it was written.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Final, Protocol

from trimtab.directories import OwnDirectory
from trimtab.model.errors import DirectoryHeld, FilesRefused

MAPPED: Final = 8192
"""What `store` reaches: the first two pages of a file."""
_MODE: Final = 0o640
_DIRECTORY_MODE: Final = 0o750


class SharedFiles(Protocol):
    """One directory. Names are plain file names; every call raises `OSError` when the system refuses it."""

    def lock(self, name: str) -> None:
        """Hold the directory until `close`; raises `DirectoryHeld` if another process does."""
        ...

    def names(self) -> list[str]:
        """The names of all files, sorted."""
        ...

    def create(self, name: str, size: int = 0) -> int:
        """A handle on a new file that the group may read, with memory for `size` bytes; raises `FileExistsError`."""
        ...

    def open(self, name: str) -> int:
        """A handle that reads and writes an ordinary file of ours; raises `FilesRefused` for anything else."""
        ...

    def write_at(self, handle: int, offset: int, content: bytes) -> None:
        """Write everything at a place, or raise; after an error a part may be written."""
        ...

    def read_at(self, handle: int, offset: int, length: int) -> bytes:
        """The bytes at a place, fewer where the file ends."""
        ...

    def store(self, handle: int, offset: int, content: bytes) -> None:
        """Write into the first two pages through a mapping: 8 aligned bytes appear at once. Cannot fail for space."""
        ...

    def close_handle(self, handle: int) -> None:
        """Give a handle back."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, replacing what has it, in one step."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error. Who has it open keeps it."""
        ...

    def close(self) -> None:
        """Give the directory and its lock back; may be called twice."""
        ...


class SharedDirectory(OwnDirectory):
    """The real thing: descriptors relative to the directory, symbolic links never followed."""

    def __init__(self, directory: Path, group: int | None = None) -> None:
        """Open the directory, made with mode 0750 if it is not there; `group` is the one that bots belong to.

        Raises what `OwnDirectory` does.
        """
        self._group = group
        self._mapped: dict[int, mmap.mmap] = {}
        super().__init__(directory, _DIRECTORY_MODE)

    def lock(self, name: str) -> None:
        """See `SharedFiles.lock`."""
        handle = self._open(name, os.O_RDWR | os.O_CREAT)
        try:
            self._hold(handle)
        except OSError as error:
            os.close(handle)
            if isinstance(error, BlockingIOError):
                raise DirectoryHeld(
                    f"The directory {self._place} is in use",
                    "another sidecar writes it",
                    "Stop that process, or give this one a directory of its own",
                ) from error
            raise

    def create(self, name: str, size: int = 0) -> int:
        """See `SharedFiles.create`."""
        handle = self._open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE)
        try:
            os.fchmod(handle, _MODE)  # whatever the umask
            if self._group is not None:
                os.fchown(handle, -1, self._group)
            if size:
                os.posix_fallocate(handle, 0, size)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def open(self, name: str) -> int:
        """See `SharedFiles.open`."""
        handle = self._open(name, os.O_RDWR | os.O_NONBLOCK)
        try:
            self._check_ordinary(handle, name)
        except FilesRefused:
            os.close(handle)
            raise
        return handle

    def write_at(self, handle: int, offset: int, content: bytes) -> None:
        """See `SharedFiles.write_at`."""
        rest = memoryview(content)
        while rest:
            written = os.pwrite(handle, rest, offset)
            rest, offset = rest[written:], offset + written

    def read_at(self, handle: int, offset: int, length: int) -> bytes:
        """See `SharedFiles.read_at`."""
        return os.pread(handle, length, offset)

    def store(self, handle: int, offset: int, content: bytes) -> None:
        """See `SharedFiles.store`."""
        mapped = self._mapped.get(handle)
        if mapped is None:
            mapped = self._mapped[handle] = mmap.mmap(handle, MAPPED)
        mapped[offset : offset + len(content)] = content

    def close_handle(self, handle: int) -> None:
        """See `SharedFiles.close_handle`."""
        mapped = self._mapped.pop(handle, None)
        if mapped is not None:
            mapped.close()
        os.close(handle)

    def _check(self) -> None:
        super()._check()
        if self._group is not None:
            os.fchown(self._directory, -1, self._group)
