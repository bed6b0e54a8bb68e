"""What holding 50,000 items adds to a full collection of the garbage collector in a bot."""

from __future__ import annotations

import gc
import sys
import time

from benchmarks import fixtures
from benchmarks.children import Child, asked_as_child, tell
from benchmarks.report import Row, Section, percentile, to_json

ITEMS = 50_000
LIMIT_MS = 1.0
KINDS = ("nothing", "imports", "agent", "agent, all read", "documents")


def collections(rounds: int) -> list[float]:
    """Milliseconds of each of so many full collections: processor time, which other processes cannot lengthen."""
    gc.collect()
    found: list[float] = []
    for _ in range(rounds):
        begins = time.thread_time()
        gc.collect()
        found.append((time.thread_time() - begins) * 1000)
    return found


def child(kind: str, rounds: int) -> None:
    """A fresh process that holds one kind of thing, and collects."""
    if kind == "nothing":
        tell(collections(rounds))
        return
    if kind == "documents":
        held = fixtures.documents(ITEMS)
        tell(collections(rounds))
        del held
        return
    with fixtures.agent(ITEMS if kind != "imports" else 10) as agent:
        if kind == "agent, all read":
            for path in list(agent.pinned()):
                agent[path]
        tell(collections(rounds))


def main() -> int:
    arguments = asked_as_child()
    if arguments is not None:
        child(*arguments)
        return 0
    rounds, repetitions = (10, 2) if fixtures.quick() else (50, 7)
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(repetitions):
        for kind in KINDS:
            with Child("collector", kind, rounds) as measured:
                found[kind] += measured.told()
    medians = {kind: percentile(values, 0.5) for kind, values in found.items()}

    def row(kind: str, what: str, *, above: str = "imports", judged: bool = False) -> Row:
        added = medians[kind] - medians[above]
        return Row(
            what=what,
            unit="ms",
            median=medians[kind],
            p99=percentile(found[kind], 0.99),
            judged=added if judged else None,
            limit=LIMIT_MS if judged else None,
            note="" if kind == above else f"{added:+.2f} ms",
        )

    rows = [
        row("imports", "a bot with our libraries and an agent of 10 items"),
        row("agent", "the agent holds 50,000 items", judged=True),
        row("agent, all read", "the same, and the bot has read every path and subtree"),
        row("nothing", "for scale: the interpreter, our modules imported, no agent", above="nothing"),
        row("documents", "for scale: the same content as plain dicts", above="nothing"),
    ]
    sys.stdout.write(to_json([Section("A full garbage collection, 50,000 items held", rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
