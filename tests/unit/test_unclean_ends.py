"""Unclean ends outlive a clean stop; they are used up by what is served then that they cannot have come from."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.support.files_fake import FATES, Disk, FakeFiles, Fate, Judge, Killed
from tests.support.signed_line import KEY, Entry, SignedLine
from tests.support.waiting import eventually
from tests.support.world import World, world
from trimtab import keeper
from trimtab.agent import Agent
from trimtab.feeds.disk import DiskFeed, Loaded, runs, sealed
from trimtab.files import DirectoryFiles
from trimtab.model.errors import PersistFailed
from trimtab.model.links import Position
from trimtab.model.reports import Refusal
from trimtab.model.snapshots import Snapshot
from trimtab.model.views import View
from trimtab.replica.events import Arrived, Effect, ForgetUncleanEnds, PersistChange, Recovered, Serve, Started
from trimtab.replica.line import Line
from trimtab.replica.machine import Replica
from trimtab.replica.serving import Admit, Hold, admit_all

LEVERAGE = "risk.global.max_leverage"
LINE = SignedLine()
LINE.extend(9)
PROVEN, NEWEST, LIFTING = 2, 4, 5
"""Places in the line: what the bot goes back to, what it dies of, and what comes then."""


# -- the disk ----------------------------------------------------------------------------------------------------------


def opened(files: FakeFiles) -> DiskFeed:
    return DiskFeed.open(Path("/fake"), "production", KEY.trust(), files)


def looping(judge: Judge | None = None) -> FakeFiles:
    """A directory whose last three ends were unclean, with everything up to `NEWEST`."""
    disk = Disk()
    for now in (10.0, 20.0, 30.0):
        feed = opened(FakeFiles(disk))
        feed.load()
        feed.mark_started(now)
        if now == 10.0:
            feed.replace(LINE.entries[0].snapshot.statement, LINE.entries[0].snapshot.body)
            for entry in LINE.entries[1 : NEWEST + 1]:
                feed.append(entry.message)
        feed.flush()
        disk = disk.lose_process()
    return FakeFiles(disk) if judge is None else FakeFiles(disk, judge)


def start(files: FakeFiles) -> DiskFeed:
    feed = opened(files)
    feed.load()
    feed.mark_started(40.0)
    return feed


def lift(feed: DiskFeed) -> None:
    """What the driver asks for when a newer revision comes: it is kept, then the ends are forgotten."""
    feed.append(LINE.entries[LIFTING].message)
    feed.forget_unclean_ends()


def left(disk: Disk) -> Loaded:
    return opened(FakeFiles(disk)).load()


def newest(loaded: Loaded) -> int:
    assert loaded.newest is not None
    positions = [entry.position for entry in LINE.entries]
    return positions.index(loaded.generations[loaded.newest].position)


def test_a_clean_stop_keeps_them() -> None:
    files = looping()
    start(files).mark_clean_stop(41.0)
    loaded = left(files.disk.lose_process())
    assert (loaded.clean, loaded.unclean_ends) == (True, (20.0, 30.0, 40.0))
    assert runs.is_crash_loop(loaded.unclean_ends, 50.0)


@pytest.mark.parametrize("fate", FATES, ids=str)
def test_once_forgotten_they_are_so_for_good(fate: Fate) -> None:
    files = looping()
    feed = start(files)
    lift(feed)
    feed.flush()
    loaded = left(files.disk.lose_power(fate))
    assert (loaded.clean, loaded.unclean_ends, newest(loaded)) == (False, (), LIFTING)
    feed.mark_clean_stop(42.0)
    loaded = left(files.disk.lose_power(fate))
    assert (loaded.clean, loaded.unclean_ends, newest(loaded)) == (True, (), LIFTING)


def test_a_clean_stop_writes_down_what_was_not_flushed() -> None:
    files = looping()
    feed = start(files)
    lift(feed)
    feed.mark_clean_stop(42.0)
    assert left(files.disk.lose_power(FATES[0])).unclean_ends == ()


def test_new_unclean_ends_count_from_then_on() -> None:
    files = looping()
    feed = start(files)
    lift(feed)
    feed.flush()
    again = opened(FakeFiles(files.disk.lose_process()))
    again.load()
    assert again.mark_started(50.0) == (50.0,)
    again.flush()
    assert again.mark_started(50.0) == (50.0,)


def kill_at(n: int) -> Judge:
    return lambda number, _kind: "kill" if number == n else ""


def fail_at(n: int) -> Judge:
    return lambda number, _kind: "fail" if number == n else ""


def lifting(files: FakeFiles) -> None:
    feed = start(files)
    lift(feed)
    feed.flush()


def operations() -> int:
    files = looping()
    lifting(files)
    return len(files.operations)


@pytest.mark.parametrize("fate", [None, *FATES], ids=str)
def test_killed_at_any_moment_they_are_forgotten_only_with_the_newer_revision_kept(fate: Fate | None) -> None:
    seen: set[tuple[bool, int]] = set()
    for n in range(1, operations() + 1):
        files = looping(kill_at(n))
        with contextlib.suppress(Killed):
            lifting(files)
        loaded = left(files.disk.lose_process() if fate is None else files.disk.lose_power(fate))
        assert loaded.unclean_ends or newest(loaded) == LIFTING
        seen.add((bool(loaded.unclean_ends), newest(loaded)))
    assert (True, NEWEST) in seen


def test_whatever_fails_once_the_next_flush_makes_it_good() -> None:
    for n in range(1, operations() + 1):
        files = looping(fail_at(n))
        try:
            feed = start(files)
        except PersistFailed:
            continue  # it could not be opened, or its start not be recorded: nothing was to be forgotten yet
        message = LINE.entries[LIFTING].message
        for write in (partial(feed.append, message), feed.forget_unclean_ends, feed.flush):
            with contextlib.suppress(PersistFailed):
                write()
        if feed.needs_snapshot:
            signed = LINE.entries[LIFTING].snapshot
            feed.replace(signed.statement, signed.body)
        feed.flush()
        loaded = left(files.disk.lose_power(FATES[0]))
        assert (loaded.unclean_ends, newest(loaded)) == ((), LIFTING)


def test_where_the_newer_revision_cannot_be_kept_they_wait_for_a_snapshot_of_it() -> None:
    files = looping()
    feed = start(files)
    with pytest.raises(PersistFailed):
        feed.append(LINE.entries[LIFTING + 1].message)  # after a gap
    feed.forget_unclean_ends()
    feed.flush()
    assert feed.needs_snapshot
    assert left(files.disk.lose_power(FATES[0])).unclean_ends != ()
    signed = LINE.entries[LIFTING + 1].snapshot
    feed.replace(signed.statement, signed.body)
    feed.flush()
    loaded = left(files.disk.lose_power(FATES[0]))
    assert (loaded.unclean_ends, newest(loaded)) == ((), LIFTING + 1)


# -- the replica -------------------------------------------------------------------------------------------------------


def state_at(place: int) -> Snapshot:
    line = Line("production", KEY.trust())
    signed = LINE.entries[place].snapshot
    for _ in line.offer_snapshot(signed.statement, signed.body):
        pass
    assert line.snapshot is not None
    return line.snapshot


def recovered(*, quarantined: bool, proven: int | None = PROVEN) -> Recovered:
    proving = None if proven is None else state_at(proven)
    return Recovered(snapshot=state_at(NEWEST), generation="applied", proven=proving, quarantined=quarantined)


def booted(event: Recovered, hold: Hold = "binding", admit: Admit = admit_all) -> Replica:
    replica = Replica("production", KEY.trust(), {"bot": "mm"}, random=lambda: 0.5, hold=hold, admit=admit)
    told = [*replica.handle(event, 1.0), *replica.handle(Started(), 1.0)]
    assert ForgetUncleanEnds() not in told
    return replica


def told_of(replica: Replica, entry: Entry) -> list[Effect]:
    interesting = (PersistChange, ForgetUncleanEnds, Serve)
    return [effect for effect in replica.handle(Arrived(entry.message), 2.0) if isinstance(effect, interesting)]


def kinds(effects: list[Effect]) -> list[type]:
    return [type(effect) for effect in effects]


@pytest.mark.parametrize("proven", [PROVEN, NEWEST, None])
def test_the_first_newer_revision_uses_them_up_after_it_is_kept_and_only_once(proven: int | None) -> None:
    replica = booted(recovered(quarantined=True, proven=proven))
    assert (replica.serving.quarantined is not None) == (proven == PROVEN)
    first = told_of(replica, LINE.entries[LIFTING])
    assert kinds(first) == [PersistChange, ForgetUncleanEnds, Serve]
    assert replica.serving.quarantined is None
    assert kinds(told_of(replica, LINE.entries[LIFTING + 1])) == [PersistChange, Serve]


def test_without_a_crash_loop_there_is_nothing_to_forget() -> None:
    replica = booted(recovered(quarantined=False))
    assert kinds(told_of(replica, LINE.entries[LIFTING])) == [PersistChange, Serve]


def test_a_newer_revision_that_is_held_back_uses_nothing_up_and_an_urgent_one_does() -> None:
    line = SignedLine()
    line.extend(NEWEST + 1)  # the same one so far
    later = LINE.entries[NEWEST].position

    def refuse(_: View, position: Position) -> Sequence[Refusal]:
        return (Refusal("risk", position.revision, "odd"),) if position > later else ()

    replica = booted(recovered(quarantined=True), hold="all", admit=refuse)
    assert kinds(told_of(replica, line.extend())) == [PersistChange]
    assert replica.serving.quarantined is not None
    assert kinds(told_of(replica, line.extend(urgent=True))) == [PersistChange, ForgetUncleanEnds, Serve]
    assert replica.serving.quarantined is None


# -- the agent ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    """A world whose directory `d` was left by a bot that died twice of revision 2; the next start is its third."""
    with world() as found:
        directory = tmp_path / "d"
        with found.connect(directory=directory):
            assert eventually((directory / "applied").exists)
        (directory / "proven").write_bytes((directory / "applied").read_bytes())
        (directory / "proven").chmod(0o600)
        with found.connect(directory=directory) as agent:
            assert agent.wait_for(found.commit({LEVERAGE: 9.0}), 5)
        files, now = DirectoryFiles(directory), time.time()
        sealed.write(files, "runs", {"at": now, "running": True, "unclean_ends": [now - 20, now - 10]})
        files.close()
        yield found


def check_quarantined(agent: Agent) -> None:
    assert (agent[LEVERAGE], agent.revision) == (3.0, 1)
    assert "quarantined" in agent.alarms


def test_a_clean_restart_while_quarantined_stays_so_and_one_after_it_was_lifted_serves_the_newest(
    made: World, tmp_path: Path
) -> None:
    for _ in range(2):
        with made.connect(directory=tmp_path / "d") as agent:
            check_quarantined(agent)
    with made.connect(directory=tmp_path / "d") as agent:
        check_quarantined(agent)
        newer = made.commit({LEVERAGE: 8.0})
        assert agent.wait_for(newer, 5)
    made.down()
    with made.connect(directory=tmp_path / "d") as agent:
        assert (agent[LEVERAGE], agent.revision) == (8.0, newer)
        assert "quarantined" not in agent.alarms


def test_a_failure_to_forget_them_is_an_alarm_and_tried_again(
    made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FLUSH_SECONDS", 0.02)
    honest, full = DirectoryFiles.create, [True]

    def create(files: DirectoryFiles, name: str) -> int:
        if full[0] and name.startswith("runs"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return honest(files, name)

    agent = made.connect(directory=tmp_path / "d")
    check_quarantined(agent)
    monkeypatch.setattr(DirectoryFiles, "create", create)
    newer = made.commit({LEVERAGE: 8.0})
    assert agent.wait_for(newer, 5)
    assert eventually(lambda: "No space left" in agent.alarms.get("persist", ""))
    assert '"unclean_ends":[]' not in (tmp_path / "d" / "runs").read_text()
    full[0] = False
    assert eventually(lambda: '"unclean_ends":[]' in (tmp_path / "d" / "runs").read_text())
    assert eventually(lambda: "persist" not in agent.alarms)
    agent.close()
