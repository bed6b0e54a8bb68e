"""The feed on disk while every file operation fails, or kills the process, in turn.

One scenario runs through everything that an agent does with its directory and notes what it was promised: after each
successful `flush`, the newest position and the floor. It is then repeated with a fault at the n-th operation, for every
n.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.files_fake import FATES, Disk, FakeFiles, Fate, Judge, Killed, Verdict
from tests.support.signed_line import KEY, SignedLine
from trimtab.feeds.disk import DiskFeed, Loaded
from trimtab.model import links, snapshots
from trimtab.model.errors import PersistFailed
from trimtab.model.links import START, Position

TRUST = KEY.trust()
LINE = SignedLine()
LINE.extend(14)
BY_POSITION = {entry.position: entry for entry in LINE.entries}


def at(index: int) -> Position:
    return LINE.entries[index].position


@dataclass
class Promises:
    """What must hold after any crash from here on."""

    newest: Position = START
    floor: Position = START
    floor_asked: Position = START
    proven: Position = START
    started: bool = False
    stopping: bool = False
    failures: list[str] = field(default_factory=list[str])


class Bot:
    """An agent's driver in small: it calls the feed as the driver does and goes on after `PersistFailed`."""

    def __init__(self, files: FakeFiles, promises: Promises) -> None:
        self.promises = promises
        self.feed = DiskFeed.open(Path("/fake"), "production", TRUST, files)
        self.loaded = self.feed.load()

    def attempt(self, what: str, action: Callable[[], object]) -> bool:
        try:
            action()
        except PersistFailed:
            self.promises.failures.append(what)
            return False
        return True

    def snapshot(self, index: int) -> None:
        signed = LINE.entries[index].snapshot
        self.attempt("replace", lambda: self.feed.replace(signed.statement, signed.body))

    def change(self, index: int) -> None:
        self.attempt("append", lambda: self.feed.append(LINE.entries[index].message))
        if self.feed.needs_snapshot:
            self.snapshot(index)

    def serve(self, index: int) -> None:
        self.promises.floor_asked = max(self.promises.floor_asked, at(index))
        self.feed.set_floor(at(index))

    def flush(self) -> None:
        if self.attempt("flush", self.feed.flush) and not self.feed.needs_snapshot:
            self.promises.newest = max(self.promises.newest, self.feed.position)
            self.promises.floor = self.promises.floor_asked

    def promote(self, index: int) -> None:
        if self.attempt("promote", lambda: self.feed.promote_proven(at(index))):
            self.promises.proven = at(index) if self.promises.failures == [] else self.promises.proven

    def run(self) -> None:
        """The scenario: boot, follow, renew the snapshot, promote twice, stop cleanly."""
        self.promises.started = self.attempt("start", lambda: self.feed.mark_started(1000.0))
        self.snapshot(1)
        for index in (2, 3):
            self.change(index)
            self.serve(index)
        self.flush()
        self.promote(2)
        self.change(4)
        self.change(5)
        self.serve(5)
        self.flush()
        self.snapshot(3)
        self.change(6)
        self.flush()
        self.promote(5)
        self.change(7)
        self.serve(7)
        self.flush()
        self.snapshot(8)
        self.promote(8)
        self.change(9)
        self.serve(9)
        self.promises.stopping = True
        self.attempt("stop", lambda: self.feed.mark_clean_stop(2000.0))


def check(loaded: Loaded, promises: Promises) -> None:
    """Every generation is a true piece of the line, and nothing promised is missing."""
    for generation in loaded.generations.values():
        statement = generation.statement
        assert generation.body == BY_POSITION[statement.position].snapshot.body
        expected = [e.message for e in LINE.entries if statement.position < e.position <= generation.position]
        assert expected == list(generation.messages)
    newest = START if loaded.newest is None else loaded.generations[loaded.newest].position
    assert newest >= promises.newest
    assert (START if loaded.proven is None else loaded.proven.position) >= promises.proven
    assert promises.floor <= loaded.floor <= promises.floor_asked
    assert not (loaded.clean and promises.started and not promises.stopping)


def boot_and_go_on(disk: Disk, promises: Promises) -> None:
    """The next process boots from what is left, follows on, and is killed by a power loss after its flush."""
    bot = Bot(FakeFiles(disk), promises)
    check(bot.loaded, promises)
    if bot.loaded.newest is None:
        bot.snapshot(10)
    else:
        generation = bot.loaded.generations[bot.loaded.newest]
        for entry in LINE.entries[:11]:
            if entry.position > generation.position:
                bot.feed.append(entry.message)
    bot.serve(10)
    bot.feed.flush()
    assert not bot.promises.failures or bot.feed.position == at(10)
    after = DiskFeed.open(Path("/fake"), "production", TRUST, FakeFiles(disk.lose_power(FATES[0]))).load()
    assert after.newest is not None
    assert after.generations[after.newest].position == at(10)
    assert after.floor == at(10)
    assert after.alarms == ()


def operations() -> int:
    files = FakeFiles(Disk())
    Bot(files, Promises()).run()
    return len(files.operations)


COUNT = operations()


def judges(verdict: Verdict, length: int = 1) -> Iterator[tuple[int, Judge]]:
    """For every operation n, a judge that lets this happen to it and to the `length` - 1 operations after it."""

    def judge_from(n: int) -> Judge:
        def judge(number: int, kind: str) -> Verdict:  # noqa: ARG001 - every kind is treated alike
            return verdict if n <= number < n + length else ""

        return judge

    for n in range(1, COUNT + 1):
        yield n, judge_from(n)


def well(_number: int, _kind: str) -> Verdict:
    return ""


def run_with(judge: Judge, lies: str = "") -> tuple[Disk, Promises, FakeFiles]:
    disk, promises = Disk(), Promises()
    files = FakeFiles(disk, judge, lies=lies)
    with contextlib.suppress(Killed, PersistFailed):
        Bot(files, promises).run()
    return disk, promises, files


def test_the_scenario_reaches_every_kind_of_operation() -> None:
    files = FakeFiles(Disk())
    Bot(files, Promises()).run()
    assert {
        "lock",
        "names",
        "read",
        "create",
        "append",
        "write",
        "sync",
        "rename",
        "remove",
        "sync_directory",
    } == set(files.operations)


def test_killed_at_every_operation_a_process_leaves_what_it_promised() -> None:
    for _, judge in judges("kill"):
        disk, promises, _ = run_with(judge)
        boot_and_go_on(disk.lose_process(), promises)


@pytest.mark.parametrize("fate", FATES, ids=str)
def test_power_lost_at_every_operation_leaves_what_was_promised(fate: Fate) -> None:
    for _, judge in judges("kill"):
        disk, promises, _ = run_with(judge)
        boot_and_go_on(disk.lose_power(fate), promises)


def lose_power_everywhere(lies: str) -> None:
    for _, judge in judges("kill"):
        disk, promises, _ = run_with(judge, lies)
        for fate in FATES:
            boot_and_go_on(disk.lose_power(fate), promises)


@pytest.mark.parametrize("lies", ["sync", "sync_directory"])
def test_these_tests_notice_a_sync_that_is_left_out(lies: str) -> None:
    with pytest.raises(AssertionError):
        lose_power_everywhere(lies)


@pytest.mark.parametrize("length", [1, 12])
def test_a_failure_of_every_operation_hurts_neither_the_bot_nor_the_files(length: int) -> None:
    for n, judge in judges("fail", length):
        disk, promises, files = run_with(judge)
        if n > 6:  # before, the directory could not even be opened
            assert len(files.operations) >= n
        assert files.open_handles <= 1
        for fate in FATES:
            boot_and_go_on(disk.lose_power(fate), promises)


def test_what_failed_once_is_written_by_the_next_flush() -> None:
    for length in (1, 12):
        for n, judge in judges("fail", length):
            disk, promises = Disk(), Promises()
            files = FakeFiles(disk)
            bot = Bot(files, promises)
            opened = len(files.operations)
            files.judge = judge if n > opened else files.judge
            bot.run()
            files.judge = well
            if bot.feed.needs_snapshot:
                bot.snapshot(9)
            bot.feed.flush()
            loaded = DiskFeed.open(Path("/fake"), "production", TRUST, FakeFiles(disk.lose_power(FATES[0]))).load()
            assert loaded.newest is not None
            assert loaded.generations[loaded.newest].position == at(9)
            assert loaded.floor == at(9)


def test_a_generation_is_what_the_model_reads() -> None:
    disk, _, _ = run_with(well)
    loaded = DiskFeed.open(Path("/fake"), "production", TRUST, FakeFiles(disk.lose_process())).load()
    assert set(loaded.generations) == {"applied", "proven", "previous"}
    assert loaded.clean
    generation = loaded.generations["applied"]
    snapshot = snapshots.decode(generation.statement, generation.body)
    assert snapshot.position == at(8)
    assert [links.read(message).position for message in generation.messages] == [at(9)]
    assert [loaded.generations[name].position for name in ("proven", "previous")] == [at(8), at(5)]
