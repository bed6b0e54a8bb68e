"""Reads, crowds and holding: what is asked of each reader, in turn, and the rows that this makes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.peers.asking import NotRun, Start, Talking, answer, ask, missing
from benchmarks.peers.catalog import BASE
from benchmarks.peers.reading import Peer, Place
from benchmarks.report import percentile

MEBIBYTE = 1024 * 1024
COUNTS = (1, 2, 4)


@dataclass(kw_only=True)
class Measured:
    """One peer in one section: figures by name, or why there are none."""

    key: str
    name: str
    version: str = ""
    figures: dict[str, float] = field(default_factory=dict[str, float])
    note: str = ""
    not_run: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def not_run(peer: Peer, reason: str) -> Measured:
    """A row that says why there is nothing in it."""
    return Measured(key=peer.key, name=peer.name, note=peer.note, not_run=reason)


def _each(peers: Iterable[Peer], measure: Callable[[Peer], Measured]) -> list[Measured]:
    """A row for every peer, also for those that cannot run."""
    rows: list[Measured] = []
    for peer in peers:
        reason = missing(peer)
        try:
            rows.append(not_run(peer, reason) if reason else measure(peer))
        except NotRun as error:
            rows.append(not_run(peer, str(error)))
    return rows


def reads(peers: Iterable[Peer], place: Mapping[str, Place], start: Start, rounds: int, singles: int) -> list[Measured]:
    """Median of a read from unrolled batches, tails from single reads; all processes live, and take turns."""
    rows: dict[str, Measured] = {}
    batches: dict[str, list[float]] = {}
    alone: dict[str, list[float]] = {}
    with ExitStack() as closing:
        running: dict[str, tuple[Peer, Talking]] = {}

        def begin(peer: Peer) -> Measured:
            child = start(closing, "serve", peer, place[peer.key])
            version = answer(child)["version"]
            running[peer.key] = (peer, child)
            return Measured(key=peer.key, name=peer.name, version=version, note=peer.note)

        rows = {row.key: row for row in _each(peers, begin)}
        for _ in range(rounds):
            for key, (peer, child) in list(running.items()):
                try:
                    batches.setdefault(key, []).extend(ask(child, "batches", 10))
                    each = singles // (10 if peer.slow else 1) // rounds
                    alone.setdefault(key, []).extend(ask(child, "singles", each))
                except NotRun as error:
                    del running[key]
                    rows[key] = not_run(peer, str(error))
    for key in running:
        rows[key].figures = _spread(batches[key], alone[key])
    _ratios(rows)
    return list(rows.values())


def _spread(batches: list[float], singles: list[float]) -> dict[str, float]:
    return {
        "median_ns": statistics.median(batches),
        "p99_ns": percentile(singles, 0.99),
        "p999_ns": percentile(singles, 0.999),
        "singles": len(singles),
    }


def _ratios(rows: Mapping[str, Measured]) -> None:
    base = rows.get(BASE)
    if base is None or base.not_run:
        return
    for row in rows.values():
        if not row.not_run:
            row.figures["ratio"] = row.figures["median_ns"] / base.figures["median_ns"]


def crowds(peers: Iterable[Peer], place: Mapping[str, Place], start: Start, seconds: float) -> list[Measured]:
    """Reads a second and the median of one, with 1, 2 and 4 threads in a process, and in so many processes."""

    def measure(peer: Peer) -> Measured:
        figures: dict[str, float] = {}
        with ExitStack() as closing:
            children = [start(closing, "serve", peer, place[peer.key]) for _ in range(max(COUNTS))]
            version = "; ".join({answer(child)["version"] for child in children})
            for count in COUNTS:
                reads, median = ask(children[0], "threads", count, seconds)
                figures |= {f"threads_{count}_per_s": reads, f"threads_{count}_ns": median}
            for count in COUNTS:
                for child in children[:count]:
                    child.tell(("threads", 1, seconds))
                found = [answer(child)["found"] for child in children[:count]]
                figures[f"processes_{count}_per_s"] = sum(reads for reads, _ in found)
                figures[f"processes_{count}_ns"] = statistics.median(median for _, median in found)
        return Measured(key=peer.key, name=peer.name, version=version, figures=figures)

    return _each(peers, measure)


def holding(peers: Iterable[Peer], place: Mapping[str, Place], start: Start, rounds: int) -> list[Measured]:
    """Import, from there to the first value, and memory above the interpreter, each time in a fresh process."""
    found: dict[str, list[dict[str, float]]] = {}
    rows: dict[str, Measured] = {}

    def once(peer: Peer) -> Measured:
        with ExitStack() as closing:
            found.setdefault(peer.key, []).append(answer(start(closing, "holding", peer, place[peer.key])))
        return Measured(key=peer.key, name=peer.name, version=peer.version())

    for _ in range(rounds):
        left = [peer for peer in peers if peer.key not in rows or not rows[peer.key].not_run]
        rows |= {row.key: row for row in _each(left, once)}
    for key, row in rows.items():
        if not row.not_run:
            middle = {name: statistics.median(one[name] for one in found[key]) for name in found[key][0]}
            row.figures = {
                "import_ms": middle["import_ms"],
                "ready_ms": middle["ready_ms"],
                "import_mib": middle["import_bytes"] / MEBIBYTE,
                "total_mib": middle["total_bytes"] / MEBIBYTE,
            }
    return list(rows.values())
