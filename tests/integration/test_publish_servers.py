"""Publishing from PostgreSQL to both kinds of server."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Generator, Iterator

import pytest
import redis

from tests.conftest import MakePostgres
from tests.support.line import Line
from tests.support.published import check_contiguous, check_equals, every_key, heard, name_of, texts_in_stream
from tests.support.scripts import Stepper
from tests.support.servers import Database
from trimtab.model.links import START, Position
from trimtab_store import migrate
from trimtab_store.channel import Channel
from trimtab_store.deadlines import Deadline
from trimtab_store.embedded.postgres import PostgresServer
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.publish import Outcome, Published, Publisher
from trimtab_store.source import PostgresSource, Source

PRODUCTION = ["production"]
SOON = Deadline.after(600)


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client() as made:
        yield made


@pytest.fixture
def line(database: Database) -> Line:
    made = Line(stride=2)
    made.commits(3)
    made.snapshot()
    made.commits(5)
    made.write(database.url)
    return made


@pytest.fixture
def publisher(database: Database, redis_server: RedisServer) -> Iterator[Publisher]:
    made = Publisher.connect(database.login("trimtab_writer"), redis_server.url)
    yield made
    made.close()


def settle(publisher: Publisher) -> Published:
    (published,) = publisher.publish(PRODUCTION, 30)
    return published


def test_postgres_answers_as_the_line_in_memory_does(database: Database, line: Line) -> None:
    sources: list[Source] = [line, PostgresSource(database.login("trimtab_writer"))]
    for step in range(3):
        if step:
            line.declare()
            if step == 2:
                line.commits(2)
                line.snapshot()
            line.write(database.url)
        places = [START, *(message.position for message in line.messages), Position(line.epoch, 10**6)]
        one, two = (
            [
                source.environments(SOON),
                [source.head(name, SOON) for name in ("production", "elsewhere")],
                [list(source.changes("production", place, SOON)) for place in places],
                [list(source.changes("production", place, SOON, at_most=900)) for place in places],
                list(source.changes("elsewhere", START, SOON)),
                [source.statement(name, SOON) for name in ("production", "elsewhere")],
                [source.chunk("production", line.signed[-1][0].position, number, SOON) for number in range(2)],
            ]
            for source in sources
        )
        assert one == two
    assert isinstance(sources[1], PostgresSource)
    sources[1].close()


def test_an_empty_server_gets_snapshot_and_stream(publisher: Publisher, client: redis.Redis, line: Line) -> None:
    published = settle(publisher)
    assert (published.outcome, published.started, published.appended) == (Outcome.PUBLISHED, True, 5)
    check_equals(client, line)
    assert not settle(publisher).repaired


def test_commits_follow_and_are_announced_once(
    publisher: Publisher, client: redis.Redis, line: Line, database: Database
) -> None:
    settle(publisher)
    with heard(client) as announcements:
        late = line.commits(3)
        line.write(database.url)
        for message in late:
            assert publisher.publish(PRODUCTION, 30, [message.encode()])[0].outcome is Outcome.PUBLISHED
        settle(publisher)
        assert announcements() == [b"M" + message.encode() for message in late]
    check_equals(client, line)


def test_the_longest_change_travels_by_name(
    publisher: Publisher, client: redis.Redis, line: Line, database: Database
) -> None:
    settle(publisher)
    with heard(client) as announcements:
        huge = line.commit("x" * (16 * 1024 * 1024 - 400))
        line.write(database.url)
        assert settle(publisher).outcome is Outcome.PUBLISHED
        assert announcements() == [b"N" + name_of(huge).encode()]
    check_equals(client, line)


def test_a_long_backlog_comes_in_pages_and_the_cap_holds(
    database: Database, redis_server: RedisServer, client: redis.Redis, line: Line
) -> None:
    line.commits(1_200)
    line.write(database.url)
    channel = Channel.connect(redis_server.url)
    capped = Publisher(PostgresSource(database.url), Channel(channel.client, stream_bytes=100_000))
    assert settle(capped).outcome is Outcome.PUBLISHED
    kept = texts_in_stream(client)
    assert sum(map(len, kept)) <= 100_000
    assert kept == line.texts[-len(kept) :]
    check_contiguous(client)
    assert not settle(capped).repaired
    capped.close()


def test_no_interleaving_of_script_calls_leaves_a_gap(client: redis.Redis) -> None:
    chance = random.Random(7)
    kinds = ["append"] * 8 + ["jump", "stray", "look", "start", "flush"]
    for _ in range(15):
        client.flushall()
        line = Line(stride=chance.choice([1, 4]))
        line.commits(10)
        stepper = Stepper(client, line, publishers=3)
        stepper.run([(chance.choice(kinds), chance.randrange(3)) for _ in range(40)])
        stepper.finish()


def test_many_publishers_at_once_while_the_server_is_flushed(
    database: Database, redis_server: RedisServer, client: redis.Redis, line: Line
) -> None:
    publishers = [Publisher.connect(database.url, redis_server.url) for _ in range(4)]
    outcomes: list[Published] = []
    work = iter(range(40))
    turn = threading.Lock()

    def write_and_publish(publisher: Publisher) -> None:
        while True:
            with turn:
                number = next(work, None)
                if number is None:
                    return
                message = line.commit()
                line.write(database.url)
            if number % 13 == 12:
                client.flushall()
            outcomes.extend(publisher.publish(PRODUCTION, 30, [message.encode()] if number % 3 else []))

    threads = [threading.Thread(target=write_and_publish, args=(publisher,)) for publisher in publishers]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with client.pipeline(transaction=True) as pipeline:  # head and stream of one moment
            pipeline.get("trimtab:{production}:head")
            pipeline.xrange("trimtab:{production}:stream")
            head, entries = pipeline.execute()
        names = [entry_id.decode() for entry_id, _ in entries]
        committed = [str(message.position) for message in list(line.messages)]
        first = committed.index(names[0]) if names else 0
        assert names == committed[first : first + len(names)]
        assert not names or head.decode().startswith(names[-1].replace("-", " "))
    for thread in threads:
        thread.join()
    assert {one.outcome for one in outcomes} == {Outcome.PUBLISHED}, outcomes
    assert settle(publishers[0]).outcome is Outcome.PUBLISHED
    check_equals(client, line)
    for publisher in publishers:
        publisher.close()


def test_a_fork_is_an_alarm_and_nothing_is_written(
    publisher: Publisher, client: redis.Redis, line: Line, database: Database
) -> None:
    forged = line.cut(6)
    forged.stride = 2
    forged.commit("forged")
    Publisher(forged, Channel(client)).publish(PRODUCTION, 30)
    before = {key: client.dump(key) for key in every_key(client)}
    assert settle(publisher).outcome is Outcome.FORK
    assert {key: client.dump(key) for key in every_key(client)} == before
    line.declare()
    line.snapshot()
    line.write(database.url)
    assert settle(publisher).outcome is Outcome.PUBLISHED
    check_equals(client, line)


def test_a_frozen_redis_ends_in_time_and_later_commits_do_not_wait(
    publisher: Publisher, redis_server: RedisServer, client: redis.Redis, line: Line, database: Database
) -> None:
    settle(publisher)
    message = line.commit()
    line.write(database.url)
    redis_server.pause()
    first, second = (publisher.publish(PRODUCTION, 1, [message.encode()])[0] for _ in range(2))
    redis_server.resume()
    assert (first.outcome, second.outcome) == (Outcome.UNFINISHED, Outcome.UNFINISHED)
    assert second.detail == "Redis gave no answer a moment ago"
    assert settle(publisher).outcome is Outcome.PUBLISHED
    check_equals(client, line)


@contextlib.contextmanager
def first_published(server: PostgresServer, one_redis: RedisServer) -> Generator[tuple[PostgresServer, Publisher]]:
    """A database with one change and a publisher that has published it."""
    migrate.upgrade(server.url())
    line = Line()
    line.commit()
    line.write(server.url())
    with contextlib.closing(Publisher.connect(server.url(), one_redis.url)) as publisher:
        assert settle(publisher).outcome is Outcome.PUBLISHED
        yield server, publisher


def test_a_frozen_postgres_ends_in_time(own_postgres: MakePostgres, one_redis: RedisServer) -> None:
    with first_published(own_postgres(), one_redis) as (server, publisher):
        server.pause()
        (published,) = publisher.publish(PRODUCTION, 1)
        server.resume()
        assert published.outcome is Outcome.UNFINISHED
        assert "PostgreSQL gives no answer" in published.detail
        assert settle(publisher).outcome is Outcome.PUBLISHED


def test_a_database_that_restarts_is_asked_again(own_postgres: MakePostgres, one_redis: RedisServer) -> None:
    with first_published(own_postgres(), one_redis) as (server, publisher):
        server.restart()
        assert settle(publisher).outcome is Outcome.PUBLISHED
        server.stop()
        assert settle(publisher).outcome is Outcome.UNFINISHED
