"""The agent's directory: three generations, the floor, and the record of starts and ends (DESIGN §6).

    meta       the environment that the directory belongs to
    applied    the newest generation, appended to at every change
    proven     what was served for long enough without an unclean end
    previous   the proven one before that
    aside      what a newer snapshot replaced in `applied` before it was served long enough; of no use after a restart
    floor      the newest position ever served; it never decreases
    runs       starts, clean stops, and when unclean ends were found that are not used up
    lock       held while an agent lives

Pure of clocks and of threads of its own; its synchronous calls block on the disk, so the driver makes them on one
worker thread. Calls may come from several threads; one waits for the other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from trimtab.feeds.disk import sealed
from trimtab.feeds.disk.applied import Applied
from trimtab.feeds.disk.loaded import PROVEN, Loaded, read_generations
from trimtab.feeds.disk.proving import ASIDE, Proving
from trimtab.feeds.disk.records import Records, check_environment, persisting
from trimtab.feeds.feed import MAX_CHANGES_BYTES, Changes, Head, SignedBytes, select
from trimtab.files import DirectoryFiles, Files
from trimtab.model import links
from trimtab.model.errors import FeedUnavailable, PersistFailed, TrimtabError
from trimtab.model.links import START, Position
from trimtab.model.statements import Trust

_LOCK: Final = "lock"
_READ_SECONDS: Final = 30.0
_Result = TypeVar("_Result")


class DiskFeed:
    """Open with `DiskFeed.open`, then `load` before anything is written.

    What changes files raises `PersistFailed` if it could not: the files then hold what they held, the agent goes on,
    and the next call tries again. If `needs_snapshot` is set, only `replace` helps.
    """

    def __init__(self, files: Files, environment: str, trust: Trust) -> None:
        self._files, self._environment, self._trust = files, environment, trust
        self._lock = threading.RLock()
        self._applied = Applied(files, trust, environment)
        self._records = Records(files)
        self._proving = Proving(files, trust, environment, self._applied)
        self._loaded: Loaded | None = None
        self._started = False
        self._closed = False

    @classmethod
    def open(cls, directory: Path, environment: str, trust: Trust, files: Files | None = None) -> DiskFeed:
        """Hold a directory, made if it is not there.

        Raises `DirectoryHeld` if another agent holds it, `FilesRefused` if it is unsafe or belongs to another
        environment, `PersistFailed` if it cannot be used at all.
        """
        files = files or DirectoryFiles(directory)
        try:
            with persisting(files, "opened"):
                files.lock(_LOCK)
                for name in files.names():
                    if name.endswith(sealed.TEMPORARY) or name == ASIDE:
                        files.remove(name)
                check_environment(files, environment)
        except TrimtabError:
            files.close()
            raise
        return cls(files, environment, trust)

    @property
    def name(self) -> str:
        """`disk`."""
        return "disk"

    @property
    def needs_snapshot(self) -> bool:
        """Whether messages can be appended only after the next `replace`."""
        return self._applied.needs_snapshot

    @property
    def journal_messages(self) -> int:
        """How many messages a boot would have to verify and apply; renew the snapshot before it grows long."""
        return self._applied.messages

    @property
    def position(self) -> Position:
        """The newest position held, in memory or in the file."""
        return START if self._applied.tail is None else self._applied.tail.position

    def load(self) -> Loaded:
        """Read and verify everything; what is damaged or foreign is left out and named in `alarms`. Never raises."""
        with self._lock:
            found, alarms = read_generations(self._files, self._trust, self._environment)
            alarms += self._records.load(max((one.position for one in found.values()), default=START))
            loaded = Loaded(
                generations=found,
                floor=self._records.floor,
                clean=not self._records.runs.running,
                unclean_ends=self._records.runs.unclean_ends,
                alarms=tuple(alarms),
            )
            if loaded.newest is not None:
                newest = found[loaded.newest]
                self._applied.adopt(newest, loaded.newest, intact=not newest.cut)
            self._proving.position = found[PROVEN].position if PROVEN in found else START
            self._loaded = loaded
            return loaded

    def append(self, message: bytes) -> None:
        """Append a verified message to `applied`; safe from a crash of the machine after `flush`."""
        with self._writing("written"):
            self._applied.append(message)

    def replace(
        self, statement: bytes, body: bytes, messages: tuple[bytes, ...] = (), served: Position = START
    ) -> None:
        """Write a new `applied` from a verified snapshot, with the messages that follow it, also those held already.

        What was held is set aside as it was at `served`, so that it can still be promoted, unless something is already.
        """
        with self._writing("written"):
            try:
                self._proving.set_aside(served)
            finally:
                self._applied.replace(statement, body, messages)

    def promote_proven(self, position: Position) -> bool:
        """Make what was held at a position the new `proven`; see `Proving.promote`."""
        with self._writing("written"):
            return self._proving.promote(position)

    def set_floor(self, position: Position) -> None:
        """Remember that a position was served; `flush` writes it down. Waits for nobody; one thread calls it."""
        self._records.floor = max(self._records.floor, position)

    def flush(self) -> None:
        """Bring floor and journal to stable storage; call it about once a second. Nothing new costs nothing.

        Only then are unclean ends forgotten that are to be: the next start must find what made them pass.
        """
        with self._writing("written"):
            try:
                self._records.write_floor()
            finally:
                self._applied.sync()
            if not self.needs_snapshot:
                self._records.write_forgotten()

    def mark_started(self, now: float) -> tuple[float, ...]:
        """Record a start at a wall-clock time; returns the times of all unclean ends kept, this one's find included."""
        with self._writing("written"):
            if not self._started:
                self._records.runs, self._started = self._records.runs.started(now), True
            self._records.write_runs()
            return self._records.runs.unclean_ends

    def forget_unclean_ends(self) -> None:
        """Those found so far are to count no more; `flush` writes it down, after all that was written before."""
        with self._writing("written"):
            self._records.forgets = True

    def mark_clean_stop(self, now: float) -> None:
        """Flush, and record that this run ended well. The last call before `close`."""
        with self._writing("written"):
            try:
                self.flush()
            finally:
                self._records.runs = self._records.runs.stopped(now)
                self._records.write_runs()

    async def head(self, after: Position | None = None) -> Head | None:
        """See `Feed.head`; nothing is sent along."""
        del after
        self._check_open()
        tail = self._applied.tail
        return (
            None if tail is None else Head(epoch=tail.position.epoch, revision=tail.position.revision, hash=tail.hash)
        )

    async def changes(self, after: Position, max_bytes: int = MAX_CHANGES_BYTES) -> Changes:
        """See `Feed.changes`."""
        generation = await self._reading(self._applied.read)
        if generation is None:
            return Changes((), trimmed=True)
        messages = ((links.read(message).position, message) for message in generation.messages)
        return select(messages, after, max_bytes, generation.position)

    async def snapshot(self) -> SignedBytes | None:
        """See `Feed.snapshot`."""
        generation = await self._reading(self._applied.read)
        return None if generation is None else SignedBytes(generation.statement_bytes, generation.body)

    async def close(self) -> None:
        """See `Feed.close`; gives the lock back. Flushes nothing."""
        if self._closed:
            return
        self._closed = True
        if self._lock.acquire(blocking=False):
            self._lock.release()
            self._release()
        else:  # somebody writes: the event loop does not wait for the disk
            await asyncio.to_thread(self._release)

    def abandon(self) -> None:
        """In a forked child: close the inherited descriptors and touch nothing else; the parent keeps the lock."""
        self._closed = True
        with suppress(OSError):
            self._applied.close()
        with suppress(OSError):
            self._files.close()

    def _release(self) -> None:
        with self._lock, suppress(OSError):
            self._applied.close()
            self._files.close()

    @contextmanager
    def _writing(self, done: str) -> Generator[None]:
        with self._lock:
            if self._closed or self._loaded is None:
                raise PersistFailed(f"{self._files.place} cannot be {done}", "it is not open and loaded", "")
            with persisting(self._files, done):
                yield

    async def _reading(self, read: Callable[[], _Result]) -> _Result:
        """Read on another thread: a disk may hang."""

        def locked() -> _Result:
            with self._lock:
                self._check_open()
                return read()

        self._check_open()
        try:
            async with asyncio.timeout(_READ_SECONDS):
                return await asyncio.to_thread(locked)
        except (OSError, TrimtabError) as error:  # TimeoutError is an OSError
            raise FeedUnavailable("The feed disk does not answer", str(error) or type(error).__name__) from error

    def _check_open(self) -> None:
        if self._closed:
            raise FeedUnavailable("The feed disk is closed")
