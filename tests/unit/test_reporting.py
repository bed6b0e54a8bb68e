"""Reporting: which server is told what, how often, and in which order."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace

import pytest

from trimtab import reporting
from trimtab.model import reports
from trimtab.model.errors import FeedUnavailable
from trimtab.model.reports import Report, Status
from trimtab.reporting import Reporting

REPORT = Report(
    agent="a",
    environment="production",
    labels={"bot": "a"},
    epoch=1,
    revision=1,
    proven=1,
    status=Status.LIVE,
    staleness_seconds=0.0,
)


@dataclass
class Server:
    """Takes reports; with `answers` cleared it has them before whoever sent one hears of it."""

    taken: list[Report] = field(default_factory=list[Report])
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    down: bool = False
    calls: int = 0

    def __post_init__(self) -> None:
        self.answers.set()

    async def report(self, report: bytes) -> None:
        self.calls += 1
        await asyncio.sleep(0)
        if self.down:
            raise FeedUnavailable("It is away")
        await self.answers.wait()
        self.taken.append(reports.decode(report))


@dataclass
class Bench:
    """A `Reporting` between two servers, and what its agent would say now."""

    postgres: Server = field(default_factory=Server)
    redis: Server = field(default_factory=Server)
    now: Report | None = REPORT
    poll_after: float = 0.001

    def __post_init__(self) -> None:
        self.reporting = Reporting(self.postgres, self.redis, self.compose, lambda: self.poll_after)

    def compose(self, *, closed: bool) -> Report | None:
        return None if self.now is None else replace(self.now, closed=closed)

    async def until(self, *, redis: int = 0, postgres: int = 0) -> None:
        """Wait until the servers were asked so often."""
        async with asyncio.timeout(10):
            while self.redis.calls < redis or self.postgres.calls < postgres:  # noqa: ASYNC110 - servers tell nobody
                await asyncio.sleep(0.001)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """In a hurry: what takes seconds takes milliseconds."""
    monkeypatch.setattr(reporting, "GAP_SECONDS", 0.001)
    monkeypatch.setattr(reporting, "SPREAD_SECONDS", 0.001)
    monkeypatch.setattr(reporting, "FALLBACK_GAP_SECONDS", 0.001)
    monkeypatch.setattr(reporting, "LABELS_SPREAD_SECONDS", 0.002)
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 0.01)
    return Bench()


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel it as a follower does that leaves."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_labels_are_told_to_postgres_at_the_start_and_when_they_change(bench: Bench) -> None:
    running = asyncio.create_task(bench.reporting.run())
    await bench.until(postgres=1)
    for revision in range(2, 20):
        bench.now = replace(REPORT, revision=revision)
        bench.reporting.due()
        await bench.until(redis=bench.redis.calls + 1)
    assert [dict(one.labels) for one in bench.postgres.taken] == [{"bot": "a"}]
    bench.now = replace(REPORT, labels={"bot": "a", "mode": "live"})
    bench.reporting.due()
    await bench.until(postgres=2)
    await bench.until(redis=bench.redis.calls + 5)
    assert [dict(one.labels) for one in bench.postgres.taken] == [{"bot": "a"}, {"bot": "a", "mode": "live"}]
    await ended(running)


async def test_labels_that_postgres_did_not_take_are_told_again(bench: Bench) -> None:
    bench.postgres.down = True
    running = asyncio.create_task(bench.reporting.run())
    await bench.until(postgres=3)
    bench.postgres.down = False
    await bench.until(postgres=bench.postgres.calls + 1)
    await bench.until(redis=bench.redis.calls + 5)
    assert len(bench.postgres.taken) == 1
    await ended(running)


async def test_labels_are_told_again_before_postgres_forgets_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reporting.LABELS_AGAIN_SECONDS < 24 * 3600
    monkeypatch.setattr(reporting, "LABELS_AGAIN_SECONDS", 0.02)
    running = asyncio.create_task(bench.reporting.run())
    await bench.until(postgres=3)
    await ended(running)


async def test_a_postgres_that_does_not_answer_holds_up_no_report_to_redis(bench: Bench) -> None:
    bench.postgres.answers.clear()
    running = asyncio.create_task(bench.reporting.run())
    await bench.until(postgres=1)
    await bench.until(redis=bench.redis.calls + 5)
    assert bench.postgres.taken == []
    await ended(running)
    bench.postgres.answers.set()
    await bench.reporting.close()


async def test_while_redis_is_away_every_report_goes_to_postgres(bench: Bench) -> None:
    bench.redis.down = True
    running = asyncio.create_task(bench.reporting.run())
    await bench.until(postgres=4)
    assert bench.redis.taken == []
    await ended(running)


async def test_what_redis_no_longer_takes_comes_to_postgres_spread_over_its_interval(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All agents lose Redis at one moment, and see a change at nearly one: Postgres must not hear them all at once."""
    spreads: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        spreads.append(seconds)
        await sleep(min(seconds, 0.001))

    monkeypatch.setattr(asyncio, "sleep", note)
    monkeypatch.setattr(random, "random", lambda: 0.5)
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 1000.0)
    bench.poll_after = 64.0
    bench.redis.down = True
    running = asyncio.create_task(bench.reporting.run())
    bench.reporting.due()
    await bench.until(postgres=1)
    assert 64.0 in spreads, "between the report that Redis refused and the first to Postgres"
    spreads.clear()
    for _ in range(2):
        bench.reporting.due()
        await bench.until(postgres=bench.postgres.calls + 1)
    assert 64.0 in spreads, "a change is told with the same spread"
    assert any(51.2 <= each < 64.0 for each in spreads), "the gap after a report"
    await ended(running)


async def test_redis_that_is_back_is_told_at_once_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.redis.down = True
    running = asyncio.create_task(bench.reporting.run())
    await bench.until(postgres=3)
    bench.redis.down = False
    await bench.until(redis=bench.redis.calls + 3)
    known = bench.postgres.calls
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 1000.0)
    monkeypatch.setattr(random, "random", lambda: 0.9)
    bench.poll_after = 1000.0  # over this it would be spread, had Redis not taken one
    for _ in range(3):
        bench.reporting.due()
        await bench.until(redis=bench.redis.calls + 1)
    assert bench.postgres.calls == known
    await ended(running)


async def test_a_goodbye_comes_after_the_report_that_was_under_way(bench: Bench) -> None:
    """The first report has arrived, its answer has not: it was heard, and must not be carried out once more later."""
    bench.redis.answers.clear()
    running = asyncio.create_task(bench.reporting.run())
    await bench.until(redis=1)
    await ended(running)
    closing = asyncio.create_task(bench.reporting.close())
    await asyncio.sleep(0.01)
    bench.redis.answers.set()
    await closing
    assert [one.closed for one in bench.redis.taken] == [False, True]


async def test_a_goodbye_goes_wherever_somebody_may_wait_for_us(bench: Bench) -> None:
    running = asyncio.create_task(bench.reporting.run())
    await bench.until(redis=1, postgres=1)
    await ended(running)
    await bench.reporting.close()
    assert (bench.redis.taken[-1].closed, bench.postgres.taken[-1].closed) == (True, True)


async def test_a_server_that_does_not_answer_takes_no_goodbye_from_the_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "_GOODBYE_SECONDS", 0.05)
    bench.redis.answers.clear()
    running = asyncio.create_task(bench.reporting.run())
    await bench.until(redis=1, postgres=1)
    await ended(running)
    await bench.reporting.close()
    assert (bench.redis.taken, bench.postgres.taken[-1].closed) == ([], True)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_who_never_said_anything_says_no_goodbye(bench: Bench) -> None:
    bench.now = None
    running = asyncio.create_task(bench.reporting.run())
    await asyncio.sleep(0.02)
    await ended(running)
    bench.now = REPORT
    await bench.reporting.close()
    assert (bench.redis.calls, bench.postgres.calls) == (0, 0)
