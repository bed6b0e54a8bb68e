"""The follower: what goes wrong inside it stays inside it."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.files_fake import Disk as Stored
from tests.support.files_fake import FakeFiles
from tests.support.signed_line import SignedLine
from tests.support.waiting import eventually
from tests.support.world import World
from trimtab import Agent, Status, errands, follower, keeper, settings, sources
from trimtab.face import AgentFace
from trimtab.feeds.disk import DiskFeed, Loaded
from trimtab.feeds.feed import Arrived
from trimtab.files import DirectoryFiles
from trimtab.model.reports import REPORT_SECONDS, decode
from trimtab.model.statements import Trust
from trimtab.reader import Assignment, Held
from trimtab.replica.machine import Replica

LEVERAGE = "risk.global.max_leverage"


def breaking(times: int) -> Any:
    """A `Replica.handle` that breaks so often on messages, after it has done half of its work."""
    honest = Replica.handle
    left = [times]

    def handle(self: Replica, event: Any, now: float) -> Iterator[Any]:
        for effect in honest(self, event, now):
            yield effect
            if type(event).__name__ == "Arrived" and left[0] > 0:
                left[0] -= 1
                raise ZeroDivisionError("a bug in the replica")

    return handle


def test_it_survives_its_own_exceptions(
    made: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent = made.connect()
    assert eventually(lambda: agent.status is Status.LIVE)
    monkeypatch.setattr(Replica, "handle", breaking(3))
    with caplog.at_level(logging.ERROR, "trimtab"):
        for number in range(3):
            revision = made.commit({LEVERAGE: float(number)})
            assert agent.wait_for(revision, 10)
            assert agent[LEVERAGE] == float(number)
    assert "ZeroDivisionError: a bug in the replica" in caplog.text
    assert "ZeroDivisionError" in agent.alarms["follower"]
    assert eventually(lambda: any("follower" in alarm for report in made.reports() for alarm in report.alarms))
    last = made.commit({LEVERAGE: 9.0})
    assert agent.wait_for(last, 10)
    assert eventually(lambda: agent.status is Status.LIVE)


def test_beginning_again_never_goes_back(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = made.connect()
    revision = made.commit({LEVERAGE: 2.0})
    assert agent.wait_for(revision, 5)
    seen: list[int] = []
    honest = Agent.swap

    def swap(self: Agent, held: Held, also: Sequence[Assignment] = ()) -> None:
        seen.append(held.position.revision)
        honest(self, held, also)

    monkeypatch.setattr(Agent, "swap", swap)
    monkeypatch.setattr(Replica, "handle", breaking(1))
    made.commit({LEVERAGE: 1.0})
    last = made.commit({LEVERAGE: 0.5})
    assert agent.wait_for(last, 10)
    assert seen == sorted(seen)
    assert agent[LEVERAGE] == 0.5


def test_a_bug_in_a_feed_is_logged_and_gone_around(
    made: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent = made.connect()

    async def broken(*_: object) -> None:
        raise AttributeError("a bug in the feed")

    monkeypatch.setattr(made.redis, "changes", broken)
    with caplog.at_level(logging.ERROR, "trimtab"):
        made.commit({LEVERAGE: 2.0}, silently=True)
        revision = made.commit({LEVERAGE: 1.0})
        assert agent.wait_for(revision, 10)
        assert eventually(lambda: "a bug in the feed" in caplog.text)


def test_a_subscription_that_breaks_is_made_anew(
    made: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    honest = made.redis.subscribe
    calls = [0]

    async def breaking_once() -> Any:
        calls[0] += 1
        if calls[0] == 1:
            raise AttributeError("a bug in the subscription")
        async for notice in honest():
            yield notice

    monkeypatch.setattr(made.redis, "subscribe", breaking_once)
    monkeypatch.setattr(errands, "_RELISTEN_SECONDS", 0.05)
    with caplog.at_level(logging.ERROR, "trimtab"):
        agent = made.connect()
        assert eventually(lambda: agent.status is Status.LIVE)
    assert "a bug in the subscription" in caplog.text


def test_foreign_and_forged_messages_change_nothing_but_the_alarms(made: World) -> None:
    agent = made.connect()
    foreign = SignedLine("staging")
    for raw in (b"", b"{}\nnonsense", foreign.extend().message):
        made.redis.inject(Arrived(raw))
    made.wake()
    assert eventually(lambda: "refused" in agent.alarms)
    assert (agent[LEVERAGE], agent.revision) == (3.0, 1)
    assert agent.wait_for(made.commit({LEVERAGE: 2.0}), 5)


def test_a_flood_of_nonsense_does_not_grow_the_inbox(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "NEWS", 10)
    longest = [0]
    honest = follower.Follower.tell

    def tell(self: follower.Follower, event: Any) -> None:
        honest(self, event)
        longest[0] = max(longest[0], len(self._inbox))

    monkeypatch.setattr(follower.Follower, "tell", tell)
    agent = made.connect()
    for _ in range(500):
        made.redis.inject(Arrived(b"nonsense"))
    made.wake()
    assert agent.wait_for(made.commit({LEVERAGE: 2.0}), 10)
    assert longest[0] < 40


def test_a_write_that_fails_hurts_nothing_and_is_an_alarm(
    made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FLUSH_SECONDS", 0.02)
    agent = made.connect(directory=tmp_path / "d")
    assert eventually((tmp_path / "d" / "applied").exists)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(DirectoryFiles, "write", full)
    revision = made.commit({LEVERAGE: 2.0})
    assert agent.wait_for(revision, 5)
    assert agent[LEVERAGE] == 2.0
    assert eventually(lambda: "No space left" in agent.alarms.get("persist", ""))
    monkeypatch.undo()
    assert eventually(lambda: "persist" not in agent.alarms)
    agent.close()
    made.down()
    with made.connect(directory=tmp_path / "d") as again:
        assert (again[LEVERAGE], again.revision) == (2.0, revision)


class TimedFiles(FakeFiles):
    """Notes which file was brought to stable storage."""

    def __init__(self) -> None:
        super().__init__(Stored())
        self.synced: Counter[str] = Counter()

    def sync(self, handle: int) -> None:
        inode = self._handles[handle]
        self.synced.update(name for name, held in self.disk.names.items() if held is inode)
        super().sync(handle)


def test_two_hundred_changes_are_brought_to_stable_storage_at_most_once_a_second(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, honest = TimedFiles(), DiskFeed.open

    def open_there(directory: Path, environment: str, trust: Trust) -> DiskFeed:
        return honest(directory, environment, trust, files)

    monkeypatch.setattr(DiskFeed, "open", open_there)
    agent = made.connect(directory=Path("/fake"))
    assert eventually(lambda: "applied" in files.disk.names and files.synced)
    before, began = files.synced.copy(), time.monotonic()
    written = files.operations.count("write")
    for number in range(200):
        assert agent.wait_for(made.commit({LEVERAGE: float(number)}), 5)
        time.sleep(0.01)
    assert eventually(lambda: files.operations.count("write") - written >= 200), "each change is written at once"
    assert eventually(lambda: files.synced["applied"] > before["applied"])
    synced, seconds = files.synced - before, time.monotonic() - began
    assert keeper.FLUSH_SECONDS == 1.0
    assert {name: count for name, count in synced.items() if count > seconds + 1} == {}


def test_a_lost_journal_is_written_anew_from_a_snapshot(
    made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FLUSH_SECONDS", 0.02)
    directory = tmp_path / "d"
    with made.connect(directory=directory) as agent:
        assert agent.wait_for(made.commit({LEVERAGE: 2.0}), 5)
        assert eventually((directory / "applied").exists)
        disk = agent._life._follower.sources.disk  # type: ignore[union-attr]
        assert disk is not None
        disk._applied._lost("the test says so")
        (directory / "applied").unlink()
        last = made.commit({LEVERAGE: 1.0})
        assert agent.wait_for(last, 5)
        assert eventually(lambda: not disk.needs_snapshot and disk.position.revision == last)
    made.down()
    with made.connect(directory=directory) as agent:
        assert (agent[LEVERAGE], agent.revision) == (1.0, last)


def test_a_directory_that_cannot_be_used_is_done_without(made: World) -> None:
    given = settings.read(
        {
            "environment": "production",
            "trust": made.trust,
            "database_url": "postgresql://nobody@127.0.0.1:1/none",
            "redis_url": "redis://127.0.0.1:1",
            "directory": "/proc/nowhere/at-all",
        }
    )
    opened = sources.opener(given)(sources.plan(given), True)  # noqa: FBT003
    assert (opened.disk, "/proc/nowhere" in opened.lacking) == (None, True)
    assert opened.redis is not None
    assert {opened.redis.name, opened.postgres.name} == {"redis", "postgres"}


def test_reports_are_coalesced_and_regular(made: World) -> None:
    agent = made.connect()
    assert eventually(lambda: made.redis.reports)
    before = len(made.redis.reports)
    revisions = [made.commit({LEVERAGE: float(number)}) for number in range(100)]
    revision = revisions[-1]
    assert agent.wait_for(revision, 5)
    assert eventually(lambda: decode(made.redis.reports[-1]).revision == revision)
    assert len(made.redis.reports) - before < 60
    assert REPORT_SECONDS == 5.0


def test_a_follower_runs_in_a_loop_of_somebody_else(made: World) -> None:
    """As a sidecar does it: no thread of its own."""
    agent = made.connect()
    plan = agent._plan
    agent.close()

    async def live() -> int:
        opened = agent._open_sources(plan, False)  # noqa: FBT003
        other = Agent(plan, agent._open_sources)
        face = AgentFace(other, other._bindings, other._subscriptions, other._note)
        driver = follower.Follower(plan, opened, face)
        task = asyncio.create_task(driver.run())
        revision = made.commit({LEVERAGE: 2.0})
        async with asyncio.timeout(5):
            while other.revision < revision:  # noqa: ASYNC110 - a reader is not told, it looks
                await asyncio.sleep(0.01)
        driver.stop()
        await task
        return other.revision

    assert asyncio.run(live()) == made.revision


def test_a_disk_that_hangs_keeps_nobody_from_starting(
    made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    honest = DiskFeed.load

    def hang(self: DiskFeed) -> Loaded:
        let_go.wait()
        return honest(self)

    monkeypatch.setattr(DiskFeed, "load", hang)
    monkeypatch.setattr(follower, "_LOAD_SECONDS", 0.05)
    with made.connect(directory=tmp_path / "d") as agent:
        assert agent[LEVERAGE] == 3.0
        assert "does not answer" in agent.alarms["disk"]
        assert agent.wait_for(made.commit({LEVERAGE: 2.0}), 5)
        let_go.set()
