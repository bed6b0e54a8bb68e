"""A fake of the `Files` port that counts every operation, fails or dies at chosen ones, and can lose power.

Power loss keeps what was synced. Of the rest, a `Fate` decides: each file's unsynced end may be kept, lost, torn, or
kept behind a hole of zeros; each name made, moved or removed since the last sync of the directory may be kept or
undone, on its own or in order.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from trimtab.model.errors import DirectoryHeld

Tail = Literal["kept", "lost", "torn", "hole"]
Names = Literal["all", "none", "some", "first", "last"]


class Killed(BaseException):
    """The process died here; nothing may catch it."""


@dataclass(eq=False)
class Inode:
    """A file's content, and how much of it is on stable storage."""

    content: bytes = b""
    stable: bytes = b""

    def after_power_loss(self, tail: Tail, rng: random.Random) -> bytes:
        if tail == "kept" or self.content == self.stable:
            return self.content
        if tail == "lost":
            return self.stable
        start = len(self.stable)
        cut = rng.randint(start, len(self.content))
        if tail == "torn":
            return self.content[:cut]
        return self.content[:start] + bytes(cut - start) + self.content[cut:]


NameChange = dict[str, Inode | None]
"""Names with what they mean now; None where the name is gone. One operation's names change together."""


@dataclass(frozen=True)
class Fate:
    """What a power loss does to what was not synced. `names`: how many of the pending changes of names survive."""

    tail: Tail = "lost"
    names: Names = "none"
    seed: int = 0

    def surviving(self, pending: list[NameChange], rng: random.Random) -> list[NameChange]:
        if self.names == "all":
            return pending
        if self.names == "first":
            return pending[: rng.randint(0, len(pending))]
        if self.names == "last":
            return pending[rng.randint(0, len(pending)) :]
        return [change for change in pending if self.names == "some" and rng.random() < 0.5]


_CHOICES: Final[tuple[tuple[Tail, Names], ...]] = (
    ("lost", "none"),
    ("lost", "all"),
    ("kept", "none"),
    ("torn", "all"),
    ("hole", "all"),
    ("torn", "first"),
    ("lost", "last"),
    ("torn", "some"),
    ("hole", "some"),
)
FATES: Final = tuple(Fate(tail, names, seed) for seed, (tail, names) in enumerate(_CHOICES))


@dataclass
class Disk:
    """What outlives a process: one directory."""

    names: dict[str, Inode] = field(default_factory=dict[str, Inode])
    stable_names: dict[str, Inode] = field(default_factory=dict[str, Inode])
    pending: list[NameChange] = field(default_factory=list[NameChange])
    held: bool = False

    def lose_power(self, fate: Fate) -> Disk:
        """The directory as the next boot finds it; everything left is on stable storage."""
        rng = random.Random(fate.seed)
        names = dict(self.stable_names)
        for change in fate.surviving(self.pending, rng):
            for name, inode in change.items():
                if inode is None:
                    names.pop(name, None)
                else:
                    names[name] = inode
        return self._frozen({name: inode.after_power_loss(fate.tail, rng) for name, inode in names.items()})

    def lose_process(self) -> Disk:
        """The directory after a kill: the system still holds everything, synced or not."""
        return self._frozen({name: inode.content for name, inode in self.names.items()})

    @staticmethod
    def _frozen(contents: dict[str, bytes]) -> Disk:
        inodes = {name: Inode(content, content) for name, content in contents.items()}
        return Disk(names=dict(inodes), stable_names=dict(inodes))


Verdict = Literal["", "fail", "kill"]
Judge = Callable[[int, str], Verdict]
"""From the number of an operation (from 1) and its kind to what happens to it."""


def lenient(_number: int, _kind: str) -> Verdict:
    """The judge who lets every operation pass."""
    return ""


class Judged:
    """Counts operations, and lets a judge watch, fail or kill before each."""

    def __init__(self, judge: Judge, error: int) -> None:
        self.judge, self.error = judge, error
        self.operations: list[str] = []

    def _operate(self, kind: str) -> None:
        self.operations.append(kind)
        verdict = self.judge(len(self.operations), kind)
        if verdict == "kill":
            raise Killed
        if verdict == "fail":
            raise OSError(self.error, os.strerror(self.error))


class FakeFiles(Judged):
    """One process's hold on a `Disk`. A write that fails or is killed has written the first half.

    `lies`: kinds of operations that say they were done and do nothing, to prove that the tests would notice.
    """

    def __init__(self, disk: Disk, judge: Judge = lenient, error: int = errno.ENOSPC, lies: str = "") -> None:
        super().__init__(judge, error)
        self.disk, self.lies = disk, lies
        self._handles: dict[int, Inode] = {}
        self._next = 3
        self._locked = False

    @property
    def place(self) -> str:
        return "/fake"

    def lock(self, name: str) -> None:
        self._operate("lock")
        if self.disk.held:
            raise DirectoryHeld(f"The directory {self.place} is in use")
        self.disk.held = self._locked = True
        if name not in self.disk.names:
            self._rename_to({name: Inode()})

    def names(self) -> list[str]:
        self._operate("names")
        return sorted(self.disk.names)

    def read(self, name: str, limit: int) -> bytes:
        self._operate("read")
        content = self._inode(name).content
        assert len(content) <= limit
        return content

    def create(self, name: str) -> int:
        self._operate("create")
        if name in self.disk.names:
            raise FileExistsError(errno.EEXIST, "exists", name)
        inode = Inode()
        self._rename_to({name: inode})
        return self._open(inode)

    def append(self, name: str) -> int:
        self._operate("append")
        return self._open(self._inode(name))

    def write(self, handle: int, content: bytes) -> None:
        inode = self._handles[handle]
        try:
            self._operate("write")
        except (OSError, Killed):
            inode.content += content[: len(content) // 2]
            raise
        inode.content += content

    def sync(self, handle: int) -> None:
        self._operate("sync")
        inode = self._handles[handle]
        if self.lies != "sync":
            inode.stable = inode.content

    def close_handle(self, handle: int) -> None:
        del self._handles[handle]

    def rename(self, source: str, target: str) -> None:
        self._operate("rename")
        self._rename_to({source: None, target: self._inode(source)})

    def remove(self, name: str) -> None:
        self._operate("remove")
        if name in self.disk.names:
            self._rename_to({name: None})

    def sync_directory(self) -> None:
        self._operate("sync_directory")
        if self.lies == "sync_directory":
            return
        self.disk.stable_names = dict(self.disk.names)
        self.disk.pending.clear()

    def close(self) -> None:
        if self._locked:
            self.disk.held = self._locked = False

    @property
    def open_handles(self) -> int:
        """How many handles were not given back."""
        return len(self._handles)

    def _inode(self, name: str) -> Inode:
        inode = self.disk.names.get(name)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "not there", name)
        return inode

    def _open(self, inode: Inode) -> int:
        self._next += 1
        self._handles[self._next] = inode
        return self._next

    def _rename_to(self, change: NameChange) -> None:
        self.disk.pending.append(change)
        for name, inode in change.items():
            if inode is None:
                del self.disk.names[name]
            else:
                self.disk.names[name] = inode
