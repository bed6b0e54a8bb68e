"""A writer that is killed and stopped at random, and readers that check every read of theirs, all as processes."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Final

from tests.support.shared_line import LINEAGE, drain, put
from trimtab.attached import Attached, attach
from trimtab.model import states
from trimtab.model.changes import Change
from trimtab.model.items import Item
from trimtab.model.links import Position
from trimtab.model.snapshots import Snapshot
from trimtab_sidecar.shared import Limits, Publisher, SharedDirectory

KEYS: Final = [f"group.k{key}" for key in range(8)]
FORK: Final = multiprocessing.get_context("fork")
_FILLERS: Final = 60
_SMALL: Final = Limits(paths=40, frames=12)


def write(place: Path, seed: int) -> None:
    """Publish until killed: the eight keys of a group always get one random value, and each revision has another."""
    rng = random.Random(seed)
    publisher = Publisher(SharedDirectory(place), "production", limits=_SMALL)
    state = states.build(LINEAGE, [Item("base", "", f"filler.f{number}", b"1") for number in range(_FILLERS)])
    position = Position()
    while True:
        before, value = position, rng.getrandbits(60)
        position = Position(1, max(time.time_ns() // 1000, before.revision + 1))  # newer than any writer's before
        edits = [put(key, [position.revision, value]) for key in KEYS]
        edits.append(put(f"filler.f{rng.randrange(_FILLERS)}", value))
        state = state.apply("base", edits)
        change = Change(environment="base", author="t", reason="", time="", edits=tuple(sorted(edits)))
        made = Snapshot("production", position, position.revision.to_bytes(32, "big"), state)
        drain(publisher.publish(made, change if rng.random() < 0.95 else None, before))
        drain(publisher.tidy())


@dataclass
class Seen:
    """What one reader found. `longest`: seconds that 500 rounds of checks took at most."""

    reads: int = 0
    revisions: int = 0
    generations: int = 0
    last: int = 0
    longest: float = 0.0
    wrong: list[str] = field(default_factory=list[str])

    def check(self, config: Attached) -> None:
        """One value for the whole group, of the pinned revision; and nothing older than what was read before."""
        with config.pinned() as pin:
            first = pin[KEYS[0]]
            same = all(pin[key] == first for key in KEYS)
            revision = pin.revision
        if not same or not isinstance(first, tuple) or first[0] != revision or revision < self.last:
            self.wrong.append(f"{first} at {revision} after {self.last}")
        loose = config[KEYS[5]]
        newest = loose[0] if isinstance(loose, tuple) else 0
        if not isinstance(newest, int) or newest < revision:
            self.wrong.append(f"{loose} after {revision}")
        self.revisions += newest != self.last
        self.reads += len(KEYS) + 1
        self.last = int(newest)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - see above


def read(place: Path, answer: Connection, stop: Connection) -> None:
    """Read and check until told to stop."""
    seen = Seen()
    config = attach(place, {"bot": "mm"}, timeout=10)
    answer.send(None)
    generation = 0
    try:
        while not stop.poll():
            begins = time.monotonic()
            for _ in range(500):
                seen.check(config)
            seen.longest = max(seen.longest, time.monotonic() - begins)
            now = config._following._at.generation.number
            seen.generations += now != generation
            generation = now
        seen.check(config)  # of what was there when we were told to stop
    except BaseException as error:  # noqa: BLE001 - whatever a reader raises is what is looked for
        seen.wrong.append(repr(error))
    answer.send(seen)


class Readers:
    """Reader processes at work, once they are made."""

    def __init__(self, place: Path, count: int) -> None:
        self.processes: list[ForkProcess] = []
        self._pipes: list[tuple[Connection, Connection]] = []
        for _ in range(count):
            mine, theirs = FORK.Pipe()
            stop, stopped = FORK.Pipe()
            self.processes.append(started(read, place, theirs, stopped))
            theirs.close()
            self._pipes.append((mine, stop))
        for mine, _ in self._pipes:
            assert mine.recv() is None

    def end(self) -> list[Seen]:
        """Stop them; what they found."""
        for _, stop in self._pipes:
            stop.send(None)
        found: list[Seen] = [mine.recv() for mine, _ in self._pipes]
        for process in self.processes:
            process.join()
        return found


def storm(place: Path, *, reads: int, seconds: float, readers: int, seed: int) -> tuple[list[Seen], int]:
    """Kill and stop the writer at random, stop readers now and then; what the readers saw, and how often it died."""
    rng = random.Random(seed)
    writer = started(write, place, seed)
    watching = Readers(place, readers)
    begins, kills = time.monotonic(), 0
    per_second = 100_000 * readers  # far below what they do: the time is what ends a storm that is short of reads
    while time.monotonic() - begins < max(seconds, min(reads / per_second, 300)):
        time.sleep(rng.uniform(0.001, 0.05))
        asleep = rng.choice([writer, writer, watching.processes[0]])
        if rng.random() < 0.3:
            _signal(asleep, signal.SIGSTOP)
            time.sleep(rng.uniform(0.001, 0.03))
            if asleep is writer and rng.random() < 0.5:
                _signal(writer, signal.SIGKILL)
            _signal(asleep, signal.SIGCONT)
        if rng.random() < 0.5:
            _signal(writer, signal.SIGKILL)
        if not writer.is_alive():
            writer.join()
            kills += 1
            writer = started(write, place, rng.randrange(2**30))
    found = watching.end()
    _signal(writer, signal.SIGKILL)
    writer.join()
    return found, kills


def started(target: object, *arguments: object) -> ForkProcess:
    """A process that ends with the test, at the latest."""
    process = FORK.Process(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - a function
    process.start()
    return process


def _signal(process: ForkProcess, number: signal.Signals) -> None:
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, number)
