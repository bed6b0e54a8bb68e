"""The process of one reader. It is told what to measure; a reader that cannot be had is told of with the reason."""

from __future__ import annotations

import contextlib
import logging
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.children import tell, told, told_at_start
from benchmarks.peers import content
from benchmarks.peers.catalog import BY_KEY
from benchmarks.peers.reading import Peer, Place, Reading

WAIT_SECONDS = 10.0


def held_bytes() -> int:
    """The share of memory that falls to this process (PSS): what several map is divided among them."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not tell the proportional set size")


def holding(peer: Peer, place: Place) -> None:
    """Milliseconds of the imports, and from there to the first value; bytes above the interpreter, after each."""
    before = held_bytes()
    begins = time.perf_counter()
    peer.load()
    imported = time.perf_counter()
    imports = held_bytes() - before
    starts = time.perf_counter()
    reading = peer.prepare(place)
    check(reading, content.FIRST)
    ready = time.perf_counter()
    total = held_bytes() - before
    reading.close()
    tell({"import_ms": (imported - begins) * 1000, "ready_ms": (ready - starts) * 1000,
          "import_bytes": imports, "total_bytes": total})  # fmt: skip


def check(reading: Reading, value: float) -> None:
    """Raises unless the value is read."""
    found = reading.read()
    if found != value:
        raise AssertionError(f"it reads {found!r}, not {value!r}")


def until(reading: Reading, value: float) -> None:
    """Wait until a changed value is read, seldom looking."""
    ends = time.perf_counter() + WAIT_SECONDS
    while reading.read() != value:
        if time.perf_counter() > ends:
            raise TimeoutError(f"{value!r} was never read")
        time.sleep(0.005)


class Served:
    """A reader that is ready, and what is asked of it."""

    def __init__(self, peer: Peer, place: Place) -> None:
        from benchmarks.peers import measuring  # noqa: PLC0415 - nothing of it belongs to what `holding` measures

        self._measuring = measuring
        self._peer, self._place = peer, place
        self._reading = peer.prepare(place)
        check(self._reading, content.FIRST)
        self._batch = measuring.batches(self._reading)
        self._size = measuring.size_of_batch(self._batch)
        self._busy: Any = None

    def batches(self, count: int) -> list[float]:
        return [self._batch(self._size) for _ in range(count)]

    def singles(self, count: int) -> list[float]:
        return self._measuring.singles(self._reading, count)

    def threads(self, count: int, seconds: float) -> tuple[float, float]:
        """Reads a second and the median of one read."""
        shared = self._peer.shared
        with contextlib.ExitStack() as closing:
            readings = [self._reading if shared else self._peer.prepare(self._place) for _ in range(count)]
            for reading in () if shared else readings:
                closing.callback(reading.close)
            throughput, found = self._measuring.threads(readings, seconds)
        return throughput, statistics.median(found)

    def busy(self) -> str:
        self._busy = self._measuring.BusyReader(self._reading.read)
        return "busy"

    def change(self, sort: str, value: float, file: str) -> str:
        assert self._reading.change is not None
        self._reading.change(sort, value, file)
        until(self._reading, value)
        return "seen"

    def until(self, value: float) -> str:
        until(self._reading, value)
        return "seen"

    def wait(self, revision: int) -> str:
        assert self._reading.wait is not None
        if not self._reading.wait(revision):
            raise TimeoutError("the reader did not follow")
        return "seen"

    def gaps(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = self._busy.finish()
        return found

    def close(self) -> None:
        self._reading.close()


def serve(peer: Peer, place: Place) -> None:
    """Prepare, and answer until nothing more is asked."""
    peer.load()
    served = Served(peer, place)
    tell({"version": peer.version()})
    while (asked := told()) is not None:
        what, *arguments = asked
        tell({"found": getattr(served, what)(*arguments)})
    served.close()


def main() -> int:
    """Play the role that is asked for."""
    role, key, place = told_at_start()
    logging.disable(logging.CRITICAL)  # a library that logs each read would be measured writing to a terminal
    try:
        (holding if role == "holding" else serve)(BY_KEY[key], place)
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is told as the reason, never dropped
        tell({"failed": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
