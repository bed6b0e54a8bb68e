"""The longest gap between two reads of a busy reader, while what it reads changes under it.

One process reads without pause; another commits to real servers. Each window holds one commit: either to the
environment that the reader's agent follows, or, as the noise floor, the same commit to one that nobody follows. The
longest gap of every window counts; compared are the medians of these over all windows of a kind.

On a machine that others use most long gaps are theirs: the scheduler took the processor away. What an agent can do to
the bot in its process is to hold the interpreter. So what is judged of a gap is what the other threads of the reader's
process worked in it (process time less the reader's own), which no other process can lengthen; the whole gaps are shown
beside it.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from array import array
from collections.abc import Callable

import orjson

from benchmarks import fixtures, servers
from benchmarks.children import Child, asked_as_child, tell, told
from benchmarks.report import Row, Section, percentile, summarise, to_json
from trimtab import Agent
from trimtab_store.store import Store

ITEMS = 50_000
FOLLOWED, UNFOLLOWED = "production", "elsewhere"
NOTED_NS = 20_000
"""Shorter gaps are not noted: every window has a longer one."""
LIMITS_MS = {"one key": 1.0, "resync": 5.0}
WINDOWS = {"one key": (120, 0.25), "resync": (8, 6.0), "all keys": (5, 8.0)}
"""How many windows of each sort, and how long one is in seconds."""
QUICK = {"one key": (12, 0.25), "resync": (2, 6.0), "all keys": (2, 8.0)}

Windows = list[tuple[str, int, int]]
"""(what, begin, end) in nanoseconds."""
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


def bot(stand: dict[str, str]) -> None:
    """The process that reads: an agent, a busy thread, and afterwards the alternatives."""
    with Agent.connect(
        environment=FOLLOWED,
        labels={"bot": "mm-btc"},
        trust=stand["trust"],
        database_url=stand["database_url"],
        redis_url=stand["redis_url"],
    ) as agent:
        path = fixtures.some_path(ITEMS)
        reading = BusyThread(lambda: agent[path])
        tell("ready")
        served = agent.wait_for(told(), 30.0)
        tell((reading.finish(), served))
    if told() is not None:
        tell(alternatives())


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


def alternatives() -> tuple[list[Gap], Windows]:
    """Gaps while another thread of this process does what people do instead."""
    document = fixtures.documents(ITEMS)
    text = orjson.dumps(document)
    flat = {item.path: 1 for item in fixtures.items(ITEMS)}
    held: list[object] = [flat]

    def swap(make: Callable[[], object]) -> Callable[[], None]:
        def act() -> None:
            held[0] = make()

        return act

    actions = {
        "nothing": lambda: None,
        "orjson.loads of everything, swapped": swap(lambda: orjson.loads(text)),
        "json.loads of everything, swapped": swap(lambda: json.loads(text)),
        "a flat dict copied with one key more, swapped": swap(lambda: {**flat, "another": 1}),
    }
    del document
    gc.collect()
    reading = BusyThread(lambda: held[0])
    windows: Windows = []
    for _ in range(5 if fixtures.quick() else 40):
        for name, act in actions.items():
            time.sleep(0.05)
            begin = time.perf_counter_ns()
            act()
            time.sleep(0.02)
            windows.append((name, begin, time.perf_counter_ns()))
    return reading.finish(), windows


def writer(stand: dict[str, str]) -> None:
    """The process that commits; the parent names sort, number and length of the windows."""
    with Store.connect(stand["database_url"], stand["redis_url"], signing_key=stand["key"]) as store:
        tell("ready")
        number = 0
        while (asked := told()) is not None:
            sort, count, seconds = asked
            windows: list[tuple[str, int, int, int]] = []
            for place in range(2 * count):
                number += 1
                environment = (FOLLOWED, UNFOLLOWED)[place % 2]
                begin = time.perf_counter_ns()
                revision = commit(store, environment, sort, number)
                end = begin + int(seconds * 1e9)
                time.sleep(max(0.0, (end - time.perf_counter_ns()) / 1e9))
                windows.append((environment, begin, max(end, time.perf_counter_ns()), revision))
            tell(windows)


def commit(store: Store, environment: str, sort: str, number: int) -> int:
    """One key, the structure (which makes every agent take the whole snapshot), or every key at once."""
    if sort == "one key":
        with store.edit(environment, author="bench", reason="measured") as edit:
            edit.set(fixtures.some_path(ITEMS), number + 0.5)
        return edit.committed.revision
    if sort == "resync":
        extra = ["desk"] if number % 4 < 2 else []
        return store.declare_dimensions(environment, ["region", "mode", "node", "bot", *extra], author="bench").revision
    text = servers.exported(environment, ITEMS, salt=number)
    return store.import_environment(text, author="bench", reason="measured").revision


def longest(gaps: list[Gap], windows: Windows, *, held: bool) -> dict[str, list[float]]:
    """The longest gap that began in each window, in milliseconds, by what the window was for; zero where none was."""
    found: dict[str, list[float]] = {}
    for what, begin, end in windows:
        inside = [others if held else length for at, length, others in gaps if begin <= at < end]
        found.setdefault(what, []).append(max(inside, default=0) / 1e6)
    return found


def rows(sort: str, what: str, found: tuple[list[Gap], Windows]) -> list[Row]:
    """The noise floor and ours, for one sort of change."""
    made: list[Row] = []
    for held in (True, False):
        by = longest(*found, held=held)
        still, ours = by[UNFOLLOWED], by[FOLLOWED]
        above = percentile(ours, 0.5) - percentile(still, 0.5)
        limit = LIMITS_MS.get(sort) if held else None
        cause = "held by our threads" if held else "whole gap"
        made += [
            summarise(f"noise floor, {cause}: the same commits where nobody follows", "ms", still),
            summarise(
                f"{what}, {cause}",
                "ms",
                ours,
                judged=above if limit else None,
                limit=limit,
                note=f"{above:+.2f} ms above the noise floor",
            ),
        ]
    return made


def instead(found: tuple[list[Gap], Windows]) -> list[Row]:
    """The alternatives."""
    by = longest(*found, held=True)
    return [summarise(what, "ms", values) for what, values in by.items()]


def main() -> int:
    arguments = asked_as_child()
    if arguments is not None:
        role: Callable[..., None] = bot if arguments[0] == "bot" else writer
        role(*arguments[1:])
        return 0
    chosen = QUICK if fixtures.quick() else WINDOWS
    found: dict[str, tuple[list[Gap], Windows]] = {}
    others: tuple[list[Gap], Windows] = ([], [])
    with servers.stand() as stand:
        with stand.store() as store:
            for environment in (FOLLOWED, UNFOLLOWED):
                stand.fill(store, environment, ITEMS)
        with Child("gaps", "writer", stand.to_json()) as writing:
            writing.told()
            for sort, (count, seconds) in chosen.items():
                with Child("gaps", "bot", stand.to_json()) as reading:
                    reading.told()
                    time.sleep(1.0)
                    writing.tell((sort, count, seconds))
                    windows = writing.told()
                    reading.tell(windows[-2][3])
                    gaps, served = reading.told()
                    if not served:
                        raise RuntimeError("the agent did not follow: nothing was measured")
                    found[sort] = gaps, [window[:3] for window in windows]
                    reading.tell("alternatives")
                    others = reading.told()
    sections = [
        Section(
            "Longest gap between two reads of a busy reader: one key of 50,000 changes",
            rows("one key", "one key changes", found["one key"]),
        ),
        Section("The same on a full resync of 50,000 keys", rows("resync", "snapshot taken whole", found["resync"])),
        Section("The same when one change touches all 50,000", rows("all keys", "one change", found["all keys"])),
        Section("The same with what people do instead (held by the other thread)", instead(others)),
    ]
    sys.stdout.write(to_json(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
