"""A writer that strace kills just before one system call of its choice, while other processes read.

A life is what is killed: a process that begins on what the one before it left, writes, rotates, cleans up and ends.
Every revision of every life gives the whole group of `shared_storm` one value, which holds the revision's number.
"""

from __future__ import annotations

import asyncio
import functools
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Final
from unittest import mock

from tests.support.shared_line import SharedLine, put
from tests.support.shared_storm import FORK, KEYS
from tests.support.sidecar import running, until
from tests.support.world import World
from trimtab.model.links import Position
from trimtab_sidecar import node
from trimtab_sidecar import running as wiring
from trimtab_sidecar.shared import Limits, Publisher

REVISIONS: Final = 7
"""Of one whole life."""
SMALL: Final = Limits(paths=40, frames=2)
Life = Callable[[Path, int], None]
Call = tuple[str, int]
"""The name of a system call, and which of its calls it is."""
_CALL: Final = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\(")


def publisher_life(place: Path, begin: int) -> None:
    """The writer of shared memory alone: it makes the same system calls each time."""
    with SharedLine(place, limits=SMALL) as line:
        line.position = Position(1, begin)
        line.resync(line.state.apply("base", [put(key, value) for key, value in _group(begin + 1).items()]))
        for number in range(2, REVISIONS + 1):
            line.edit(*(put(key, value) for key, value in _group(begin + number).items()))
            line.attest()
            line.tidy()


def sidecar_life(place: Path, begin: int) -> None:
    """A whole sidecar, over feeds in memory."""
    short = functools.partial(Publisher, limits=SMALL)
    with mock.patch.object(wiring, "Publisher", short), mock.patch.object(node, "TEND_SECONDS", 0.005):
        asyncio.run(_sidecar_life(place, begin))


async def _sidecar_life(place: Path, begin: int) -> None:
    made = World()
    made.revision = begin
    made.commit(_group(begin + 1))
    made.sign()
    async with running(made, place) as sidecar:
        for number in range(2, REVISIONS + 1):
            revision = made.commit(_group(begin + number))
            await until(lambda revision=revision: sidecar.node.position.revision == revision)  # type: ignore[misc]
            await asyncio.sleep(0.02)  # for what is due besides


def _group(revision: int) -> dict[str, object]:
    value = random.Random(revision).getrandbits(60)
    return {key: [revision, value] for key in KEYS}


class Traced:
    """One life under strace. `kill` is where it dies; `calls`: those that touched the directory, when it has ended."""

    def __init__(self, life: Life, place: Path, begin: int, log: Path, kill: Call | None = None) -> None:
        """Raises `PermissionError` where nothing can be traced."""
        self._place, self._log = place, log
        go, going = FORK.Pipe()
        self._process = FORK.Process(target=_live, args=(life, place, begin, going), daemon=True)
        self._process.start()
        calls = ["trace=%file,%desc"]
        if kill is not None:
            calls = [f"trace={kill[0]}", "-e", f"inject={kill[0]}:signal=KILL:when={kill[1]}"]
        words = ["strace", "-f", "-y", "-o", str(log), "-p", str(self._process.pid), "-e", *calls]
        self._tracer = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert self._tracer.stderr is not None
        said = self._tracer.stderr.readline()
        if "attached" not in said:
            self._process.kill()
            raise PermissionError(said)
        go.send(None)

    def end(self) -> int | None:
        """How it ended: 0, or minus the number of a signal."""
        self._process.join(60)
        assert self._tracer.stderr is not None
        with self._tracer.stderr as stream:
            stream.read()
        self._tracer.wait(60)
        return self._process.exitcode

    def calls(self) -> list[Call]:
        """In their order."""
        counted: Counter[str] = Counter()
        found: list[Call] = []
        for line in self._log.read_text().splitlines():
            if (match := _CALL.match(line)) is not None:
                counted[match[1]] += 1
                if str(self._place) in line or match[1] == "fallocate":
                    found.append((match[1], counted[match[1]]))
        return found


def _live(life: Life, place: Path, begin: int, going: Connection) -> None:
    going.recv()  # until strace is there
    life(place, begin)


def live_on(life: Life, place: Path, begin: int) -> int | None:
    """One life that nobody kills; its exit code."""
    process: ForkProcess = FORK.Process(target=life, args=(place, begin), daemon=True)
    process.start()
    process.join(60)
    return process.exitcode


def installed() -> bool:
    """Whether there is a strace."""
    return shutil.which("strace") is not None


def chosen(calls: list[Call], most: int) -> list[Call]:
    """Some of many calls: the first of every name, and others evenly."""
    first = list({name: (name, number) for name, number in reversed(calls)}.values())
    rest = [call for call in calls if call not in first]
    step = max(1, -(-len(rest) // max(1, most - len(first))))
    return [*first, *rest[::step]][:most]
