"""The keeper: what the replica wants kept, written to the agent's directory on a thread of its own.

Nobody waits for a disk: a write that fails becomes an alarm, the old files stay as they were, and it is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Final, TypeAlias, TypeVar

from trimtab.feeds.disk import DiskFeed, Generation, Loaded
from trimtab.feeds.disk.runs import is_crash_loop
from trimtab.model.errors import PersistFailed, SignatureRefused
from trimtab.model.links import Position
from trimtab.model.snapshots import Snapshot
from trimtab.model.statements import Trust
from trimtab.replica.events import (
    Event,
    FloorRead,
    ForgetUncleanEnds,
    PersistChange,
    PersistLost,
    PersistSnapshot,
    PromoteProven,
    RaiseFloor,
    Recovered,
)
from trimtab.replica.recovery import recover

_logger: Final = logging.getLogger("trimtab")
Keep: TypeAlias = PersistChange | PersistSnapshot | RaiseFloor | PromoteProven | ForgetUncleanEnds
Result = TypeVar("Result")

FLUSH_SECONDS: Final = 1.0
"""How often files are brought to stable storage at most."""
REMEMBERED_BYTES: Final = 4 * 1024 * 1024
"""Messages since the last snapshot that are kept in memory, to write the files anew where they were lost."""
_CLOSE_SECONDS: Final = 2.0


class Worker:
    """One daemon thread that does blocking work in order. A disk that hangs keeps nobody from leaving."""

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def run(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """Do it after everything asked for before; the future belongs to the running loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def work() -> None:
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - carried to whoever awaits the future
                _call(loop, partial(_fail, future, error))
            else:
                _call(loop, partial(_succeed, future, result))

        self._work.put(work)
        return future

    def stop(self) -> None:
        """End the thread after what was asked for."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class Keeper:
    """Keeps one replica's line in one directory. Runs on the follower's event loop; `tell` takes events for it."""

    def __init__(self, disk: DiskFeed, tell: Callable[[Event], None], alarm: Callable[[str, str], None]) -> None:
        """`alarm` takes a name and a text; an empty text ends the alarm."""
        self._disk = disk
        self._tell = tell
        self._alarm = alarm
        self._worker = Worker("trimtab-disk")
        self._messages: list[tuple[Position, bytes]] = []
        self._remembered = 0
        self._flushing: asyncio.TimerHandle | None = None

    async def load(self) -> Loaded:
        """What the directory holds; from now on it counts as in use."""

        def load() -> tuple[Loaded, tuple[float, ...], str]:
            loaded = self._disk.load()
            try:
                return loaded, self._disk.mark_started(time.time()), ""
            except PersistFailed as error:
                return loaded, loaded.unclean_ends, str(error)

        loaded, ends, failed = await self._worker.run(load)
        if failed or loaded.alarms:
            self._alarm("disk", "; ".join((*loaded.alarms, *([failed] if failed else []))))
        self.quarantines = is_crash_loop(ends, time.time())
        return loaded

    quarantines: bool = False
    """Whether the last ends of this bot were a crash loop. Known after `load`."""

    def carry(self, keep: Keep) -> None:
        """Write what the replica wants written, in order."""
        disk = self._disk
        match keep:
            case PersistChange():
                self._remember(keep.position, keep.message)
                self._write(lambda: disk.append(keep.message))
            case PersistSnapshot():
                self._messages = [entry for entry in self._messages if entry[0] > keep.position]
                self._remembered = sum(len(message) for _, message in self._messages)
                following = tuple(message for _, message in self._messages)
                self._write(lambda: disk.replace(keep.statement, keep.body, following, keep.served))
            case RaiseFloor():
                disk.set_floor(keep.position)
                self._flush_soon()
            case PromoteProven():
                self._write(lambda: disk.promote_proven(keep.position))
            case ForgetUncleanEnds():
                self._write(disk.forget_unclean_ends)

    async def close(self) -> None:
        """Bring everything to stable storage, record a clean stop, and give the directory back."""
        if self._flushing is not None:
            self._flushing.cancel()

        def stop() -> None:
            self._disk.mark_clean_stop(time.time())

        failed: PersistFailed | TimeoutError | None = None
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                try:
                    await self._worker.run(stop)
                except PersistFailed as error:
                    failed = error
                await self._disk.close()
        except TimeoutError as error:
            failed = error
        if failed is not None:
            _logger.warning("The directory could not be left cleanly: %s", str(failed) or "the disk does not answer")
        self._worker.stop()

    def _write(self, function: Callable[[], object]) -> None:
        self._watch(self._worker.run(function))
        self._flush_soon()

    def _flush_soon(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        self._watch(self._worker.run(self._disk.flush))

    def _watch(self, future: asyncio.Future[object]) -> None:
        future.add_done_callback(self._written)

    def _written(self, future: asyncio.Future[object]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is None and not self._disk.needs_snapshot:
            self._alarm("persist", "")
            return
        if error is not None and not isinstance(error, PersistFailed):
            _logger.error("Writing to the agent's directory failed unexpectedly", exc_info=error)
        if error is not None:
            self._alarm("persist", str(error))
        if self._disk.needs_snapshot:
            self._tell(PersistLost())
        self._flush_soon()  # tries again what waits

    def _remember(self, position: Position, message: bytes) -> None:
        self._messages.append((position, message))
        self._remembered += len(message)
        if self._remembered > REMEMBERED_BYTES:
            self._messages, self._remembered = [], 0


def recovered(loaded: Loaded, environment: str, trust: Trust, *, quarantines: bool) -> Iterator[Event | None]:
    """The events that tell a replica what the disk gave back; None between steps."""
    yield FloorRead(position=loaded.floor)
    names = sorted(loaded.generations, key=lambda name: loaded.generations[name].position, reverse=True)
    for name in names:
        snapshot = yield from _rebuilt(loaded.generations[name], environment, trust)
        if snapshot is None:
            continue
        proven = None
        if quarantines and loaded.proven is not None:
            proven = yield from _rebuilt(loaded.proven, environment, trust)
        yield Recovered(snapshot=snapshot, generation=name, proven=proven, quarantined=quarantines)
        return


def _rebuilt(generation: Generation, environment: str, trust: Trust) -> Generator[None, None, Snapshot | None]:
    try:
        for step in recover(environment, trust, generation.statement_bytes, generation.body, generation.messages):
            if step is not None:
                return step
            yield None
    except SignatureRefused as error:
        _logger.warning("A generation on disk is not used: %s", error)
    return None


def _succeed(future: asyncio.Future[Result], result: Result) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:  # the loop is closed: nobody waits any more
        _logger.debug("A disk operation ended after its agent")
