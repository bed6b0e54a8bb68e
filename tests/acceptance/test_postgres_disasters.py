"""PostgreSQL dies, freezes and throws its clients out while writers write; the network between loses what it likes."""

from __future__ import annotations

import time
from typing import Literal

import psycopg
import pytest

from tests.support.fleet import Stand
from tests.support.load import Load, Write, load, put
from tests.support.proxied import port_of, postgres_url, socket_of
from tests.support.proxy import Proxy
from tests.support.servers import Database
from trimtab import Status
from trimtab.model.errors import OutcomeUnknown
from trimtab_store.commit import CALM
from trimtab_store.store import Store

SOME = 25


def test_postgres_is_killed_under_load(stand: Stand, database: Database) -> None:
    stores = [stand.populate(), stand.store()]
    stand.relay()
    agents = stand.fleet()
    with load(stores) as writes:
        for _ in range(2):
            writes.wait_for(SOME)
            database.server.kill()
            for agent in agents:
                assert agent["risk.global.position_timeout"] == 5
            database.server.start()
        writes.wait_for(SOME)
    assert writes.told("refused") or writes.told("unknown")
    stand.settle(writes)


def test_postgres_is_restarted_in_order_under_load(stand: Stand, database: Database) -> None:
    stores = [stand.populate(), stand.store()]
    stand.relay()
    stand.fleet()
    with load(stores) as writes:
        for _ in range(2):
            writes.wait_for(SOME)
            database.server.restart()
        writes.wait_for(SOME)
    stand.settle(writes)


def test_postgres_freezes_and_goes_on(stand: Stand, database: Database) -> None:
    store = stand.populate()
    stand.relay()
    agents = stand.fleet()
    with load([store]) as writes:
        writes.wait_for(SOME)
        database.server.pause()
        ends = time.monotonic() + 30
        while not all(agent.status is Status.STALE for agent in agents) and time.monotonic() < ends:
            time.sleep(0.02)
        assert [agent.status for agent in agents] == [Status.STALE for _ in agents]
        assert all(agent["risk.global.position_timeout"] == 5 for agent in agents)
        database.server.resume()
        writes.wait_for(SOME)
    stand.settle(writes)


def test_storms_of_terminated_sessions(stand: Stand, database: Database) -> None:
    stores = [stand.populate(), stand.store()]
    stand.relay()
    stand.fleet()
    terminated = 0
    with load(stores) as writes, psycopg.connect(database.url, autocommit=True) as admin:
        for _ in range(30):
            writes.wait_for(2)
            row = admin.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            terminated += 0 if row is None else row[0]
        writes.wait_for(SOME)
    assert terminated > 30
    stand.settle(writes)


@pytest.mark.parametrize("then", ["reset", "silence"])
@pytest.mark.parametrize(
    ("key", "reply"),
    [("a key", b"COMMIT\0"), ("", b"COMMIT\0"), ("", b"trimtab_commit_at_once_v1\0")],
    ids=["settled by its key", "in two steps", "in one statement"],
)
def test_the_reply_of_commit_is_lost(
    one_stand: Stand, database: Database, key: str, reply: bytes, then: Literal["reset", "silence"]
) -> None:
    stand = one_stand
    direct = stand.populate()
    stand.relay()
    stand.fleet()
    with Proxy(socket_of(database.server)) as proxy:
        stand.writer_url = postgres_url(stand.writer_url, proxy)
        store = stand.store()
        before = direct.queries.document("base").moment.revision
        for number in range(3 if then == "reset" else 1):
            proxy.drop_replies_matching(reply, then)
            _choose_way(store, at_once=reply != b"COMMIT\0")
            value = f"commit {number}"
            if key:
                with store.edit("base", author="test", idempotency_key=f"{key} {number}") as edit:
                    edit.set("load.lost", value)
                assert edit.committed.revision == before + number + 1
            else:
                with pytest.raises(OutcomeUnknown), store.edit("base", author="test") as edit:
                    edit.set("load.lost", value)
            assert proxy.counters.dropped_replies == number + 1
            assert direct.get("load.lost", "base").value == value
        stand.settle()
        stand.close()


def _choose_way(store: Store, *, at_once: bool) -> None:
    """A writer that met somebody lately commits in two steps, one that met nobody in one statement."""
    committer = store._committer
    assert committer is not None
    committer.calm = CALM if at_once else 0


@pytest.mark.parametrize("tcp", [False, True], ids=["socket", "tcp"])
def test_commits_through_a_way_that_breaks_at_any_byte(one_stand: Stand, database: Database, *, tcp: bool) -> None:
    stand = one_stand
    stand.populate()
    stand.relay()
    stand.fleet()
    with Proxy(port_of(database.server) if tcp else socket_of(database.server)) as proxy:
        stand.writer_url = postgres_url(stand.writer_url, proxy)
        stand.agent_url = postgres_url(stand.agent_url, proxy)
        stores = [stand.store(), stand.store()]
        stand.agent("production", {"bot": "mm-btc"}, kept="through-the-proxy")
        with load(stores) as writes:
            for count in range(60):
                proxy.reset_after(53 * count, "up" if count % 2 else "down")
                time.sleep(0.03)
            proxy.delay(10)
            writes.wait_for(10)
            proxy.resume()
        assert proxy.counters.resets > 10
        stand.settle(writes)
        stand.close()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_the_way_to_postgres_swallows_one_direction(
    stand: Stand, database: Database, direction: Literal["up", "down"]
) -> None:
    with Proxy(socket_of(database.server)) as proxy:
        direct = stand.populate()
        stand.relay()
        stand.agent_url = postgres_url(stand.agent_url, proxy)
        agents = stand.fleet()
        with load([direct]) as writes:
            writes.wait_for(SOME)
            proxy.blackhole(direction)
            writes.wait_for(SOME)
            newest = writes.acknowledged[-1][1]
            ends = time.monotonic() + 30
            while any(agent.status is not Status.STALE for agent in agents) and time.monotonic() < ends:
                time.sleep(0.02)
            # Redis goes on bringing what is new, but nothing proves that it is the newest
            assert [agent.status for agent in agents] == [Status.STALE for _ in agents]
            assert all(agent.revision > newest.revision - SOME for agent in agents)
            proxy.resume()
        stand.settle(writes)
        stand.close()


def test_unknown_outcomes_are_settled_by_asking_again(one_stand: Stand, database: Database) -> None:
    stand = one_stand
    stand.populate()
    with Proxy(socket_of(database.server)) as proxy:
        stand.writer_url = postgres_url(stand.writer_url, proxy)
        store = stand.store()
        writes: list[Write] = []
        for number in range(25):
            proxy.reset_after(40 * number, "down")
            writes.append(put(store, ("base", ""), "load.again", f"again {number}", f"again {number}"))
        assert [write.told for write in writes] == ["acknowledged"] * 25
        stand.relay()
        stand.fleet()
        stand.settle(Load(writes))
        stand.close()
