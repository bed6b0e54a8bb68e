"""A bot that attaches, for the benchmark of attached reading: it imports nothing but what such a bot needs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.bare_bot import collections
from benchmarks.children import tell, told, told_at_start

LABELS = {"bot": "mm-btc"}


def private_bytes() -> int:
    """Memory that this process shares with nobody."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    found = (line.split() for line in rollup.splitlines() if line.startswith(("Private_Clean", "Private_Dirty")))
    return sum(int(fields[1]) * 1024 for fields in found)


def attaching(directory: str, path: str, rounds: int) -> None:
    """Milliseconds from nothing to the first value, each time with everything anew but the imports."""
    from trimtab import attach  # noqa: PLC0415 - imported in each role where it is measured

    found: list[float] = []
    for _ in range(rounds):
        begins = time.perf_counter()
        config = attach(directory, LABELS)
        value = config[path]
        found.append((time.perf_counter() - begins) * 1000)
        if value is None:
            raise AssertionError("it does not hold what it should")
    tell(found)


def importing() -> None:
    """Milliseconds of the import, and private memory that it takes."""
    before = private_bytes()
    begins = time.perf_counter()
    from trimtab import attach  # noqa: PLC0415 - this is measured

    tell(((time.perf_counter() - begins) * 1000, private_bytes() - before, callable(attach)))


def holding(directory: str) -> None:
    """Private memory that attaching takes above the imports, then with every leaf read, then with every subtree."""
    from trimtab import attach  # noqa: PLC0415 - not measured here

    with attach(directory, LABELS) as first:
        paths = list(first.pinned())
    leaves = [path for path in paths if path.count(".") == 2]  # desk.<id>.<field>
    before = private_bytes()
    config = attach(directory, LABELS)
    attached = private_bytes() - before
    for path in leaves:
        config[path]
    read = private_bytes() - before
    for path in paths:
        config[path]
    tell((attached, read, private_bytes() - before))


def collecting(kind: str, directory: str, rounds: int) -> None:
    """Full collections with the imports only, attached, or attached with every path read."""
    from trimtab import attach  # noqa: PLC0415 - the step before is another process

    if kind == "imports":
        tell(collections(rounds))
        return
    config = attach(directory, LABELS)
    for path in list(config.pinned()) if kind == "read" else ():
        config[path]
    tell(collections(rounds))
    config.close()


def reading_busily(directory: str, path: str, warm: list[str]) -> None:
    """Gaps between the reads of a busy thread; told a revision, it waits until that is served."""
    from benchmarks.busy import BusyThread  # noqa: PLC0415 - only here
    from trimtab import attach  # noqa: PLC0415 - not measured here

    config = attach(directory, LABELS)
    for other in warm:
        config[other]
    reading = BusyThread(lambda: config[path])
    tell("ready")
    while (revision := told()) is not None:
        tell(config.wait_for(revision, 60.0))
    tell(reading.finish())


def main() -> int:
    """Play the role that is asked for."""
    role, *rest = told_at_start()
    roles: dict[str, Any] = {
        "attaching": attaching,
        "importing": importing,
        "holding": holding,
        "collecting": collecting,
        "reading_busily": reading_busily,
    }
    roles[role](*rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
