"""A directory of ours alone, and what can be done in it by descriptors relative to it; links are never followed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from trimtab.model.errors import FilesRefused, PersistFailed

FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW
"""How everything in it is opened."""


class OwnDirectory:
    """Open until `close`. Every call raises `OSError` when the system refuses it."""

    def __init__(self, directory: Path, mode: int) -> None:
        """Open the directory, made with this mode if it is not there.

        Raises `FilesRefused` if it is not a directory of ours that only we can write to, `PersistFailed` if it cannot
        be made or opened.
        """
        self._place = str(directory)
        self._lock: int | None = None
        self._closed = False
        try:
            directory.mkdir(mode=mode, parents=True, exist_ok=True)
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | FLAGS)
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

    def names(self) -> list[str]:
        """The names of all files, sorted."""
        return sorted(os.listdir(self._directory))  # noqa: PTH208 - a descriptor has no Path

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, replacing what has it, in one step."""
        os.rename(source, target, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error. Who has it open keeps it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory)

    def close(self) -> None:
        """Give the directory and its lock back; may be called twice.

        In a forked child this frees nothing of the parent's: the lock belongs to both.
        """
        if self._closed:
            return
        self._closed = True
        if self._lock is not None:
            os.close(self._lock)
        os.close(self._directory)

    def _open(self, name: str, flags: int, mode: int = 0o600) -> int:
        return os.open(name, flags | FLAGS, mode, dir_fd=self._directory)

    def _hold(self, handle: int) -> None:
        """Hold the directory by a lock on an open file, until `close`; raises `BlockingIOError` if somebody else does.

        The kernel frees the lock with the last descriptor, however the process ends.
        """
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._lock = handle

    def _check_ordinary(self, handle: int, name: str) -> os.stat_result:
        """What the system says of an open file; raises `FilesRefused` unless it is an ordinary one of ours."""
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise self._refused(name, "it is not an ordinary file of ours", "Remove it")
        return status

    def _check(self) -> None:
        status = os.fstat(self._directory)
        if status.st_uid != os.geteuid():
            raise self._refused("", f"it belongs to user {status.st_uid}, not to us", "Name a directory of ours")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise self._refused("", "others can write to it", f"Run: chmod go-w {self._place}")

    def _refused(self, name: str, why: str, remedy: str) -> FilesRefused:
        return FilesRefused(f"{self._place}/{name} is refused" if name else f"{self._place} is refused", why, remedy)
