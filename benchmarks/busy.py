"""A thread that reads without pause, and the gaps between its reads."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable

NOTED_NS = 20_000
"""Shorter gaps are not noted: every window has a longer one."""

Gap = tuple[int, int, int]
"""(begin, length, how long other threads of the process worked in it), in nanoseconds."""


def read_busily(read: Callable[[], object], stop: threading.Event) -> list[Gap]:
    """Read until told to stop; the gaps."""
    clock, stopped, whole, own = time.perf_counter_ns, stop.is_set, time.process_time_ns, time.thread_time_ns
    begun, lasted, others = array("q"), array("q"), array("q")  # arrays, so that no garbage collection is our own
    others.append(whole() - own())
    last = clock()
    while not stopped():
        read()
        now = clock()
        if now - last > NOTED_NS:
            begun.append(last)
            lasted.append(now - last)
            others.append(whole() - own())
            now = clock()
        last = now
    return [
        (at, length, max(0, min(length, others[place + 1] - others[place])))
        for place, (at, length) in enumerate(zip(begun, lasted, strict=True))
    ]


class BusyThread:
    """Reads busily on a thread of its own, so that this one can listen to its parent."""

    def __init__(self, read: Callable[[], object]) -> None:
        self._read = read
        self._stop = threading.Event()
        self._found: list[Gap] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._found = read_busily(self._read, self._stop)

    def finish(self) -> list[Gap]:
        """Stop, and give back the gaps."""
        self._stop.set()
        self._thread.join()
        return self._found
