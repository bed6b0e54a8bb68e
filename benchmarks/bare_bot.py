"""A bot without us, for the collector's benchmark: a process that imports neither trimtab nor what it needs."""

from __future__ import annotations

import gc
import importlib
import sys
import time

from benchmarks.children import tell, told_at_start


def collections(rounds: int) -> list[float]:
    """Milliseconds of each of so many full collections: processor time, which other processes cannot lengthen."""
    gc.collect()
    found: list[float] = []
    for _ in range(rounds):
        begins = time.thread_time()
        gc.collect()
        found.append((time.thread_time() - begins) * 1000)
    return found


def main() -> int:
    """Import what is named, and collect."""
    names, rounds = told_at_start()
    for name in names:
        importlib.import_module(name)
    ours = sorted(name for name in sys.modules if name.startswith(("trimtab", "benchmarks.fixtures")))
    if ours:
        raise RuntimeError(f"this is no bot without us: {ours}")
    tell(collections(rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
