"""The feed from Redis: subscriptions that are lost and come again, reports, and what strangers may write there."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import TypeVar, cast

import pytest
import redis

from tests.support.feed_sources import ENVIRONMENT, RedisSource
from tests.support.proxy import Proxy
from tests.support.signed_line import SignedLine
from trimtab.feeds.feed import Arrived, Lost, Named, Notice, SignedBytes, Subscribed
from trimtab.feeds.memory import MemoryFeed
from trimtab.feeds.redis import RedisFeed
from trimtab.feeds.redis.subscription import Rhythm, notice
from trimtab.model import reports
from trimtab.model.errors import FeedUnavailable, SettingError
from trimtab.model.links import START
from trimtab.model.reports import Report, Status
from trimtab_store.embedded.redis import RedisServer

FAST = Rhythm(confirm=5.0, ping=0.05, pong=0.3)
PATIENT = Rhythm(confirm=5.0, ping=0.1, pong=10.0)
_Notice = TypeVar("_Notice", bound=Notice)


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with contextlib.closing(redis_server.client()) as made:
        yield made


@pytest.fixture
async def source(redis_server: RedisServer, client: redis.Redis) -> AsyncIterator[RedisSource]:
    feed = RedisFeed(redis_server.url, ENVIRONMENT, agent="bot-1", seconds=10, rhythm=PATIENT)
    yield RedisSource(client, feed)
    await feed.close()


async def expect(session: AsyncGenerator[Notice, None], kind: type[_Notice]) -> _Notice:
    async with asyncio.timeout(30):
        found = await anext(session)
    assert isinstance(found, kind)
    return found


async def skip_to(session: AsyncGenerator[Notice, None], kind: type[_Notice]) -> _Notice:
    async with asyncio.timeout(60):
        async for found in session:
            if isinstance(found, kind):
                return found
    raise AssertionError("a subscription ended")


async def test_news_arrive_after_the_confirmation_in_order(source: RedisSource) -> None:
    line = SignedLine()
    line.extend(5)
    async with contextlib.aclosing(source.feed.subscribe()) as session:
        await expect(session, Subscribed)
        for entry in line.entries:
            source.publish(entry)
        for entry in line.entries:
            assert (await expect(session, Arrived)).message == entry.message


async def test_a_large_change_is_named_only(source: RedisSource) -> None:
    entry = SignedLine().extend(padding=40_000)
    async with contextlib.aclosing(source.feed.subscribe()) as session:
        await expect(session, Subscribed)
        source.publish(entry)
        named = await expect(session, Named)
    assert (named.position, named.hash) == (entry.position, entry.link.hash)


@pytest.mark.parametrize(
    "announcement", [b"", b"M", b"N", b"N1 2", b"Nx y z", b"Q1 2", b"\xff\x00", b"N1 2 " + b"g" * 64]
)
def test_an_announcement_that_no_publisher_wrote_is_passed_on(announcement: bytes) -> None:
    assert isinstance(notice(announcement), Arrived)


async def test_a_killed_subscription_is_lost_and_comes_again(source: RedisSource) -> None:
    async with contextlib.aclosing(source.feed.subscribe()) as session:
        await expect(session, Subscribed)
        for _ in range(5):
            source.client.client_kill_filter(_type="pubsub")
            await expect(session, Lost)
            await expect(session, Subscribed)


async def test_a_session_without_a_pong_is_lost(redis_server: RedisServer) -> None:
    assert redis_server.port is not None
    with Proxy(("127.0.0.1", redis_server.port)) as proxy:
        address = proxy.address
        assert isinstance(address, tuple)
        url = redis_server.tcp_url.replace(f":{redis_server.port}", f":{address[1]}")
        feed = RedisFeed(url, ENVIRONMENT, rhythm=FAST)
        async with contextlib.aclosing(feed.subscribe()) as session:
            await expect(session, Subscribed)
            proxy.blackhole()
            assert "no PONG" in (await expect(session, Lost)).reason
            proxy.resume()
            await skip_to(session, Subscribed)
        await feed.close()


async def test_a_frozen_server_is_lost_too(redis_server: RedisServer) -> None:
    feed = RedisFeed(redis_server.url, ENVIRONMENT, rhythm=FAST)
    async with contextlib.aclosing(feed.subscribe()) as session:
        await expect(session, Subscribed)
        redis_server.pause()
        try:
            assert "no PONG" in (await expect(session, Lost)).reason
        finally:
            redis_server.resume()
        await skip_to(session, Subscribed)
    await feed.close()


async def test_a_restarted_server_is_lost_and_comes_again(redis_server: RedisServer) -> None:
    feed = RedisFeed(redis_server.url, ENVIRONMENT, rhythm=PATIENT)
    async with contextlib.aclosing(feed.subscribe()) as session:
        await expect(session, Subscribed)
        redis_server.kill()
        await expect(session, Lost)
        redis_server.start()
        await skip_to(session, Subscribed)
    await feed.close()


async def test_a_subscriber_killed_for_being_slow_learns_it(source: RedisSource) -> None:
    source.client.config_set("client-output-buffer-limit", "pubsub 262144 262144 1")
    try:
        async with contextlib.aclosing(source.feed.subscribe()) as session:
            await expect(session, Subscribed)
            pile = b"M" + b"x" * 30_000
            while source.client.publish(source.names.changes, pile):
                pass  # until the server has thrown the subscriber out: nobody reads meanwhile
            await skip_to(session, Lost)
            await expect(session, Subscribed)
            source.client.publish(source.names.changes, b"Mnew")
            assert (await expect(session, Arrived)).message == b"new"
    finally:
        source.client.config_set("client-output-buffer-limit", "pubsub 33554432 8388608 60")


async def test_a_consumer_that_was_away_is_not_lost_for_it(source: RedisSource) -> None:
    feed = RedisFeed(_url(source), ENVIRONMENT, rhythm=FAST)
    async with contextlib.aclosing(feed.subscribe()) as session:
        await expect(session, Subscribed)
        for count in range(3):
            await asyncio.sleep(FAST.pong * 2)
            source.client.publish(source.names.changes, b"M%d" % count)
            assert (await expect(session, Arrived)).message == b"%d" % count
    await feed.close()


def _url(source: RedisSource) -> str:
    pool = source.client.connection_pool
    return f"unix://{pool.connection_kwargs['path']}?password={pool.connection_kwargs['password']}"


async def test_a_closed_feed_ends_its_subscriptions(source: RedisSource) -> None:
    session = source.feed.subscribe()
    await expect(session, Subscribed)
    waiting = asyncio.ensure_future(anext(session))
    await asyncio.sleep(0.01)
    await source.feed.close()
    async with asyncio.timeout(10):
        with pytest.raises(FeedUnavailable, match="closed"):
            await waiting


async def test_a_subscription_that_cannot_be_had_says_why_once(redis_server: RedisServer) -> None:
    feed = RedisFeed("redis://127.0.0.1:1/0", ENVIRONMENT, rng=lambda: 0.0)
    async with contextlib.aclosing(feed.subscribe()) as session:
        assert "127.0.0.1:1" in (await expect(session, Lost)).reason
        more = asyncio.ensure_future(anext(session))
        await asyncio.sleep(0.3)  # several more attempts
        assert not more.done()
        more.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await more
    await feed.close()
    assert redis_server.running


async def test_a_report_replaces_the_agents_own_field_with_the_time_of_the_server(source: RedisSource) -> None:
    source.client.hset(source.names.fleet, "other", "kept")
    report = Report(
        agent="bot-1",
        environment=ENVIRONMENT,
        labels={},
        epoch=1,
        revision=2**60,
        proven=3,
        status=Status.LIVE,
        staleness_seconds=0.25,
        at=99.0,
    )
    await source.feed.report(report.encode())
    await source.feed.report(report.encode())
    fleet = cast("dict[bytes, bytes]", source.client.hgetall(source.names.fleet))
    assert set(fleet) == {b"other", b"bot-1"}
    kept = reports.decode(fleet[b"bot-1"])
    seconds, micros = source.client.time()
    assert 0 <= seconds + micros / 1e6 - kept.at < 60
    assert kept == dataclasses.replace(report, at=kept.at)


async def test_a_snapshot_replaced_while_it_is_read_is_never_a_mixture(source: RedisSource) -> None:
    line = SignedLine()
    line.extend(5, padding=1_300_000)
    signed = [line.entries[3].snapshot, line.entries[4].snapshot]
    source.put_snapshot(signed[0])

    async def replace_for_a_while() -> None:
        for turn in range(6):
            await asyncio.to_thread(source.put_snapshot, signed[turn % 2])

    async def read_for_a_while() -> list[SignedBytes]:
        found: list[SignedBytes] = []
        for _ in range(6):
            with contextlib.suppress(FeedUnavailable):
                read = await source.feed.snapshot()
                assert read is not None
                found.append(read)
        return found

    found, _ = await asyncio.gather(read_for_a_while(), replace_for_a_while())
    assert all(read in signed for read in found)
    assert await source.feed.snapshot() in signed


async def test_a_snapshot_with_a_part_missing_is_no_snapshot(source: RedisSource) -> None:
    line = SignedLine()
    source.put_snapshot(line.extend(2, padding=800_000).snapshot)
    source.client.hdel(source.names.snapshot, "1")
    with pytest.raises(FeedUnavailable, match="missing"):
        await source.feed.snapshot()


@pytest.mark.parametrize("rubbish", [b"", b"nonsense", b"1 2 3", b"-1 2 " + b"0" * 64, b"\xff"])
async def test_a_head_that_no_publisher_wrote_is_an_error(source: RedisSource, rubbish: bytes) -> None:
    source.client.set(source.names.head, rubbish)
    with pytest.raises(FeedUnavailable, match="no publisher"):
        await source.feed.head()
    with pytest.raises(FeedUnavailable, match="no publisher"):
        await source.feed.changes(START)


async def test_keys_of_another_type_are_an_error_and_the_feed_goes_on(source: RedisSource) -> None:
    source.publish(SignedLine().extend())
    source.client.hset(source.names.head + "x", "a", "b")
    source.client.rename(source.names.head + "x", source.names.head)
    for _ in range(3):
        with pytest.raises(FeedUnavailable, match="WRONGTYPE"):
            await source.feed.changes(START)
        assert await source.feed.snapshot() is not None  # and not the reply that the call before left behind


async def test_a_stream_with_strange_entries_is_an_error(source: RedisSource) -> None:
    first = SignedLine().extend()
    source.publish(first)
    source.client.xadd(source.names.stream, {"x": "y"}, id="1-99")
    source.client.set(source.names.head, f"1 99 {'0' * 64}")
    with pytest.raises(FeedUnavailable, match="no publisher"):
        await source.feed.changes(first.position)


async def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match="redis://HOST"):
        RedisFeed("http://localhost", ENVIRONMENT)


async def test_what_the_url_says_about_replies_is_overruled(source: RedisSource) -> None:
    source.publish(SignedLine().extend())
    feed = RedisFeed(_url(source) + "&protocol=3&decode_responses=True", ENVIRONMENT)
    assert await feed.head() is not None
    await feed.close()


async def test_the_fake_in_memory_subscribes_alike() -> None:
    feed, line = MemoryFeed(), SignedLine()
    async with contextlib.aclosing(feed.subscribe()) as session:
        await expect(session, Subscribed)
        feed.publish(line.extend().message)
        assert (await expect(session, Arrived)).message == line.entries[0].message
        feed.down = "unplugged"
        assert (await expect(session, Lost)).reason == "unplugged"
        feed.publish(line.extend().message)
        feed.down = None
        await expect(session, Subscribed)
        waiting = asyncio.ensure_future(anext(session))
        await asyncio.sleep(0)
        await feed.close()
        with pytest.raises(FeedUnavailable, match="closed"):
            await waiting
