"""The longest gap between two reads of a busy reader, while what it reads changes.

A gap is what lies between the ends of two reads of one thread that does nothing else: a stall counts wherever it hits.
Windows in which the reader is told of a change take turns with windows of the noise floor: nothing happens, or where
the change is made by another process, that process makes the same change where nobody follows.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import Child
from benchmarks.peers import content, places
from benchmarks.peers.asking import NotRun, Talking, answer, ask, missing, start
from benchmarks.peers.catalog import ALL, ONE, PEERS
from benchmarks.peers.reading import Peer, Place
from benchmarks.peers.sections import Measured, not_run
from benchmarks.report import percentile

SETTLE = 0.1
QUIET = 0.15
FIRST_CHANGED = 100.25
FORMATS = {"launchdarkly": "launchdarkly", "openfeature": "values", "unleash": "unleash"}
Windows = list[tuple[bool, int, int]]
"""(whether something changed, begin, end)."""


@dataclass
class Changes:
    """Makes one change after the other for a reader, and says when it began."""

    peer: Peer
    place: Place
    directory: Path
    child: Talking
    writing: Talking | None

    def here(self, sort: str, value: float) -> int:
        """A change that the reader sees; it has seen it afterwards."""
        if self.writing is not None:
            self.writing.tell((sort, value, True))
            begin, revision = self.writing.told()
            if self.peer.ours:
                ask(self.child, "wait", revision)
            else:  # a second reading thread upsets the cache of redis-py: checked at the end
                time.sleep(QUIET)
            return int(begin)
        file = ""
        if sort == ALL or self.peer.key == "unleash":
            style = FORMATS.get(self.peer.key, "file")
            file = places.written(self.directory, self.place["items"], value, style)
            time.sleep(SETTLE)
        begin = time.perf_counter_ns()
        ask(self.child, "change", sort, value, file)
        return int(begin)

    def elsewhere(self, sort: str, value: float) -> int:
        """The noise floor."""
        begin = time.perf_counter_ns()
        if self.writing is not None:
            self.writing.tell((sort, value, False))
            self.writing.told()
        time.sleep(QUIET)
        return begin


def of_peer(peer: Peer, sort: str, place: Place, directory: Path, rounds: int) -> Measured:
    """One reader, one sort of change."""
    with ExitStack() as closing:
        writing: Child | None = None
        if peer.by != "itself":
            writing = closing.enter_context(Child("peers.writing", peer.by, place))
            told = writing.told()
            closing.callback(put_back, writing)
            place = {**place, "shared": told} if peer.by == "shared" else place
        child = start(closing, "serve", peer, place)
        version = answer(child)["version"]
        ask(child, "busy")
        changes = Changes(peer, place, directory, child, writing)
        windows: Windows = []
        for number in range(2 * rounds):
            changed = number % 2 == 1
            time.sleep(SETTLE)
            begin = (changes.here if changed else changes.elsewhere)(sort, FIRST_CHANGED + number)
            windows.append((changed, begin, time.perf_counter_ns()))
            time.sleep(0.02)
        found = longest(ask(child, "gaps"), windows)
        if peer.by == "redis":
            ask(child, "until", FIRST_CHANGED + 2 * rounds - 1)
    figures = {f"{name}_ms": value for name, value in found.items()}
    return Measured(key=peer.key, name=peer.name, version=version, figures=figures, note=peer.changed[sort])


def put_back(writing: Talking) -> None:
    """Let the first value be there again, for who comes next."""
    writing.tell((ONE, content.FIRST, True))
    writing.told()


def longest(gaps: Iterable[tuple[int, int]], windows: Windows) -> dict[str, float]:
    """Milliseconds: the median over the windows of the longest gap in each, and the worst; the same of the floor."""
    by: dict[bool, list[float]] = {True: [], False: []}
    noted = list(gaps)
    for changed, begin, end in windows:
        inside = [length for at, length in noted if at < end and at + length > begin]
        by[changed].append(max(inside, default=0) / 1e6)
    return {
        "median": percentile(by[True], 0.5),
        "worst": max(by[True]),
        "floor": percentile(by[False], 0.5),
        "floor_worst": max(by[False]),
    }


def takes_no(peer: Peer, sort: str) -> str:
    """Why a peer takes no such change in, or nothing."""
    if sort in peer.changed:
        return ""
    return "it knows no smaller step than the whole" if peer.changed else "nothing is held: each read asks the server"


def measure(
    sort: str, placed: Mapping[str, Place], directory: Path, rounds: int, peers: Iterable[Peer] = PEERS
) -> list[Measured]:
    """A row for each peer; one that takes no such change in is listed with the reason."""
    rows: list[Measured] = []
    for peer in peers:
        reason = missing(peer) or takes_no(peer, sort)
        try:
            rows.append(not_run(peer, reason) if reason else of_peer(peer, sort, placed[peer.key], directory, rounds))
        except (NotRun, RuntimeError) as error:
            rows.append(not_run(peer, str(error)))
    return rows


SORTS = (ONE, ALL)
