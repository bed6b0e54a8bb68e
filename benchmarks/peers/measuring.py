"""Timing loops in a process of a reader. What is timed is the expression that a user writes, not a call around it."""

from __future__ import annotations

import statistics
import threading
import time
import timeit
from array import array
from collections.abc import Callable

from benchmarks.peers.reading import Reading

UNROLLED = 10
BATCH_NS = 200_000
"""A batch lasts about so long: short, so that what others do to the machine hits a few batches and not all."""
NOTED_NS = 20_000


def batches(reading: Reading) -> Callable[[int], float]:
    """A function that reads at least so often, in an unrolled loop, and gives the nanoseconds of one read."""
    timer = timeit.Timer("; ".join([reading.expression] * UNROLLED), _setup(reading), globals=_names(reading))

    def batch(reads: int) -> float:
        loops = max(1, reads // UNROLLED)
        return timer.timeit(loops) / (loops * UNROLLED) * 1e9

    return batch


def size_of_batch(batch: Callable[[int], float]) -> int:
    """How many reads last about a batch; the calls warm the reader as well."""
    taken = min(batch(UNROLLED) for _ in range(20))
    return max(UNROLLED, int(BATCH_NS / taken))


def singles(reading: Reading, count: int) -> list[float]:
    """Nanoseconds of single reads, each between two looks at the clock, less what these cost by themselves."""
    look = "b = clock(); {}; e = clock(); add(e - b)"
    setup = f"{_setup(reading)}; clock = _clock; add = _add"
    found: dict[str, array[int]] = {}
    for expression in ("None", reading.expression):
        noted = found[expression] = array("q")
        names = {**_names(reading), "_clock": time.perf_counter_ns, "_add": noted.append}
        timeit.Timer(look.format(expression), setup, globals=names).timeit(count)
    empty = statistics.median(found["None"])
    return [max(0.0, taken - empty) for taken in found[reading.expression]]


def threads(readings: list[Reading], seconds: float) -> tuple[float, list[float]]:
    """Reads a second of all threads together, one for each reading, and the nanoseconds of one read in each batch."""
    loops = [batches(reading) for reading in readings]
    sizes = [size_of_batch(loop) for loop in loops]
    ends = time.perf_counter() + seconds
    found: list[list[float]] = [[] for _ in loops]

    def run(place: int) -> None:
        loop, size, noted = loops[place], sizes[place], found[place]
        while time.perf_counter() < ends:
            noted.append(loop(size))

    begins = time.perf_counter()
    running = [threading.Thread(target=run, args=[place]) for place in range(len(loops))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    lasted = time.perf_counter() - begins
    reads = sum(len(noted) * (size // UNROLLED) * UNROLLED for noted, size in zip(found, sizes, strict=True))
    return reads / lasted, [taken for noted in found for taken in noted]


class BusyReader:
    """A thread that reads without pause; (begin, length) of what lay between the ends of two reads, in nanoseconds.

    Where a read is long itself, only what is three times as long is noted: the others would be every read.
    """

    def __init__(self, read: Callable[[], object]) -> None:
        taken = min(timeit.repeat(read, number=20, repeat=5)) / 20 * 1e9
        self._noted = max(NOTED_NS, int(3 * taken))
        self._read = read
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._begun, self._lasted = array("q"), array("q")  # arrays, so that no garbage collection is our own
        self._thread = threading.Thread(target=self._reading)
        self._thread.start()

    def _reading(self) -> None:
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - a thread's error is raised where its gaps are asked for
            self._error = error

    def _run(self) -> None:
        clock, stopped, read, noted = time.perf_counter_ns, self._stop.is_set, self._read, self._noted
        last = clock()
        while not stopped():
            read()
            now = clock()
            if now - last > noted:
                self._begun.append(last)
                self._lasted.append(now - last)
            last = now

    def finish(self) -> list[tuple[int, int]]:
        """Stop, and give back the gaps; raises what a read raised."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return list(zip(self._begun, self._lasted, strict=True))


def _setup(reading: Reading) -> str:
    """Everything in local names; and the collector, which timeit turns off, on again: a bot has it on."""
    return "; ".join(["import gc", "gc.enable()", *(f"{name} = _{name}" for name in reading.names)])


def _names(reading: Reading) -> dict[str, object]:
    return {f"_{name}": value for name, value in reading.names.items()}
