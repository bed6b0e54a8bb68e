"""The reading side of a shared directory: who may have written it, and what is in it.

Nothing is followed through a link, waited for, or believed because it is there.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import stat
from collections.abc import Iterator
from typing import Final

from trimtab.model.errors import FilesRefused, UnavailableError
from trimtab.shared import frames, head, layout
from trimtab.shared.content import content_of
from trimtab.shared.frames import Frame
from trimtab.shared.head import Announcement, Attested
from trimtab.shared.layout import HashPath
from trimtab.shared.snapshot import Snapshot

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_FIRST_CHUNK: Final = 4 * 1024
"""Most news is one small frame; who has more to catch up with reads `_CHUNK` at a time."""
_CHUNK: Final = 64 * 1024


class Directory:
    """An open directory that one owner alone can write to: ourselves, root, or who is named."""

    def __init__(self, place: str, owner: int | None = None) -> None:
        """Raises `FilesRefused` for a directory of anybody else, `UnavailableError` if there is none."""
        self.place = place
        try:
            self._handle = os.open(place, _FLAGS | os.O_DIRECTORY)
        except OSError as error:
            if os.path.islink(place):  # noqa: PTH114 - of text
                raise _refused(place, "it is a symbolic link", "Name the directory itself") from error
            raise UnavailableError(
                f"The directory {place} cannot be opened",
                error.strerror or str(error),
                "Start the sidecar, or name the directory that it writes",
            ) from error
        self._owner = os.fstat(self._handle).st_uid
        allowed = {os.geteuid(), 0} if owner is None else {owner}
        if self._owner not in allowed:
            os.close(self._handle)
            raise _refused(place, f"it belongs to user {self._owner}", "Name the sidecar's user with owner=")
        if os.fstat(self._handle).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            os.close(self._handle)
            raise _refused(place, "others than its owner can write to it", f"Run: chmod go-w {place}")

    def open(self, name: str) -> Handle:
        """An ordinary file of the owner's; raises `FileNotFoundError`, and `FilesRefused` for anything else."""
        what = f"{self.place}/{name}"
        try:
            handle = Handle(os.open(name, _FLAGS | os.O_NONBLOCK, dir_fd=self._handle))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _refused(what, error.strerror or str(error), "Remove it, and start the sidecar again") from error
        status = os.fstat(handle.number)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != self._owner:
            raise _refused(what, "it is not an ordinary file of the directory's owner", "Remove it")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _refused(what, "others than its owner can write to it", "Remove it")
        return handle

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self._handle)


class Handle:
    """A descriptor, given back with the last reference to it. Reading moves no shared position: forks may share it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes at a place, fewer where the file ends."""
        return os.pread(self.number, length, offset)

    @property
    def identity(self) -> tuple[int, int]:
        """What tells this file from another one of the same name."""
        status = os.fstat(self.number)
        return status.st_dev, status.st_ino

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.number)


class Head:
    """The head, read and not mapped: one that shrinks is an error like any other, and not the end of the process."""

    def __init__(self, directory: Directory) -> None:
        """Raises `UnavailableError` while there is none, `FilesRefused` for a foreign or unknown one."""
        what = f"{directory.place}/{layout.HEAD}"
        try:
            self._handle = directory.open(layout.HEAD)
        except FileNotFoundError as error:
            raise UnavailableError(f"There is no {what}", "no sidecar wrote it yet", "Start the sidecar") from error
        content = self._handle.read_at(0, head.SIZE)
        layout.check_prefix(what, content, layout.MAGIC_HEAD)
        if len(content) < head.SIZE:
            raise layout.damaged(what, "it is cut off")

    @property
    def identity(self) -> tuple[int, int]:
        """See `Handle.identity`."""
        return self._handle.identity

    def newest(self) -> Announcement | None:
        """The newest announcement that is whole."""
        return head.newest(self._handle.read_at(0, layout.PAGE))

    def attested(self) -> Attested | None:
        """The newest standing that is whole."""
        found = head.attested(self._handle.read_at(0, head.SIZE))
        return None if found is None else found[1]


class _Exported(ctypes.Structure):
    """The beginning of CPython's `Py_buffer`; the rest is room."""

    _fields_ = (("address", ctypes.c_void_p), ("owner", ctypes.py_object), ("rest", ctypes.c_byte * 128))


class Bell(ctypes.c_uint8):
    """One byte of a mapped log: true while nothing follows. It keeps its mapping alive."""

    mapping: Bells


class Bells:
    """The bells of one log, where they are in memory: to look at one is a comparison in C, without a copy."""

    def __init__(self, handle: Handle) -> None:
        self._mapped = mmap.mmap(handle.number, frames.FIRST, mmap.MAP_SHARED, mmap.PROT_READ)
        self._exported = _Exported()
        ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(self._mapped), ctypes.byref(self._exported), 0)
        self._address = int(self._exported.address or 0)

    def bell(self, number: int) -> Bell:
        """The bell of a frame."""
        if not 0 <= number < frames.CAPACITY:
            raise layout.damaged("A log", f"it has no bell {number}")
        bell = Bell.from_address(self._address + frames.BELLS + number)
        bell.mapping = self
        return bell

    def rung(self, number: int) -> bool:
        """Whether something follows frame `number` - 1."""
        return number >= frames.CAPACITY or self._mapped[frames.BELLS + number] != frames.QUIET

    def __del__(self) -> None:
        if hasattr(self, "_address"):
            ctypes.pythonapi.PyBuffer_Release(ctypes.byref(self._exported))


class Generation:
    """One snapshot file and its log, open: both can be read on when their names are gone."""

    def __init__(self, directory: Directory, number: int, hash_path: HashPath) -> None:
        """Raises `FileNotFoundError` if it is gone already, `FilesRefused` for what the sidecar did not write."""
        self.number = number
        name = layout.snapshot_name(number)
        self._file = directory.open(name)
        self._log = directory.open(layout.changes_name(number))
        frames.check(layout.changes_name(number), self._log.read_at(0, frames.FIRST), number)
        self.bells = Bells(self._log)
        self.snapshot = Snapshot(name, self._file.read_at, hash_path)
        self.content = content_of(self.snapshot)

    def frames(self, first: int, at: int, *, announced: int = 0) -> Iterator[tuple[Frame, int]]:
        """Frames from number `first` on, which stands at a place, each with the place after it.

        They end where no bell has rung and nothing more was announced; raises `FilesRefused` at one that is not whole.
        """
        number, begin = first, at
        chunk = self._log.read_at(at, _CHUNK if announced else _FIRST_CHUNK)
        while number < announced or self.bells.rung(number):
            try:
                frame, end = frames.decode(chunk, at - begin, self.number, number)
            except FilesRefused:  # read before this bell rang: it may have been written since
                chunk, begin = self._log.read_at(at, max(_CHUNK, frames.length_at(chunk, at - begin))), at
                if frames.length_at(chunk, 0) > len(chunk):
                    chunk = self._log.read_at(at, frames.length_at(chunk, 0))
                frame, end = frames.decode(chunk, 0, self.number, number)
            at = begin + end
            number += 1
            yield frame, at


def _refused(what: str, why: str, remedy: str) -> FilesRefused:
    return FilesRefused(f"{what} is refused", why, remedy)
