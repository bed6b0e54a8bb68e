"""Files: the one narrow port through which an agent touches its directory.

Every operation is relative to one open directory. A fake of the same shape fails or kills at the n-th call (tests).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Final, Protocol

from trimtab.model.errors import DirectoryHeld, FilesRefused, PersistFailed

_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW
_MODE: Final = 0o600
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


class DirectoryFiles:
    """The real thing: descriptors relative to the directory, symbolic links never followed."""

    def __init__(self, directory: Path) -> None:
        """Open the directory, made with mode 0700 if it is not there.

        Raises `FilesRefused` if it is not a directory of ours that only we can write to, `PersistFailed` if it cannot
        be made or opened.
        """
        self._place = str(directory)
        try:
            directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
        except OSError as error:
            if isinstance(error, FileExistsError | NotADirectoryError) or directory.is_symlink():
                raise _refused(self._place, "it is not a directory", "Name another place") from error
            raise PersistFailed(
                f"The directory {self._place} cannot be opened", error.strerror or str(error), "Name another place"
            ) from error
        try:
            self._check()
        except FilesRefused:
            os.close(self._directory)
            raise
        self._lock: int | None = None
        self._closed = False

    @property
    def place(self) -> str:
        """See `Files.place`."""
        return self._place

    def lock(self, name: str) -> None:
        """See `Files.lock`. The kernel frees the lock with the last descriptor, however the process ends."""
        handle = self._open(name, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        self._lock = handle
        with contextlib.suppress(OSError):  # the number is a courtesy to whoever meets the lock
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def names(self) -> list[str]:
        """See `Files.names`."""
        return sorted(os.listdir(self._directory))  # noqa: PTH208 - a descriptor has no Path

    def read(self, name: str, limit: int) -> bytes:
        """See `Files.read`."""
        handle = self._open(name, os.O_RDONLY | os.O_NONBLOCK)  # not to wait for the writer of a named pipe
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                raise _refused(f"{self._place}/{name}", "it is not an ordinary file of ours", "Remove it")
            if status.st_size > limit:
                raise _refused(f"{self._place}/{name}", f"it has more than {limit} bytes", "Remove it")
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

    def rename(self, source: str, target: str) -> None:
        """See `Files.rename`."""
        os.rename(source, target, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def remove(self, name: str) -> None:
        """See `Files.remove`."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory)

    def sync_directory(self) -> None:
        """See `Files.sync_directory`."""
        os.fsync(self._directory)

    def close(self) -> None:
        """See `Files.close`. In a forked child this frees nothing of the parent's: the lock belongs to both."""
        if self._closed:
            return
        self._closed = True
        if self._lock is not None:
            os.close(self._lock)
        os.close(self._directory)

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | _FLAGS, _MODE, dir_fd=self._directory)

    def _check(self) -> None:
        status = os.fstat(self._directory)
        if status.st_uid != os.geteuid():
            raise _refused(self._place, f"it belongs to user {status.st_uid}, not to us", "Name a directory of ours")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _refused(self._place, "others can write to it", f"Run: chmod go-w {self._place}")


def _refused(what: str, why: str, remedy: str) -> FilesRefused:
    return FilesRefused(f"{what} is refused", why, remedy)
