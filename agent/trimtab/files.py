"""Files: the one narrow port through which an agent touches its directory.

Every operation is relative to one open directory. A fake of the same shape fails or kills at the n-th call (tests).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final, Protocol

from trimtab.directories import OwnDirectory
from trimtab.model.errors import DirectoryHeld

_DIRECTORY_MODE: Final = 0o700
_READ_BYTES: Final = 1024 * 1024


class Files(Protocol):
    """One directory. Names are plain file names; every call raises `OSError` when the system refuses it.

    What was written is safe from a crash of the machine after `sync` of its handle; what was created, renamed or
    removed, after `sync_directory`.
    """

    @property
    def place(self) -> str:
        """The directory's path, for messages."""
        ...

    def lock(self, name: str) -> None:
        """Hold the directory until `close`; raises `DirectoryHeld` if another process, or another agent here, does."""
        ...

    def names(self) -> list[str]:
        """The names of all files, sorted."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """The content of an ordinary file of ours; raises `FilesRefused` for anything else and above the limit."""
        ...

    def create(self, name: str) -> int:
        """A handle on a new file with mode 0600; raises `FileExistsError`."""
        ...

    def append(self, name: str) -> int:
        """A handle that writes at the end of an existing file."""
        ...

    def write(self, handle: int, content: bytes) -> None:
        """Write everything, or raise; after an error a part may be written."""
        ...

    def sync(self, handle: int) -> None:
        """Bring what was written to the handle to stable storage."""
        ...

    def close_handle(self, handle: int) -> None:
        """Give a handle back."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, replacing what has it, in one step."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        ...

    def sync_directory(self) -> None:
        """Bring creations, renames and removals to stable storage."""
        ...

    def close(self) -> None:
        """Give the directory and its lock back; may be called twice."""
        ...


class DirectoryFiles(OwnDirectory):
    """The real thing: descriptors relative to the directory, symbolic links never followed."""

    def __init__(self, directory: Path) -> None:
        """Open the directory, made with mode 0700 if it is not there; raises what `OwnDirectory` does."""
        super().__init__(directory, _DIRECTORY_MODE)

    @property
    def place(self) -> str:
        """See `Files.place`."""
        return self._place

    def lock(self, name: str) -> None:
        """See `Files.lock`."""
        handle = self._open(name, os.O_RDWR | os.O_CREAT)
        try:
            self._hold(handle)
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            os.close(handle)
            raise DirectoryHeld(
                f"The directory {self._place} is in use",
                f"the process {holder} holds it" if holder else "another process holds it",
                "Stop that process, or give this one a directory of its own",
            ) from error
        except OSError:
            os.close(handle)
            raise
        with contextlib.suppress(OSError):  # the number is a courtesy to whoever meets the lock
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def read(self, name: str, limit: int) -> bytes:
        """See `Files.read`."""
        handle = self._open(name, os.O_RDONLY | os.O_NONBLOCK)  # not to wait for the writer of a named pipe
        try:
            if self._check_ordinary(handle, name).st_size > limit:
                raise self._refused(name, f"it has more than {limit} bytes", "Remove it")
            parts: list[bytes] = []
            while part := os.read(handle, _READ_BYTES):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(handle)

    def create(self, name: str) -> int:
        """See `Files.create`."""
        return self._open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def append(self, name: str) -> int:
        """See `Files.append`."""
        return self._open(name, os.O_WRONLY | os.O_APPEND)

    def write(self, handle: int, content: bytes) -> None:
        """See `Files.write`."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(handle, rest) :]

    def sync(self, handle: int) -> None:
        """See `Files.sync`."""
        os.fsync(handle)

    def close_handle(self, handle: int) -> None:
        """See `Files.close_handle`."""
        os.close(handle)

    def sync_directory(self) -> None:
        """See `Files.sync_directory`."""
        os.fsync(self._directory)
