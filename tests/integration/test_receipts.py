"""Reports and receipts on real servers: who serves a revision, who is missing, and whose clock says so."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
import pytest
import redis

from tests.conftest import MakeRedis
from tests.support.line import Line
from tests.support.servers import Database
from trimtab.feeds.scripts import REPORT
from trimtab.model import reports
from trimtab.model.errors import NotServedEverywhere, UnavailableError
from trimtab.model.links import Position
from trimtab.model.reports import AttachedBots, Refusal, Report, Status
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.fleet import Fleet
from trimtab_store.receipts import FleetReceipts
from trimtab_store.relay import Relay
from trimtab_store.writer import Committed, WaitOutcome

PRODUCTION = ["production"]
FLEET = "trimtab:{production}:fleet"


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client() as made:
        yield made


def report(agent: str = "mm-btc", revision: int = 5, **more: Any) -> Report:
    made = Report(
        agent=agent,
        environment="production",
        labels={"bot": agent, "region": 'ny"at":0.0'},
        epoch=1,
        revision=revision,
        proven=revision,
        status=Status.LIVE,
        staleness_seconds=0.0,
    )
    return replace(made, **more)


def send(client: redis.Redis, *sent: Report) -> None:
    """Report as an agent does."""
    for one in sent:
        fields = orjson.loads(one.encode())
        del fields["at"]
        client.eval(REPORT, 1, FLEET, one.agent, orjson.dumps(fields))


def age(client: redis.Redis, agent: str, seconds: float) -> None:
    """Make the server believe that a report came earlier."""
    found: Any = client.hget(FLEET, agent)
    fields = orjson.loads(found)
    client.hset(FLEET, agent, orjson.dumps({**fields, "at": fields["at"] - seconds}))


@contextlib.contextmanager
def waiting(receipts: FleetReceipts, position: Position) -> Generator[list[WaitOutcome]]:
    """A wait of a minute that is under way while the block runs, and over after it."""
    outcomes: list[WaitOutcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(receipts.served(PRODUCTION, position, 60)))
    thread.start()
    time.sleep(0.2)
    assert outcomes == []
    yield outcomes
    thread.join(30)
    assert not thread.is_alive()


def test_the_server_dates_a_report_and_changes_nothing_else(client: redis.Redis) -> None:
    sent = report(refused=(Refusal("risk.global", 5, 'must be < 3 "at":0.0'),), alarms=('"at":0.0', "é\n"))
    before: Any = client.time()
    send(client, sent)
    after: Any = client.time()
    found: Any = client.hget(FLEET, "mm-btc")
    kept = reports.decode(found)
    assert replace(kept, at=0.0) == sent
    assert before <= (int(kept.at), round(kept.at % 1 * 1e6) + 1)
    assert kept.at <= after[0] + after[1] / 1e6


def test_a_wait_returns_when_the_last_live_agent_serves_the_revision(
    client: redis.Redis, redis_server: RedisServer
) -> None:
    receipts = FleetReceipts(None, redis_server.url)
    send(client, report("a", 4), report("b", 5), report("c", 4, closed=True))
    with waiting(receipts, Position(1, 5)) as outcomes:
        send(client, report("a", 6))
    assert outcomes == [WaitOutcome(served=("a", "b"))]


def test_a_wait_is_for_the_bots_behind_a_sidecar_too_and_names_them(
    client: redis.Redis, redis_server: RedisServer
) -> None:
    receipts = FleetReceipts(None, redis_server.url)
    send(client, report("sidecar", 5, attached=AttachedBots(2, Position(1, 4))))
    (straggler,) = receipts.served(PRODUCTION, Position(1, 5), 0).stragglers
    assert (straggler.position, straggler.why) == (Position(1, 4), "a bot attached to it serves 1-4")
    with waiting(receipts, Position(1, 5)) as outcomes:
        send(client, report("sidecar", 5, attached=AttachedBots(2, Position(1, 5))))
    assert outcomes == [WaitOutcome(served=("sidecar",), attached=2)]


def test_an_agent_whose_line_the_revision_does_not_touch_serves_it_once_proven(
    client: redis.Redis, redis_server: RedisServer
) -> None:
    send(client, report("a", 2, proven=9))
    assert FleetReceipts(None, redis_server.url).served(PRODUCTION, Position(1, 9), 0) == WaitOutcome(served=("a",))


def test_nobody_to_wait_for_is_everywhere(redis_server: RedisServer) -> None:
    outcome = FleetReceipts(None, redis_server.url).served(PRODUCTION, Position(1, 9), 60)
    assert outcome == WaitOutcome()
    assert outcome.everywhere


def test_who_does_not_serve_it_in_time_is_named(client: redis.Redis, redis_server: RedisServer) -> None:
    send(client, report("a", 5), report("b", 4, status=Status.STALE))
    outcome = FleetReceipts(None, redis_server.url).served(PRODUCTION, Position(1, 5), 0.1)
    assert outcome.served == ("a",)
    (straggler,) = outcome.stragglers
    assert (straggler.agent, straggler.position, straggler.status) == ("b", Position(1, 4), "STALE")
    assert straggler.why == "serves 1-4"
    with pytest.raises(NotServedEverywhere, match=r"b \(production, serves 1-4\)"):
        outcome.require()


def test_a_silent_agent_is_named_for_ten_minutes_and_not_waited_for(
    client: redis.Redis, redis_server: RedisServer
) -> None:
    send(client, *(report(agent, 4) for agent in ("10 s", "20 s", "599 s", "601 s")), report("20 s, served", 5))
    for agent, seconds in (("10 s", 10), ("20 s", 20), ("20 s, served", 20), ("599 s", 595), ("601 s", 601)):
        age(client, agent, seconds)
    receipts = FleetReceipts(None, redis_server.url)
    with waiting(receipts, Position(1, 5)) as outcomes:
        send(client, report("10 s", 5))
    (outcome,) = outcomes
    assert outcome.served == ("10 s", "20 s, served")
    assert [straggler.agent for straggler in outcome.stragglers] == ["20 s", "599 s"]
    assert outcome.stragglers[0].why.startswith("silent for 2")


def test_an_agent_that_dates_its_report_itself_is_not_waited_for_for_ever(
    client: redis.Redis, redis_server: RedisServer
) -> None:
    send(client, report("future", 4))
    age(client, "future", -3600)
    assert FleetReceipts(None, redis_server.url).served(PRODUCTION, Position(1, 5), 60) == WaitOutcome()


def test_a_binding_that_refused_the_revision_is_named(client: redis.Redis, redis_server: RedisServer) -> None:
    refused = (Refusal("risk.global", 5, "too high"), Refusal("old", 3, "another matter"))
    send(client, report("a", 5, refused=refused))
    outcome = FleetReceipts(None, redis_server.url).served(PRODUCTION, Position(1, 5), 60)
    assert [(one.agent, one.path, one.reason) for one in outcome.refused] == [("a", "risk.global", "too high")]
    assert not outcome.everywhere


def test_an_agent_of_an_older_epoch_does_not_serve_a_newer_one(client: redis.Redis, redis_server: RedisServer) -> None:
    send(client, report("a", 50))
    outcome = FleetReceipts(None, redis_server.url).served(PRODUCTION, Position(2, 7), 0.1)
    assert [straggler.agent for straggler in outcome.stragglers] == ["a"]


def test_what_no_agent_wrote_is_no_agent(client: redis.Redis, redis_server: RedisServer) -> None:
    send(client, report("a", 5))
    client.hset(FLEET, "junk", "{")
    client.hset(FLEET, "b", report("another name", 1).encode())
    client.hset(FLEET, "c", report("c", 1, environment="staging").encode())
    assert [one.report.agent for one in FleetReceipts(None, redis_server.url).members(PRODUCTION)] == ["a"]


def report_to_postgres(database: Database, sent: Report, seconds: float = 0) -> None:
    with psycopg.connect(database.login("trimtab_agent"), autocommit=True) as connection:
        query = "SELECT trimtab.trimtab_report_v1(%s, %s, %s::jsonb)"
        connection.execute(query, (sent.environment, sent.agent, sent.encode().decode()))
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "UPDATE trimtab.agent_reports SET at = at - make_interval(secs => %s) WHERE agent = %s",
            (seconds, sent.agent),
        )


@pytest.fixture
def written(database: Database) -> Database:
    line = Line()
    line.commit()
    line.write(database.url)
    return database


def test_an_agent_cut_off_from_redis_reports_to_postgres(
    client: redis.Redis, redis_server: RedisServer, written: Database
) -> None:
    receipts = FleetReceipts(written.login("trimtab_writer"), redis_server.url)
    send(client, report("a", 5), report("b", 3))
    with waiting(receipts, Position(1, 5)) as outcomes:
        report_to_postgres(written, report("b", 5))
    assert outcomes == [WaitOutcome(served=("a", "b"))]


def test_of_two_reports_the_later_counts(client: redis.Redis, redis_server: RedisServer, written: Database) -> None:
    receipts = FleetReceipts(written.url, redis_server.url)
    report_to_postgres(written, report("a", 4), seconds=30)
    send(client, report("a", 7))
    assert [one.report.revision for one in receipts.members(PRODUCTION)] == [7]
    age(client, "a", 60)
    assert [one.report.revision for one in receipts.members(PRODUCTION)] == [4]


def test_while_redis_is_away_postgres_is_asked_at_every_look(own_redis: MakeRedis, written: Database) -> None:
    server = own_redis()
    server.kill()
    receipts = FleetReceipts(written.url, server.url)
    report_to_postgres(written, report("a", 4))
    with waiting(receipts, Position(1, 5)) as outcomes:
        report_to_postgres(written, report("a", 5))
    assert outcomes == [WaitOutcome(served=("a",))]


def test_a_frozen_redis_does_not_hold_up_a_wait(redis_server: RedisServer, written: Database) -> None:
    report_to_postgres(written, report("a", 5))
    redis_server.pause()
    outcome = FleetReceipts(written.url, redis_server.url).served(PRODUCTION, Position(1, 5), 30)
    redis_server.resume()
    assert outcome == WaitOutcome(served=("a",))


def test_when_nobody_can_be_asked_nothing_is_claimed(own_redis: MakeRedis) -> None:
    server = own_redis()
    server.kill()
    missing = f"postgresql://nobody@/none?host={server.socket.parent}"
    with pytest.raises(UnavailableError, match=r"The fleet cannot be asked: Redis: .*; PostgreSQL: "):
        FleetReceipts(missing, server.url).served(PRODUCTION, Position(1, 5), 0.2)


def test_a_commit_waits_through_its_receipts(client: redis.Redis, redis_server: RedisServer) -> None:
    send(client, report("a", 5))
    committed = Committed(
        environment="base",
        epoch=1,
        revision=5,
        hash=bytes(32),
        paths=("a",),
        environments=("base", "production"),
        committed_at=datetime.now(UTC),
        receipts=FleetReceipts(None, redis_server.url),
    )
    assert committed.wait(10) == WaitOutcome(served=("a",))


def test_a_relay_removes_reports_of_a_day_ago_and_what_no_agent_wrote(
    client: redis.Redis, redis_server: RedisServer, written: Database
) -> None:
    send(client, report("new"), report("old"), report("old but closed", closed=True))
    age(client, "old", 86_500)
    age(client, "old but closed", 86_500)
    client.hset(FLEET, "junk", "{")
    with contextlib.closing(Relay(written.url, redis_server.url)) as relay:
        assert relay.prune(PRODUCTION) == 3
        assert relay.prune(PRODUCTION) == 0
    assert client.hkeys(FLEET) == [b"new"]


def test_a_report_that_came_back_meanwhile_is_not_removed(client: redis.Redis, redis_server: RedisServer) -> None:
    send(client, report("a"))
    with contextlib.closing(Fleet.connect(None, redis_server.url)) as fleet:
        channel = fleet._channel
        assert channel is not None
        seen = channel.fleet("production")
        send(client, report("a", 6))
        assert channel.prune("production", seen) == 0
    assert client.hlen(FLEET) == 1
