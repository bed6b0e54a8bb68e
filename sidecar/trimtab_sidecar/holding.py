"""Holding: one sidecar for one shared directory. The second one is refused, and told who is there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trimtab.model.errors import DirectoryHeld, FilesRefused, PersistFailed

LOCK: Final = "sidecar.lock"
_DIRECTORY_MODE: Final = 0o750
_LOCK_MODE: Final = 0o640
_MAX_BYTES: Final = 4096


class Holding:
    """The shared directory, held from now on until `close` or the end of the process, however that comes."""

    def __init__(self, directory: Path, environment: str, group: int | None = None) -> None:
        """Make the directory if it is not there (0750), and hold it.

        Raises `DirectoryHeld` where another sidecar does, `FilesRefused` for a directory that others can write to,
        `PersistFailed` where it cannot be made.
        """
        self.directory = directory
        try:
            directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            _check(directory)
            if group is not None:
                os.chown(directory, -1, group)
            self._handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _LOCK_MODE)
        except OSError as error:
            raise PersistFailed(
                f"The directory {directory} cannot be used",
                error.strerror or type(error).__name__,
                "Name another one with --shared",
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            who = _holder(os.pread(self._handle, _MAX_BYTES, 0))
            os.close(self._handle)
            raise DirectoryHeld(
                f"The directory {directory} is held", who, "Stop that sidecar, or name another directory with --shared"
            ) from error
        me = {"pid": os.getpid(), "started": _now(), "environment": environment}
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps(me).encode(), 0)

    def close(self) -> None:
        """Give the directory back. The file stays: removing it could remove the lock of a successor."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, 0)
        os.close(self._handle)


def _check(directory: Path) -> None:
    status = directory.stat()
    if status.st_uid != os.geteuid():
        raise FilesRefused(
            f"The directory {directory} is refused", f"it belongs to user {status.st_uid}, not to us", "Name another"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise FilesRefused(
            f"The directory {directory} is refused", "others can write to it", f"Run: chmod go-w {directory}"
        )


def _holder(content: bytes) -> str:
    try:
        found = json.loads(content)
        return f"by the sidecar of {found['environment']} with pid {found['pid']}, started {found['started']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "by a sidecar that is only just starting or ending"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
