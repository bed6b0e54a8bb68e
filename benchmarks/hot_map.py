"""Which map holds what readers read: one read, one change, and what a full collection pays, from 10^3 to 10^6 paths.

    python -m benchmarks.hot_map [--quick] [--json]

The measurements behind docs/decisions/0002-hot-map.md; every alternative runs in the same process, in turn.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import MappingProxyType
from typing import Any

from immutables import Map

from benchmarks import timing
from benchmarks.report import Row, Section, percentile, show, summarise, to_json
from trimtab.model import states, views
from trimtab.model.items import Item, LeafEdit
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab.model.values import Document
from trimtab.model.views import View
from trimtab.model.wide import Wide

READ_SIZE = 50_000
SIZES = (1_000, 50_000, 1_000_000)
CHILDREN = 10_000
FIELDS = 5
QUICK = "--quick" in sys.argv


class WithMissing(dict[str, object]):
    """The shape of a reader's cache: a dict whose misses are resolved in Python."""

    __slots__ = ()

    def __missing__(self, path: str) -> object:
        raise KeyError(path)


class PythonMethod:
    """The obvious way to write `agent[path]`."""

    def __init__(self, values: dict[str, object]) -> None:
        self._values = values

    def __getitem__(self, path: str) -> object:
        return self._values[path]


class TwoLevels:
    """A dict of documents, each a dict: a change copies one document and the outer dict."""

    def __init__(self, values: dict[str, object]) -> None:
        self._documents: dict[str, dict[str, object]] = {}
        for path, value in values.items():
            document, _, last = path.rpartition(".")
            self._documents.setdefault(document, {})[last] = value

    def __getitem__(self, path: str) -> object:
        document, _, last = path.rpartition(".")
        return self._documents[document][last]

    def set(self, path: str, value: object) -> None:
        document, _, last = path.rpartition(".")
        self._documents = {**self._documents, document: {**self._documents[document], last: value}}


def slotted(values: dict[str, object]) -> object:
    """An object whose class has the bound C method of a dict as `__getitem__`: how `agent[path]` is made."""
    return type("Slotted", (), {"__slots__": (), "__getitem__": values.__getitem__})()


def items(count: int) -> Iterator[Item]:
    """Documents of five fields, numbers and texts."""
    for number in range(count):
        document, field = divmod(number, FIELDS)
        yield Item("production", "", f"token.t{document:06d}.field_{field}", b"2.5" if field % 2 else b'"BTC-USD"')


def some_path(count: int) -> str:
    return f"token.t{count // FIELDS // 2:06d}.field_0"


def resolved(count: int) -> tuple[State, View]:
    state = states.build(Lineage(("base", "production")), items(count))
    return state, views.build(state, {"bot": "mm-btc"})


def flat(count: int) -> dict[str, object]:
    return {item.path: float(place) for place, item in enumerate(items(count))}


def reads(rounds: int) -> Section:
    plain = flat(READ_SIZE)
    path = next(key for key in plain if key == some_path(READ_SIZE))
    alternatives: dict[str, object] = {
        "dict": plain,
        "dict subclass with __missing__": WithMissing(plain),
        "slot: bound C method of that subclass": slotted(WithMissing(plain)),
        "immutables.Map": Map(plain),
        "mappingproxy": MappingProxyType(plain),
        "Python method over a dict": PythonMethod(plain),
        "two-level dict": TwoLevels(plain),
    }
    found = timing.interleave({name: timing.reading_loop(it, path) for name, it in alternatives.items()}, rounds)
    return Section(f"One read, {READ_SIZE:,} paths", timing.rows(found, "dict", {}))


def timed(action: Callable[[], object], rounds: int) -> list[float]:
    found: list[float] = []
    for _ in range(rounds):
        begins = time.perf_counter()
        action()
        found.append((time.perf_counter() - begins) * 1e6)
    return found


def changes(rounds: int) -> Section:
    rows: list[Row] = []
    for size in SIZES if not QUICK else SIZES[:2]:
        path = some_path(size)
        plain = flat(size)
        mapped, two = Map(plain), TwoLevels(plain)
        state, view = resolved(size)
        edit = LeafEdit("", path, "put", b"9.5")

        def ours(state: Any = state, view: Any = view, edit: LeafEdit = edit) -> object:
            return views.advance(view, state.apply("production", [edit]), [edit.path])

        rows += [
            summarise(
                f"{size:,}: copy of a flat dict",
                "µs",
                timed(partial(copied, plain, path), rounds),
            ),
            summarise(f"{size:,}: two-level dict", "µs", timed(partial(two.set, path, 1.0), rounds)),
            summarise(f"{size:,}: immutables.Map", "µs", timed(partial(mapped.set, path, 1.0), rounds)),
            summarise(f"{size:,}: ours, state, checksum, view and differences", "µs", timed(ours, rounds)),
        ]
    return Section("One change", rows)


def copied(plain: dict[str, Any], path: str) -> dict[str, Any]:
    """A flat dict with one value changed."""
    return {**plain, path: 1.0}


def first_reads() -> Section:
    _, view = resolved(READ_SIZE)
    found = [timed(partial(view.index.__getitem__, path), 1)[0] for path in list(view.leaf_paths())[::25]]
    return Section("The first read of a path", [summarise("resolve and decode", "µs", found)])


def collection(rounds: int) -> Section:
    """What holding each costs in a full collection, in milliseconds above holding only its texts and leaves."""
    documents = {f"t{number}": {f"field_{field}": b"2.5" for field in range(5)} for number in range(CHILDREN)}
    plain = flat(READ_SIZE)
    frozen = {name: Document({"field": 2.5}) for name in documents}
    made: dict[str, Callable[[], object]] = {
        f"immutables.Map of {READ_SIZE:,} leaves": lambda: Map(plain),
        f"dict of {READ_SIZE:,} leaves": lambda: dict(plain),
        f"immutables.Map of {CHILDREN:,} dicts": lambda: Map(documents),
        f"Wide of {CHILDREN:,} dicts": lambda: Wide[dict[str, bytes]].of(documents),
        f"dict of {CHILDREN:,} dicts": lambda: dict(documents),
        f"dict of {CHILDREN:,} documents, made anew": lambda: {name: Document({"field": 2.5}) for name in frozen},
        f"our state and view of {READ_SIZE:,} items": lambda: resolved(READ_SIZE),
    }
    rows: list[Row] = []
    for name, make in made.items():
        gc.collect()
        before = timed(gc.collect, rounds)
        held = make()
        gc.collect()
        after = timed(gc.collect, rounds)
        extra = (percentile(after, 0.5) - percentile(before, 0.5)) / 1000
        worst = (percentile(after, 0.99) - percentile(before, 0.5)) / 1000
        rows.append(Row(what=name, unit="ms", median=extra, p99=worst))
        del held
    return Section("What it adds to a full garbage collection", rows)


def main() -> int:
    rounds = 20 if QUICK else 200
    sections = [reads(rounds), changes(rounds // 4), first_reads(), collection(rounds // 4)]
    if "--json" in sys.argv:
        sys.stdout.write(to_json(sections))
    else:
        sys.stdout.write("\n".join(show(section) for section in sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
