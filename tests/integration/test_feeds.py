"""The contract of a feed, over every feed. The fake in memory is held to it too, so it cannot drift."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.feed_sources import (
    ENVIRONMENT,
    DiskSource,
    MemorySource,
    PostgresSource,
    RedisSource,
    Source,
    position_of,
)
from tests.support.servers import Database, RedisServers
from tests.support.signed_line import KEY, SignedLine
from trimtab.feeds.feed import Feed
from trimtab.feeds.postgres import PostgresFeed
from trimtab.feeds.redis import RedisFeed
from trimtab.model import snapshots
from trimtab.model.errors import FeedUnavailable
from trimtab.model.links import START, Position
from trimtab_store.embedded.redis_programs import installed_flavours

FLAVOURS = installed_flavours() or ("path",)


@pytest.fixture(params=["memory", "disk", "postgres", *FLAVOURS])
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Source]:
    with contextlib.ExitStack() as stack:
        made: Source
        if request.param == "memory":
            made = MemorySource()
        elif request.param == "disk":
            made = DiskSource(tmp_path / "agent")
        elif request.param == "postgres":
            database: Database = request.getfixturevalue("database")
            feed = PostgresFeed(database.login("trimtab_agent"), ENVIRONMENT, seconds=10)
            made = PostgresSource(database.url, feed)
        else:
            redis_servers: RedisServers = request.getfixturevalue("redis_servers")
            server = redis_servers.fresh(request.param)
            client = stack.enter_context(contextlib.closing(server.client()))
            made = RedisSource(client, RedisFeed(server.url, ENVIRONMENT, seconds=10))
        yield made
        await made.feed.close()


def filled(source: Source, count: int, padding: int = 0) -> SignedLine:
    line = SignedLine()
    line.extend(count, padding)
    for entry in line.entries:
        source.publish(entry)
    return line


async def all_after(feed: Feed, after: Position, max_bytes: int) -> list[bytes]:
    """Every message after a position, by as many calls as it takes."""
    found: list[bytes] = []
    while True:
        changes = await feed.changes(after, max_bytes)
        assert not changes.trimmed
        found += changes.messages
        if changes.complete:
            return found
        assert changes.messages
        after = position_of(changes.messages[-1])


async def test_an_empty_feed_knows_nothing(source: Source) -> None:
    assert await source.feed.head() is None
    assert await source.feed.snapshot() is None
    changes = await source.feed.changes(START)
    assert (changes.messages, changes.trimmed) == ((), True)


async def test_the_head_is_the_newest_link(source: Source) -> None:
    line = filled(source, 3)
    head = await source.feed.head()
    assert head is not None
    assert (head.position, head.hash) == (line.entries[-1].position, line.entries[-1].link.hash)


async def test_changes_come_in_order_strictly_after_a_position(source: Source) -> None:
    line = filled(source, 6)
    for index, entry in enumerate(line.entries):
        changes = await source.feed.changes(entry.position)
        assert list(changes.messages) == line.messages[index + 1 :]
        assert changes.complete
        assert not changes.trimmed


async def test_from_the_start_come_all_or_the_snapshot_is_needed(source: Source) -> None:
    line = filled(source, 3)
    changes = await source.feed.changes(START)
    assert changes.trimmed or list(changes.messages) == line.messages
    assert not (changes.trimmed and changes.messages)


async def test_what_comes_along_with_a_head_is_what_changes_would_give(source: Source) -> None:
    line = filled(source, 5)
    along = 0
    for entry in [*line.entries, None]:
        after = START if entry is None else entry.position
        head = await source.feed.head(after)
        assert head is not None
        assert (head.position, head.hash) == (line.entries[-1].position, line.entries[-1].link.hash)
        assert head.messages in {(), (await source.feed.changes(after)).messages}
        along += bool(head.messages)
    assert along == (5 if source.feed.name in {"postgres", "memory"} else 0), "a crowd without Redis asks once"


async def test_nothing_comes_along_that_does_not_follow(source: Source) -> None:
    line = filled(source, 3)
    source.forget(line.entries[1].position)
    for after in (line.entries[0].position, Position(9, 1), Position(1, 2**40)):
        head = await source.feed.head(after)
        assert head is not None
        assert head.messages == ()
    first = line.entries[0].position
    assert (await source.feed.changes(first)).trimmed


@pytest.mark.parametrize("max_bytes", [1, 3000, 20_000, 10_000_000])
async def test_a_budget_cuts_the_answer_and_the_next_call_goes_on(source: Source, max_bytes: int) -> None:
    line = filled(source, 12, padding=1000)
    assert await all_after(source.feed, line.entries[0].position, max_bytes) == line.messages[1:]
    changes = await source.feed.changes(line.entries[0].position, max_bytes)
    assert len(changes.messages) == 1 or sum(map(len, changes.messages)) <= max_bytes
    assert changes.complete is (len(changes.messages) == 11)


async def test_many_small_changes_come_whole(source: Source) -> None:
    line = filled(source, 200)
    assert await all_after(source.feed, line.entries[0].position, 1_000_000) == line.messages[1:]


async def test_a_position_beyond_the_head_has_nothing_after_it(source: Source) -> None:
    line = filled(source, 2)
    ahead = Position(1, line.entries[-1].position.revision + 5)
    changes = await source.feed.changes(ahead)
    assert (changes.messages, changes.complete, changes.trimmed) == ((), True, False)


async def test_after_a_position_that_the_line_passed_by_comes_the_link_that_shows_it(source: Source) -> None:
    line = filled(source, 3)
    between = Position(1, line.entries[1].position.revision - 1)
    changes = await source.feed.changes(between)
    assert (list(changes.messages), changes.trimmed) == (line.messages[1:], False)


async def test_a_history_that_was_cut_says_so(source: Source) -> None:
    line = filled(source, 6)
    source.forget(line.entries[3].position)
    assert (await source.feed.changes(line.entries[1].position)).trimmed
    changes = await source.feed.changes(line.entries[3].position)
    assert list(changes.messages) == line.messages[4:]


async def test_a_newer_epoch_begins_with_its_first_link(source: Source) -> None:
    line = filled(source, 4)
    old = line.entries[-1].position
    line.next_epoch()
    line.extend(2)
    for entry in line.entries[4:]:
        source.publish(entry)
    changes = await source.feed.changes(old)
    assert changes.trimmed or list(changes.messages) == line.messages[4:]
    head = await source.feed.head()
    assert head is not None
    assert head.position == line.entries[-1].position
    signed = await source.feed.snapshot()
    assert signed is not None
    assert snapshots.read_statement(signed.statement).position == line.entries[4].position


async def test_the_newest_snapshot_comes_whole(source: Source) -> None:
    line = filled(source, 3)
    source.snapshot(line.entries[2])
    signed = await source.feed.snapshot()
    assert signed is not None
    statement = snapshots.read_statement(signed.statement)
    snapshots.verify(statement, KEY.trust(), ENVIRONMENT)
    assert snapshots.decode(statement, signed.body).position == line.entries[2].position


async def test_a_snapshot_of_many_chunks_comes_whole(source: Source) -> None:
    line = SignedLine()
    line.extend(5, padding=1_300_000)
    source.publish(line.entries[0])
    for entry in line.entries[1:]:
        source.publish(entry)
    source.snapshot(line.entries[4])
    signed = await source.feed.snapshot()
    assert signed is not None
    assert signed.body == line.entries[4].snapshot.body


async def test_calls_may_overlap_and_change_nothing(source: Source) -> None:
    line = filled(source, 5)
    first = line.entries[0].position
    answers = await asyncio.gather(*(source.feed.changes(first) for _ in range(5)), source.feed.snapshot())
    assert all(answer == answers[0] for answer in answers[:5])
    head = await source.feed.head()
    assert head is not None
    assert head.position == line.entries[-1].position


async def test_after_a_cancelled_call_the_next_one_is_right(source: Source) -> None:
    line = filled(source, 30, padding=10_000)
    first = line.entries[0].position
    for loops in range(12):
        call = asyncio.ensure_future(source.feed.changes(first))
        for _ in range(loops):
            await asyncio.sleep(0)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        head = await source.feed.head()
        assert head is not None
        assert head.position == line.entries[-1].position
    assert list((await source.feed.changes(first)).messages) == line.messages[1:]


async def test_a_closed_feed_raises(source: Source) -> None:
    filled(source, 1)
    await source.feed.head()
    await source.feed.close()
    await source.feed.close()
    with pytest.raises(FeedUnavailable, match="closed"):
        await source.feed.head()
    with pytest.raises(FeedUnavailable, match="closed"):
        await source.feed.changes(START)
    with pytest.raises(FeedUnavailable, match="closed"):
        await source.feed.snapshot()


async def test_a_feed_has_a_name(source: Source) -> None:
    assert source.feed.name in {"memory", "disk", "postgres", "redis"}
