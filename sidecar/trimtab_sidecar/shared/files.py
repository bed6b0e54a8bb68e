"""Files: the port through which the sidecar writes its directory, and the real one.

Nothing here is brought to stable storage: the directory lives in memory and is built anew after a crash of the machine.
A kill leaves what was written so far, in the order in which it was written.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import stat
from pathlib import Path
from typing import Final, Protocol

from trimtab.model.errors import DirectoryHeld, FilesRefused, PersistFailed

MAPPED: Final = 8192
"""What `store` reaches: the first two pages of a file."""
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW
_MODE: Final = 0o640
_DIRECTORY_MODE: Final = 0o750
_LOCK_MODE: Final = 0o600


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


class SharedDirectory:
    """The real thing: descriptors relative to the directory, symbolic links never followed."""

    def __init__(self, directory: Path, group: int | None = None) -> None:
        """Open the directory, made with mode 0750 if it is not there; `group` is the one that bots belong to.

        Raises `FilesRefused` if it is not a directory of ours that only we can write to, `PersistFailed` if it cannot
        be made or opened.
        """
        self._place = str(directory)
        self._group = group
        self._lock: int | None = None
        self._mapped: dict[int, mmap.mmap] = {}
        self._closed = False
        try:
            directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
        except OSError as error:
            if isinstance(error, FileExistsError | NotADirectoryError) or directory.is_symlink():
                raise self._refused("", "it is not a directory", "Name another place") from error
            raise PersistFailed(
                f"The directory {self._place} cannot be opened", error.strerror or str(error), "Name another place"
            ) from error
        try:
            self._check()
        except (FilesRefused, OSError):
            os.close(self._directory)
            raise

    def lock(self, name: str) -> None:
        """See `SharedFiles.lock`. The kernel frees the lock with the last descriptor, however the process ends."""
        handle = os.open(name, os.O_RDWR | os.O_CREAT | _FLAGS, _LOCK_MODE, dir_fd=self._directory)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if isinstance(error, BlockingIOError):
                raise DirectoryHeld(
                    f"The directory {self._place} is in use",
                    "another sidecar writes it",
                    "Stop that process, or give this one a directory of its own",
                ) from error
            raise
        self._lock = handle

    def names(self) -> list[str]:
        """See `SharedFiles.names`."""
        return sorted(os.listdir(self._directory))  # noqa: PTH208 - a descriptor has no Path

    def create(self, name: str, size: int = 0) -> int:
        """See `SharedFiles.create`."""
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, _MODE, dir_fd=self._directory)
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
        handle = os.open(name, os.O_RDWR | os.O_NONBLOCK | _FLAGS, dir_fd=self._directory)
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            os.close(handle)
            raise self._refused(name, "it is not an ordinary file of ours", "Remove it")
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

    def rename(self, source: str, target: str) -> None:
        """See `SharedFiles.rename`."""
        os.rename(source, target, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def remove(self, name: str) -> None:
        """See `SharedFiles.remove`."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory)

    def close(self) -> None:
        """See `SharedFiles.close`."""
        if self._closed:
            return
        self._closed = True
        if self._lock is not None:
            os.close(self._lock)
        os.close(self._directory)

    def _check(self) -> None:
        status = os.fstat(self._directory)
        if status.st_uid != os.geteuid():
            raise self._refused("", f"it belongs to user {status.st_uid}, not to us", "Name a directory of ours")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise self._refused("", "others can write to it", f"Run: chmod go-w {self._place}")
        if self._group is not None:
            os.fchown(self._directory, -1, self._group)

    def _refused(self, name: str, why: str, remedy: str) -> FilesRefused:
        return FilesRefused(f"{self._place}/{name} is refused" if name else f"{self._place} is refused", why, remedy)
