"""The longest gap between two reads of a busy reader, while what it reads changes under it.

One process reads without pause; another commits to real servers. Each window holds one commit: either to the
environment that the reader's agent follows, or, as the noise floor, the same commit to one that nobody follows. The
longest gap of every window counts; compared are the medians of these over all windows of a kind.

What is judged is the whole gap above the noise floor of the same run. On a machine that others use most long gaps are
theirs: the scheduler took the processor away. What an agent can do to the bot in its process is to hold the
interpreter. So it is shown beside it, as an explanation, what the other threads of the reader's process worked in a gap
(process time less the reader's own), which no other process can lengthen.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson

from benchmarks import fixtures, servers
from benchmarks.busy import BusyThread, Gap
from benchmarks.children import Child, asked_as_child, tell, told
from benchmarks.report import Row, Section, percentile, summarise, to_json
from trimtab import Agent
from trimtab_store.store import Store

ITEMS = 50_000
FOLLOWED, UNFOLLOWED = "production", "elsewhere"
LIMITS_MS = {"one key": 1.0, "resync": 5.0}
MANY = 10_000
REFERENCE = "for reference only: the limit of a resync"
WINDOWS = {"one key": (120, 0.25), "resync": (8, 6.0), "many keys": (8, 4.0), "all keys": (5, 8.0)}
"""How many windows of each sort, and how long one is in seconds."""
QUICK = {"one key": (12, 0.25), "resync": (2, 6.0), "many keys": (2, 4.0), "all keys": (2, 8.0)}

Windows = list[tuple[str, int, int]]
"""(what, begin, end) in nanoseconds."""
Found = tuple[list[Gap], Windows]
SERVE_SECONDS = 60.0


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
        while (revision := told()) is not None:
            tell(agent.wait_for(revision, SERVE_SECONDS))
        tell(reading.finish())
    if told() is not None:
        tell(alternatives())


def alternatives() -> Found:
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
    """The process that commits; told where and what, it answers when it began and which revision it made."""
    with Store.connect(stand["database_url"], stand["redis_url"], signing_key=stand["key"]) as store:
        tell("ready")
        while (asked := told()) is not None:
            begin = time.perf_counter_ns()
            tell((begin, commit(store, *asked)))


def commit(store: Store, environment: str, sort: str, number: int) -> int:
    """One key, the structure (which makes every agent take the whole snapshot), many keys or every key at once."""
    if sort == "one key":
        with store.edit(environment, author="bench", reason="measured") as edit:
            edit.set(fixtures.some_path(ITEMS), number + 0.25)  # never what is there already
        return edit.committed.revision
    if sort == "resync":
        extra = ["desk"] if (number - 1) % 4 < 2 else []  # a change each time, for both
        return store.declare_dimensions(environment, ["region", "mode", "node", "bot", *extra], author="bench").revision
    if sort == "many keys":
        with store.edit(environment, author="bench", reason="measured") as edit:
            for document in range(MANY // fixtures.FIELDS):
                fields = {f"field_{place}": number + place for place in range(fixtures.FIELDS)}
                edit.set(f"desk.t{document:06d}", fields)
        return edit.committed.revision
    text = servers.exported(environment, ITEMS, salt=number)
    return store.import_environment(text, author="bench", reason="measured").revision


def longest(gaps: list[Gap], windows: Windows, *, held: bool) -> dict[str, list[float]]:
    """The longest gap that began in each window, in milliseconds, by what the window was for; zero where none was."""
    found: dict[str, list[float]] = {}
    for what, begin, end in windows:
        inside = [others if held else length for at, length, others in gaps if begin <= at < end]
        found.setdefault(what, []).append(max(inside, default=0) / 1e6)
    return found


def rows(sort: str, what: str, found: Found) -> list[Row]:
    """The noise floor and ours, for one sort of change: the whole gaps, and what of them our threads worked."""
    made: list[Row] = []
    for held in (False, True):
        by = longest(*found, held=held)
        still, ours = by[UNFOLLOWED], by[FOLLOWED]
        above = percentile(ours, 0.5) - percentile(still, 0.5)
        cause = "of it our threads worked" if held else "whole gap"
        note = f"{above:+.2f} ms above the noise floor"
        more: dict[str, Any] = {"note": note}
        if not held and sort in LIMITS_MS:
            more |= {"judged": above, "limit": LIMITS_MS[sort]}
        elif not held:
            more |= {"limit": LIMITS_MS["resync"], "note": f"{note}; {REFERENCE}"}
        made.append(summarise(f"noise floor, {cause}: the same commits where nobody follows", "ms", still))
        made.append(summarise(f"{what}, {cause}", "ms", ours, **more))
    return made


def instead(found: Found) -> list[Row]:
    """The alternatives."""
    return [
        summarise(f"{what}, {cause}", "ms", values)
        for held, cause in ((False, "whole gap"), (True, "of it the other thread worked"))
        for what, values in longest(*found, held=held).items()
    ]


def windows_of(sort: str, count: int, seconds: float, writing: Child, reading: Child) -> Windows:
    """Commit in turn where the reader follows and where it does not; a window ends when the reader serves its commit.

    It is asked in each window and late, so that to be asked is a part of the noise floor.
    """
    windows: Windows = []
    revision = 0
    for number in range(2 * count):
        environment = (FOLLOWED, UNFOLLOWED)[number % 2]
        writing.tell((environment, sort, number + 1))
        begin, made = writing.told()
        revision = made if environment == FOLLOWED else revision
        time.sleep(max(0.0, begin / 1e9 + 0.75 * seconds - time.perf_counter()))
        reading.tell(revision)
        if not reading.told():
            raise RuntimeError("the agent did not follow: nothing was measured")
        time.sleep(0.25 * seconds)
        windows.append((environment, begin, time.perf_counter_ns()))
    return windows


def measure(chosen: dict[str, tuple[int, float]]) -> tuple[dict[str, Found], Found]:
    """The gaps and windows of each sort of change, and those of the alternatives."""
    found: dict[str, Found] = {}
    others: Found = ([], [])
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
                    windows = windows_of(sort, count, seconds, writing, reading)
                    reading.tell(None)
                    found[sort] = reading.told(), windows
                    if len(found) == len(chosen):  # once is enough
                        reading.tell("alternatives")
                        others = reading.told()
    return found, others


def main() -> int:
    arguments = asked_as_child()
    if arguments is not None:
        role: Callable[..., None] = bot if arguments[0] == "bot" else writer
        role(*arguments[1:])
        return 0
    found, others = measure(QUICK if fixtures.quick() else WINDOWS)
    sections = [
        Section(
            "Longest gap between two reads of a busy reader: one key of 50,000 changes",
            rows("one key", "one key changes", found["one key"]),
        ),
        Section("The same on a full resync of 50,000 keys", rows("resync", "snapshot taken whole", found["resync"])),
        Section(f"The same when one change has {MANY:,} edits", rows("many keys", "one change", found["many keys"])),
        Section("The same when one change touches all 50,000", rows("all keys", "one change", found["all keys"])),
        Section("The same with what people do instead", instead(others)),
    ]
    sys.stdout.write(to_json(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
