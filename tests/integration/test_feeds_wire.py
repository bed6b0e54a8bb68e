"""What goes wrong on the wire, for the feeds that have one: always `FeedUnavailable`, and the next call is right."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.feed_sources import ENVIRONMENT, PostgresSource, RedisSource, Source
from tests.support.proxy import Proxy
from tests.support.servers import Database, RedisServers
from tests.support.signed_line import SignedLine
from trimtab.feeds.feed import Feed
from trimtab.feeds.postgres import PostgresFeed
from trimtab.feeds.redis import RedisFeed
from trimtab.model.errors import FeedDenied, FeedUnavailable
from trimtab_store.embedded.redis_programs import installed_flavours

LINE = SignedLine()
LINE.extend(5, padding=200)
PASSWORD = re.compile(r":[^:@/]*@")


@dataclass
class Wired:
    """A filled server behind a proxy, and how to reach it."""

    proxy: Proxy
    url: str
    kind: str

    def feed(self, seconds: float = 10.0) -> Feed:
        return self.feed_at(self.url, seconds)

    def feed_at(self, url: str, seconds: float = 10.0) -> Feed:
        if self.kind == "redis":
            return RedisFeed(url, ENVIRONMENT, seconds=seconds)
        return PostgresFeed(url, ENVIRONMENT, seconds=seconds)


def through(url: str, proxy: Proxy) -> str:
    address = proxy.address
    assert isinstance(address, tuple)
    return re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{address[1]}", url)


def port_of(url: str) -> int:
    found = re.search(r"127\.0\.0\.1:(\d+)", url)
    assert found is not None
    return int(found[1])


@pytest.fixture(params=["redis", "postgres"])
def wired(request: pytest.FixtureRequest) -> Iterator[Wired]:
    with contextlib.ExitStack() as stack:
        source: Source
        if request.param == "redis":
            redis_servers: RedisServers = request.getfixturevalue("redis_servers")
            server = redis_servers.fresh((installed_flavours() or ("path",))[0])
            client = stack.enter_context(contextlib.closing(server.client()))
            url, source = server.tcp_url, RedisSource(client, RedisFeed(server.url, ENVIRONMENT))
        else:
            database: Database = request.getfixturevalue("database")
            url = database.login("trimtab_agent", tcp=True)
            source = PostgresSource(database.url, PostgresFeed(url, ENVIRONMENT))
        for entry in LINE.entries:
            source.publish(entry)
        proxy = stack.enter_context(Proxy(("127.0.0.1", port_of(url))))
        yield Wired(proxy, through(url, proxy), request.param)


async def check(feed: Feed) -> None:
    changes = await feed.changes(LINE.entries[0].position)
    assert list(changes.messages) == LINE.messages[1:]


async def test_silence_is_an_error_within_the_deadline_and_blocks_nobody(wired: Wired) -> None:
    feed = wired.feed(seconds=0.3)
    await check(feed)
    for direction in ("up", "down", "both"):
        wired.proxy.blackhole(direction)
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        ticker = asyncio.ensure_future(turn())
        async with asyncio.timeout(30):
            with pytest.raises(FeedUnavailable, match="no answer within") as caught:
                await check(feed)
        assert caught.value.__cause__ is not None
        assert turns > 3
        ticker.cancel()
        wired.proxy.resume()
        await check(feed)
    await feed.close()


async def test_nothing_listening_is_an_error(wired: Wired) -> None:
    wired.proxy.refuse()
    feed = wired.feed()
    with pytest.raises(FeedUnavailable) as caught:
        await check(feed)
    assert caught.value.__cause__ is not None
    assert "password" not in str(caught.value)
    wired.proxy.resume()
    await check(feed)
    await feed.close()


async def test_a_connection_lost_while_idle_is_replaced_unnoticed(wired: Wired) -> None:
    feed = wired.feed()
    for _ in range(3):
        await check(feed)
        wired.proxy.reset_all()
    await check(feed)
    await feed.close()


async def test_a_reset_at_any_byte_is_an_error_or_unnoticed(wired: Wired) -> None:
    feed = wired.feed()
    await check(feed)
    before = wired.proxy.counters.bytes_down
    await check(feed)
    size = wired.proxy.counters.bytes_down - before
    for count in [*range(1, 40), *range(40, size, 97), size - 1]:
        wired.proxy.reset_after(count)
        with contextlib.suppress(FeedUnavailable):
            await check(feed)
        wired.proxy.resume()
        await check(feed)
    await feed.close()


async def test_a_call_cancelled_on_a_dead_wire_ends_at_once(wired: Wired) -> None:
    feed = wired.feed(seconds=60)
    await check(feed)
    wired.proxy.blackhole()
    call = asyncio.ensure_future(check(feed))
    await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.wait({call}, timeout=4)  # psycopg alone would wait up to ten seconds for the server to cancel
    assert call.cancelled()
    wired.proxy.resume()
    await check(feed)
    await feed.close()


async def test_closing_ends_a_call_under_way(wired: Wired) -> None:
    feed = wired.feed(seconds=60)
    await check(feed)
    wired.proxy.blackhole()
    call = asyncio.ensure_future(check(feed))
    await asyncio.sleep(0.05)
    await feed.close()
    async with asyncio.timeout(10):
        with pytest.raises(FeedUnavailable):
            await call


async def test_a_wrong_password_is_shown_as_such_and_does_not_leak(wired: Wired) -> None:
    url = PASSWORD.sub(":a-wrong-one@", wired.url)
    feed = wired.feed_at(url)
    with pytest.raises(FeedDenied, match="refuses us") as caught:
        await feed.head()
    assert isinstance(caught.value, FeedUnavailable)
    assert caught.value.exit_code == 7
    assert "a-wrong-one" not in str(caught.value)
    await feed.close()


def abandoned_in_a_child(feed: RedisFeed | PostgresFeed) -> int:
    """The exit status of a child that abandons a feed and then loses it."""
    child = os.fork()
    if child == 0:
        feed.abandon()
        del feed
        gc.collect()
        os._exit(0)
    return os.waitpid(child, 0)[1]


async def test_a_forked_child_abandons_the_connection_and_the_parent_keeps_it(wired: Wired) -> None:
    feed = wired.feed()
    assert isinstance(feed, RedisFeed | PostgresFeed)
    await check(feed)
    connections = wired.proxy.counters.connections
    assert abandoned_in_a_child(feed) == 0
    await check(feed)
    assert wired.proxy.counters.connections == connections
    await feed.close()
