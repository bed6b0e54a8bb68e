"""The `SharedFiles` port over a real directory, with a judge before every operation: it may watch, fail or kill."""

from __future__ import annotations

import errno
from pathlib import Path

from tests.support.files_fake import Judge, Judged, Killed, lenient
from trimtab_sidecar.shared import SharedDirectory

WORD_BYTES = 8
"""A store of so many bytes is one instruction: it is done or not, never half."""


class JudgedFiles(Judged):
    """Counts every operation. A write that fails or is killed has written the first half."""

    def __init__(self, place: Path, judge: Judge = lenient) -> None:
        super().__init__(judge, errno.ENOSPC)
        self._files = SharedDirectory(place)

    def lock(self, name: str) -> None:
        self._operate("lock")
        self._files.lock(name)

    def names(self) -> list[str]:
        self._operate("names")
        return self._files.names()

    def create(self, name: str, size: int = 0) -> int:
        self._operate("create")
        return self._files.create(name, size)

    def open(self, name: str) -> int:
        self._operate("open")
        return self._files.open(name)

    def write_at(self, handle: int, offset: int, content: bytes) -> None:
        try:
            self._operate("write_at")
        except (OSError, Killed):
            self._files.write_at(handle, offset, content[: len(content) // 2])
            raise
        self._files.write_at(handle, offset, content)

    def read_at(self, handle: int, offset: int, length: int) -> bytes:
        self._operate("read_at")
        return self._files.read_at(handle, offset, length)

    def store(self, handle: int, offset: int, content: bytes) -> None:
        try:
            self._operate("store")
        except (OSError, Killed):
            if len(content) > WORD_BYTES:
                self._files.store(handle, offset, content[: len(content) // 2])
            raise
        self._files.store(handle, offset, content)

    def close_handle(self, handle: int) -> None:
        self._files.close_handle(handle)

    def rename(self, source: str, target: str) -> None:
        self._operate("rename")
        self._files.rename(source, target)

    def remove(self, name: str) -> None:
        self._operate("remove")
        self._files.remove(name)

    def close(self) -> None:
        self._files.close()
