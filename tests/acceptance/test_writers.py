"""Writers that die, freeze and race: the line stays whole, and nobody loses an update."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from tests.support import ground_truth
from tests.support.fleet import Stand
from tests.support.load import Load, load, put, running
from trimtab.model.errors import ConflictError, ExpectationFailed
from trimtab_store.embedded.process import stat_fields, wait_until
from trimtab_store.writer import Committed

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
FREED_SECONDS = 8.0
"""When a writer freezes under the lock, others commit again within this: it may be held for 3 s, the rest is slack."""


@contextlib.contextmanager
def writer(stand: Stand, moment: str) -> Generator[subprocess.Popen[str]]:
    """A writer of `tests.support.writer_process`, gone at the end of the block."""
    command = [sys.executable, "-m", "tests.support.writer_process", moment, stand.writer_url, stand.redis_url or ""]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(stream: IO[str] | None) -> list[str]:
    """Everything that a process said to its end."""
    assert stream is not None
    return stream.read().split()


def doomed_values(stand: Stand) -> list[bytes | None]:
    """What the writer in its own process committed, in order."""
    truth = ground_truth.read(stand.truth_url)
    return [change.edits[place] for change in truth.changes for place in change.edits if place[1] == "load.doomed"]


def test_a_writer_killed_between_commit_and_publish_is_repaired_by_the_relay(stand: Stand) -> None:
    store = stand.populate()
    stand.relay()
    stand.fleet()
    with load([store], writers=2) as writes, writer(stand, "committed") as process:
        writes.wait_for(10)
        assert process.wait(PATIENCE) == -signal.SIGKILL
        assert len(lines(process.stdout)) == 4
        writes.wait_for(10)
    assert doomed_values(stand) == [b'"committed %d"' % number for number in range(5)]
    stand.settle(writes)


def test_without_any_other_writer_the_relay_still_publishes_what_the_killed_one_did_not(stand: Stand) -> None:
    store = stand.populate()
    stand.fleet()
    with writer(stand, "committed") as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    newest = store.get("load.doomed", "base")
    assert newest.value == "committed 4"
    for agent in stand.agents:  # PostgreSQL alone brings it
        assert agent.wait_for(newest.moment.revision, PATIENCE)
    stand.relay()
    stand.settle()


def test_a_writer_killed_inside_the_locked_part_leaves_nothing(stand: Stand) -> None:
    store = stand.populate()
    stand.relay()
    stand.fleet()
    with load([store], writers=2) as writes, writer(stand, "locked") as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
        assert len(lines(process.stdout)) == 4
        writes.wait_for(10)
    assert doomed_values(stand) == [b'"locked %d"' % number for number in range(4)]
    stand.settle(writes)


def test_a_writer_frozen_inside_the_locked_part_frees_the_line_within_seconds(stand: Stand) -> None:
    store = stand.populate()
    stand.relay()
    stand.fleet()
    with load([store], writers=2) as writes, writer(stand, "frozen") as process:
        assert wait_until(lambda: stat_fields(process.pid)[:1] == ["T"], PATIENCE)
        already = len(writes.acknowledged) + 2  # what each writer had committed before, and is told only now
        assert wait_until(lambda: len(writes.acknowledged) > already, FREED_SECONDS)
        writes.wait_for(10)
        process.send_signal(signal.SIGCONT)
        assert process.wait(PATIENCE) == 0
        said = lines(process.stdout)
    assert said[4] == "UnavailableError", said
    assert doomed_values(stand) == [b'"frozen %d"' % number for number in range(4)]
    stand.settle(writes)


def test_two_writers_on_one_path_lose_no_update_with_expect(stand: Stand) -> None:
    """Each counts up what it read; without `expect` some of the counts would be lost."""
    first = stand.populate()
    stand.relay()
    stand.fleet()
    put(first, ("base", ""), "load.counter", "0")
    made: list[Committed] = []

    def count(store_number: int) -> None:
        store = stand.store() if store_number else first
        done = 0
        while done < 20:
            found = first.get("load.counter", "base")
            try:
                with store.edit("base", author=f"w{store_number}", expect=found.moment.revision) as edit:
                    edit.set("load.counter", str(int(str(found.value)) + 1))
            except ConflictError:
                continue
            made.append(edit.committed)
            done += 1

    with running([partial(count, number) for number in (0, 1)], threading.Event()):
        pass
    assert first.get("load.counter", "base").value == "40"
    assert len({committed.revision for committed in made}) == 40
    stand.settle()


def test_two_writers_on_one_path_are_put_in_order_without_expect(stand: Stand) -> None:
    stores = [stand.populate(), stand.store()]
    stand.relay()
    stand.fleet()
    writes = Load()

    def write(number: int) -> None:
        for turn in range(25):
            writes.writes.append(put(stores[number], ("base", ""), "load.shared", f"{number} {turn}"))

    with running([partial(write, number) for number in (0, 1)], threading.Event()):
        pass
    assert len(writes.acknowledged) == 50
    newest, _ = max(writes.acknowledged, key=lambda pair: pair[1].revision)
    assert stores[0].get("load.shared", "base").value == newest.value
    stand.settle(writes)


def test_an_edit_of_what_changed_meanwhile_is_refused_and_shows_both(one_stand: Stand) -> None:
    store = one_stand.populate()
    seen = store.get("risk.global.max_leverage", "production").moment.revision
    put(store, ("base", ""), "load.elsewhere", "1")
    with store.edit("production", author="a", expect=seen) as edit:  # another document changed, not this one
        edit.set("risk.global.max_leverage", 4)
    with (
        pytest.raises(ExpectationFailed, match=r"max_leverage"),
        store.edit("production", author="b", expect=seen) as edit,
    ):
        edit.set("risk.global.position_timeout", 9)
    one_stand.relay()
    one_stand.fleet()
    one_stand.settle()


def test_sixteen_writers_on_many_paths(stand: Stand) -> None:
    stores = [stand.populate(), *(stand.store(pool_size=4) for _ in range(3))]
    stand.relay(2)
    stand.fleet()
    with load(stores, writers=16) as writes:
        writes.wait_for(400)
    assert not writes.told("unknown")
    assert not writes.told("refused")
    stand.settle(writes)


def test_a_bot_turns_live_while_writers_write(stand: Stand) -> None:
    """A change of labels is one commit among others; the view of that bot follows it whole."""
    store = stand.populate()
    stand.relay()
    agents = stand.fleet()
    with load([store]) as writes:
        for mode in ["live", "paper"] * 5:
            writes.wait_for(3)
            with store.edit("production", author="operator") as edit:
                edit.set("fleet.bots.mr-eth.labels.mode", mode)
            for agent in agents[1:2]:
                assert agent.wait_for(edit.committed.revision, PATIENCE)
                with agent.pinned() as view:
                    if view.revision >= edit.committed.revision:
                        assert view.labels["mode"] == mode
                        assert view["risk.global.max_leverage"] == (2 if mode == "live" else 3)
    stand.settle(writes)
