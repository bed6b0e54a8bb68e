"""Attached reading: what a read, attaching, a change and a collection cost a bot that reads shared memory."""

from __future__ import annotations

import sys
import time

from pydantic import BaseModel

from benchmarks import fixtures, timing, typed
from benchmarks.attached_bot import LABELS
from benchmarks.children import Child, asked_as_child, tell, told
from benchmarks.gaps import Found, Windows, longest
from benchmarks.report import Row, Section, percentile, summarise, to_json
from benchmarks.shared import Shared, shared
from trimtab import Attached, Binding, attach

ITEMS, GAP_ITEMS = 10_000, 50_000
WARM = 1_000
LOG = 1_000
"""Changes in a log that is about to go over to the next."""
WINDOW = 0.02
"""Seconds: the reader is at work before and after each change for so long."""
JUST_BEFORE_NS = 15_000_000
"""A window begins so long before the writer is done: readers are told last, after the file is written."""
LIMITS_MS = {"one key": 0.3, "resync": 1.0}
FOLLOWED, UNFOLLOWED = "production", "elsewhere"
MEBIBYTE = 1024 * 1024


class Document(BaseModel, frozen=True):
    field_0: float
    field_1: str


class Method:
    """What looking at a word and at a dict would cost as a Python method."""

    __slots__ = ("_seen", "_values", "_word")

    def __init__(self, values: dict[str, object]) -> None:
        self._word = memoryview(bytearray(8)).cast("Q")
        self._seen = 0
        self._values = values

    def __getitem__(self, path: str) -> object:
        if self._word[0] == self._seen:
            return self._values[path]
        raise KeyError(path)


def by_path(config: Attached, rounds: int) -> Section:
    asked = fixtures.some_path(ITEMS)
    with config.pinned() as pinned:
        plain: dict[str, object] = dict(pinned.items())
        path = next(key for key in plain if key == asked)
        if not config[path] == config[asked] == plain[path] == pinned[path] == 2.5:
            raise AssertionError("they do not read the same")
        found = timing.interleave(
            {
                "dict": timing.reading_loop(plain, path),
                "config[path], attached": timing.reading_loop(config, path),
                "pinned view": timing.reading_loop(pinned, path),
                "a Python method that compares a word, over a dict": timing.reading_loop(Method(plain), path),
                "dict, path built by the bot": timing.reading_loop(plain, asked),
                "config[path], path built by the bot": timing.reading_loop(config, asked),
            },
            rounds,
        )
    limits = {"config[path], attached": 3.0}
    return Section("Read by path through shared memory, with the check for news", timing.rows(found, "dict", limits))


def bound(config: Attached, rounds: int) -> Section:
    binding: Binding[Document] = config.bind(fixtures.some_path(ITEMS).rpartition(".")[0], Document)
    model = Document(field_0=2.5, field_1="BTC-USD")
    found = timing.interleave(
        {"bare frozen model": timing.field_loop(model), "binding.current": timing.current_field_loop(binding)}, rounds
    )
    rows = timing.rows(found, "bare frozen model", {"binding.current": 4.0})
    return Section("Read of a bound field, attached", rows)


def attaching(counts: dict[int, int]) -> Section:
    rows: list[Row] = []
    for items, rounds in counts.items():
        with shared(items) as line:
            for full in (False, True):
                if full:
                    for number in range(LOG):
                        line.put([f"desk.t{number:06d}.field_0"], number)
                with Child("attached_bot", "attaching", line.place, fixtures.some_path(items), rounds) as child:
                    found = child.told()
                what = f"{items:,} items, {f'{LOG:,} changes in the log' if full else 'no changes since the snapshot'}"
                rows.append(
                    summarise(f"{what}: attach and first read", "ms", found, judged=percentile(found, 0.5), limit=5.0)
                )
    return Section("From nothing to the first value (imports done)", rows)


def writer(quick: bool) -> None:  # noqa: FBT001 - told as JSON
    """The process that publishes, either where the reader is attached or elsewhere."""
    items = GAP_ITEMS // 10 if quick else GAP_ITEMS
    with shared(items) as followed, shared(items) as unfollowed:
        lines: dict[str, Shared] = {FOLLOWED: followed, UNFOLLOWED: unfollowed}
        tell(followed.place)
        while (asked := told()) is not None:
            environment, sort, number = asked
            line = lines[environment]
            made = line.resync() if sort == "resync" else line.put([fixtures.some_path(items)], number + 0.25)
            tell((time.perf_counter_ns() - JUST_BEFORE_NS, made))


def gaps(rounds: dict[str, int]) -> list[Section]:
    items = GAP_ITEMS // 10 if fixtures.quick() else GAP_ITEMS
    warm = [f"desk.t{number:06d}.field_0" for number in range(WARM)]
    found: dict[str, Found] = {}
    with Child("attached", "writer", fixtures.quick()) as writing:
        place = writing.told()
        for sort, count in rounds.items():
            with Child("attached_bot", "reading_busily", place, fixtures.some_path(items), warm) as reading:
                reading.told()
                windows: Windows = []
                revision = 0
                for number in range(2 * count):
                    environment = (FOLLOWED, UNFOLLOWED)[number % 2]
                    writing.tell((environment, sort, number))
                    begin, made = writing.told()
                    revision = made if environment == FOLLOWED else revision
                    time.sleep(WINDOW)
                    windows.append((environment, begin, time.perf_counter_ns()))
                    reading.tell(revision)  # to be asked lengthens a gap: it is asked outside of the windows
                    if not reading.told():
                        raise RuntimeError("the reader did not follow: nothing was measured")
                    time.sleep(WINDOW)
                reading.tell(None)
                found[sort] = reading.told(), windows
    return [Section(f"Longest gap between two reads of a busy attached reader: {sort}", gap_rows(sort, one))
            for sort, one in found.items()]  # fmt: skip


def gap_rows(sort: str, found: Found) -> list[Row]:
    by = longest(*found, held=False)
    still, ours = by[UNFOLLOWED], by[FOLLOWED]
    above = percentile(ours, 0.5) - percentile(still, 0.5)
    return [
        summarise("noise floor: the same where nobody is attached", "ms", still),
        summarise(
            f"{sort} of 50,000 items, whole gap", "ms", ours, judged=above, limit=LIMITS_MS[sort],
            note=f"{above:+.3f} ms above the noise floor",
        ),
    ]  # fmt: skip


def memory(rounds: int) -> Section:
    imports: list[tuple[float, float]] = []
    held: list[list[float]] = []
    with shared(ITEMS) as line:
        for _ in range(rounds):
            with Child("attached_bot", "importing") as child:
                milliseconds, taken, _ = child.told()
                imports.append((milliseconds, taken / MEBIBYTE))
            with Child("attached_bot", "holding", line.place) as child:
                held.append([taken / MEBIBYTE for taken in child.told()])
    attached, read, every = zip(*held, strict=True)
    return Section(
        "Import and private memory, 10,000 items",
        [
            summarise("import of attach", "ms", [one for one, _ in imports]),
            summarise("memory of the import", "MiB", [taken for _, taken in imports]),
            summarise("attached, nothing read", "MiB", attached),
            summarise("attached, every leaf read", "MiB", read, judged=percentile(read, 0.5), limit=5.0),
            summarise("the same, and every subtree", "MiB", every),
        ],
    )


def collector(rounds: int, repetitions: int) -> Section:
    bare, imports = "a bot without us", "a bot with the imports of attach"
    held, read = "attached, 50,000 items", "attached, every path and subtree of them read"
    found: dict[str, list[float]] = {name: [] for name in (bare, imports, held, read)}
    with shared(GAP_ITEMS) as line:
        for _ in range(repetitions):
            with Child("bare_bot", [], rounds) as child:
                found[bare] += child.told()
            for name, kind in ((imports, "imports"), (held, "held"), (read, "read")):
                with Child("attached_bot", "collecting", kind, line.place, rounds) as child:
                    found[name] += child.told()
    medians = {name: percentile(values, 0.5) for name, values in found.items()}
    rows = [summarise(name, "ms", values) for name, values in found.items()]
    for base in (bare, imports):
        above = medians[held] - medians[base]
        rows.append(
            Row(
                what=f"attached, over {base}",
                unit="ms",
                median=above,
                judged=above,
                limit=0.1,
                note="difference of medians",
            )
        )
    return Section("A full garbage collection in an attached bot", rows)


def main() -> int:
    arguments = asked_as_child()
    if arguments is not None:
        writer(*arguments[1:])
        return 0
    quick = fixtures.quick()
    rounds = 1_000 if quick else 10_000
    with shared(ITEMS) as line:
        for path, value in typed.DOCUMENTS.items():
            line.put([path], value)
        config = attach(line.place, LABELS)
        sections = [by_path(config, rounds), bound(config, rounds), typed.section(config, "attached", rounds)]
    sections.append(attaching({1_000: 5} if quick else {10_000: 50, 1_000_000: 50}))
    sections += gaps({"one key": 10, "resync": 3} if quick else {"one key": 100, "resync": 12})
    sections.append(memory(1 if quick else 5))
    sections.append(collector(10 if quick else 30, 1 if quick else 5))
    sys.stdout.write(to_json(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
