"""Bots that die, freeze, fork and start with nothing reachable."""

from __future__ import annotations

import contextlib
import signal
import time

import psycopg
import pytest

from tests.acceptance.bots import PATIENCE, Bot, Sample, bot, check_bot
from tests.support import ground_truth
from tests.support.fleet import Stand
from tests.support.load import load
from tests.support.proxied import postgres_url, socket_of
from tests.support.proxy import Proxy
from tests.support.servers import Database
from tests.support.waiting import settles
from trimtab import Status, clock
from trimtab.model.errors import UnavailableError
from trimtab.model.values import thaw
from trimtab_store.embedded.process import stat_fields, wait_until
from trimtab_store.embedded.redis import RedisServer

SLACK_SECONDS = 4.0
"""How much later than its timeout a call may come back on a busy machine."""


def test_a_bot_killed_under_load_comes_back_where_it_was_or_later(one_stand: Stand) -> None:
    stand = one_stand
    store = stand.populate()
    stand.relay()
    stand.fleet()
    with load([store]) as writes:
        seen = 0
        for _ in range(2):
            with bot(stand, "killed") as one:
                assert one.hear()["revision"] >= seen
                writes.wait_for(15)
                seen = one.ask("state")["revision"]
                one.process.kill()
                assert one.process.wait(PATIENCE) == -signal.SIGKILL
    truth = stand.settle(writes)
    with bot(stand, "killed") as one:
        one.hear()
        settles(lambda: check_bot(one.ask("state"), truth))


def test_a_bot_frozen_under_load_knows_that_it_was_away(one_stand: Stand, database: Database) -> None:
    """Nobody certified anything meanwhile: from its first look on it must not pass for fresh."""
    stand = one_stand
    store = stand.populate()
    stand.relay()
    stand.fleet()
    with (
        Proxy(socket_of(database.server)) as proxy,
        load([store]) as writes,
        bot(stand, "frozen", database_url=postgres_url(stand.agent_url, proxy)) as one,
    ):
        one.hear()
        settles(lambda: _certified(one))
        one.tell("sample")
        writes.wait_for(10)
        one.process.send_signal(signal.SIGSTOP)
        assert wait_until(lambda: stat_fields(one.process.pid)[:1] == ["T"], PATIENCE)
        frozen_at = clock.now()
        writes.wait_for(40)
        time.sleep(1)  # longer than a certificate lasts
        proxy.blackhole("up")  # no new one is to be had until we have seen what it says without
        continued_at = clock.now()
        one.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        samples = [Sample(*sample) for sample in one.ask("enough")["samples"]]
        proxy.resume()
        settles(lambda: _certified(one))
    _check_samples(samples, frozen_at, continued_at)
    truth = stand.settle(writes)
    with bot(stand, "frozen") as one:
        one.hear()
        settles(lambda: check_bot(one.ask("state"), truth))


def _check_samples(samples: list[Sample], frozen_at: float, continued_at: float) -> None:
    before = [sample for sample in samples if sample.at <= frozen_at]
    after = [sample for sample in samples if sample.at > frozen_at]
    assert {sample.status for sample in before} & {"LIVE", "DEGRADED"}
    assert after[0].at >= continued_at
    assert {sample.status for sample in after} == {"STALE"}
    assert all(sample.at - sample.staleness <= frozen_at for sample in after)


def _certified(one: Bot) -> None:
    assert one.ask("state")["status"] in {"LIVE", "DEGRADED"}


def test_a_bot_forks_a_hundred_times_and_its_connections_stay(
    stand: Stand, database: Database, redis_server: RedisServer
) -> None:
    store = stand.populate()
    stand.relay()

    def sessions() -> set[tuple[str, str]]:
        with psycopg.connect(database.url) as admin, contextlib.closing(redis_server.client()) as client:
            rows = admin.execute(
                "SELECT pid::text FROM pg_stat_activity"
                " WHERE application_name = 'trimtab-agent' AND datname = current_database()"
            ).fetchall()
            mine, listed = str(client.client_id()), client.client_list()
        found = {("postgres", pid) for (pid,) in rows}
        return found | {("redis", entry["id"]) for entry in listed if entry["id"] != mine}

    others = sessions()
    with bot(stand, "forking") as one:
        one.hear()
        settles(lambda: _live(one))
        before = sessions() - others
        kinds = [kind for kind, _ in before]
        assert kinds.count("postgres") >= 1
        assert kinds.count("redis") >= 2, "the subscription, and what reports are sent on"
        said = one.ask("fork 100")
        assert said["children"] == {'0 "read"': 96, '0 "certified by itself"': 4}
        assert before <= sessions()
        with store.edit("base", author="test") as edit:
            edit.set("risk.global.position_timeout", 6)
        truth = ground_truth.read(stand.truth_url)
        settles(lambda: check_bot(one.ask("state"), truth))
    stand.fleet()
    stand.settle()


def _live(one: Bot) -> None:
    assert one.ask("state")["status"] == "LIVE"


def test_a_cold_start_with_both_stores_down(stand: Stand, database: Database, redis_server: RedisServer) -> None:
    store = stand.populate()
    stand.relay()
    stand.fleet()
    with load([store]) as writes:
        writes.wait_for(30)
    truth = stand.settle(writes)
    for agent in stand.agents:
        agent.close()
    stand.agents.clear()
    database.server.stop()
    redis_server.kill()
    for agent in stand.fleet():
        assert agent.status is Status.OFFLINE
        assert agent.staleness_seconds == float("inf")
        position, digest = truth.lines[agent.environment]
        assert (agent.epoch, agent.revision, agent.hash) == (position.epoch, position.revision, digest)
        labels, leaves = truth.resolved(agent.environment, dict(agent.labels))
        assert dict(agent.labels) == labels
        assert {path: thaw(agent[path]) for path in leaves} == leaves
    with pytest.raises(UnavailableError, match=r"postgres.*redis.*disk"):
        stand.agent("production", {"bot": "new"}, kept="nothing-here", timeout=2.0)
    database.server.start()
    redis_server.start()
    with load([store]) as later:
        later.wait_for(20)
    later.writes.extend(writes.writes)
    stand.settle(later)


def test_servers_that_take_a_connection_and_say_nothing_are_told_in_time(
    stand: Stand, database: Database, redis_server: RedisServer
) -> None:
    """A frozen server looks like one that is there: connecting works, answers never come."""
    stand.populate()
    redis_server.pause()
    database.server.pause()
    try:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match=r"postgres.*redis") as refused:
            stand.agent("production", {"bot": "mm-btc"}, timeout=1.0)
        assert time.monotonic() - began < 1.0 + SLACK_SECONDS
        assert refused.value.remedy
    finally:
        redis_server.resume()
        database.server.resume()
    stand.relay()
    stand.fleet()
    stand.settle()


def test_stores_that_come_and_go_in_every_order(stand: Stand, database: Database, redis_server: RedisServer) -> None:
    store = stand.populate()
    stand.relay()
    agents = stand.fleet()
    with load([store]) as writes:
        writes.wait_for(10)
        redis_server.kill()
        database.server.kill()
        assert all(agent["risk.global.position_timeout"] == 5 for agent in agents)
        redis_server.start()
        database.server.start()
        writes.wait_for(10)
        database.server.kill()
        redis_server.kill()
        database.server.start()
        writes.wait_for(10)
        redis_server.start()
    stand.settle(writes)
