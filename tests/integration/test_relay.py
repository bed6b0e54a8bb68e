"""Relays on real servers: after whatever happens, Redis holds what PostgreSQL holds."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import cast

import pytest

from tests.conftest import FLAVOURS, MakePostgres, MakeRedis
from tests.support.line import KEY, Line
from tests.support.published import check_contiguous, check_equals, every_key, head_text, name_of
from tests.support.servers import Database
from tests.support.waiting import settles
from trimtab.model.errors import NotMigrated, UnavailableError
from trimtab_store import migrate
from trimtab_store.channel import Channel
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.embedded.redis_programs import Flavour
from trimtab_store.log_lines import JsonLines
from trimtab_store.publish import Publisher
from trimtab_store.relay import Relay

TICK = 0.05
RIGHTS = "trimtab_relay"
"""What a relay of these tests may do in the database, whatever it has to repair."""


@pytest.fixture(params=FLAVOURS)
def server(request: pytest.FixtureRequest, own_redis: MakeRedis) -> RedisServer:
    return own_redis(flavour=cast("Flavour", request.param))


@pytest.fixture
def line(database: Database) -> Line:
    made = Line()
    made.commits(2)
    made.snapshot()
    made.commits(3)
    made.write(database.url)
    return made


@contextlib.contextmanager
def relays(database_url: str, redis_url: str, count: int = 1) -> Generator[list[Relay]]:
    """Running relays; a relay that ended by itself fails the test."""
    made = [Relay(database_url, redis_url, interval=TICK) for _ in range(count)]
    stop = threading.Event()
    errors: list[BaseException] = []

    def run(relay: Relay) -> None:
        try:
            relay.run(stop)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(relay,)) for relay in made]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []


def settled(server: RedisServer, line: Line) -> None:
    """Wait until the server holds the line. Each look has a client of its own: the server may have restarted."""

    def check() -> None:
        with server.client() as client:
            check_equals(client, line)

    settles(check)


def test_a_relay_publishes_what_its_writers_did_not(database: Database, server: RedisServer, line: Line) -> None:
    with relays(database.login(RIGHTS), server.url):
        settled(server, line)
        for _ in range(3):
            line.commits(4)
            line.write(database.url)
            settled(server, line)


def test_environments_created_later_are_published_too(database: Database, server: RedisServer, line: Line) -> None:
    with relays(database.login(RIGHTS), server.url):
        settled(server, line)
        other = Line("staging", stride=1_000)
        other.commits(2)
        other.write(database.url)
        settled(server, other)


@pytest.mark.parametrize("count", [1, 3])
def test_a_killed_redis_that_comes_back_empty_is_filled_again(
    database: Database, server: RedisServer, line: Line, count: int
) -> None:
    with relays(database.login(RIGHTS), server.url, count):
        settled(server, line)
        for _ in range(2):
            server.kill()
            line.commits(2)
            line.write(database.url)
            server.start()
            settled(server, line)


@pytest.mark.parametrize("count", [1, 3])
def test_a_redis_that_comes_back_with_an_old_dump_is_brought_up(
    database: Database, server: RedisServer, line: Line, short_directory: Path, count: int
) -> None:
    with relays(database.login(RIGHTS), server.url, count):
        settled(server, line)
        dump = server.save_dump(short_directory / "old.rdb")
        line.commits(5)
        line.snapshot()
        line.write(database.url)
        settled(server, line)
        server.kill()
        server.start(dump=dump)
        settled(server, line)


def test_a_dump_from_an_older_epoch_is_replaced(
    database: Database, server: RedisServer, line: Line, short_directory: Path
) -> None:
    with relays(database.login(RIGHTS), server.url, 2):
        settled(server, line)
        dump = server.save_dump(short_directory / "old.rdb")
        for _ in range(2):
            line.declare()
            line.snapshot()
            line.commits(2)
        line.write(database.url)
        settled(server, line)
        server.kill()
        server.start(dump=dump)
        settled(server, line)


def test_flushes_under_load_leave_nothing_missing(database: Database, server: RedisServer, line: Line) -> None:
    with (
        relays(database.login(RIGHTS), server.url, 3),
        contextlib.closing(Publisher.connect(database.url, server.url)) as writer,
    ):
        for number in range(60):
            message = line.commit()
            line.write(database.url)
            writer.publish([line.environment], 5, [message.encode()])
            with server.client() as client:
                if number % 10 == 9:
                    client.flushall()
        settled(server, line)


def test_a_planted_fork_is_an_alarm_until_an_epoch_settles_it(
    database: Database, server: RedisServer, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    forged = line.cut(4)
    forged.commit("forged")
    with server.client() as client, caplog.at_level(logging.INFO, "trimtab"):
        Publisher(forged, Channel(client)).publish(["production"], 30)
        before = {key: client.dump(key) for key in every_key(client)}
        with relays(database.login(RIGHTS), server.url, 2) as running:
            settles(lambda: all("production" in relay.alarms for relay in running))
            line.commits(2)
            line.write(database.url)
            settles(lambda: all("does not hold" in relay.alarms["production"] for relay in running))
            assert {key: client.dump(key) for key in every_key(client)} == before
            line.declare()
            line.snapshot()
            line.write(database.url)
            settled(server, line)
            settles(lambda: all(not relay.alarms for relay in running))
    said = {record.message for record in caplog.records}
    assert {"FORK: nothing is written", "FORK is over", "repaired", "relay started", "relay stopped"} <= said
    assert len([record for record in caplog.records if record.message.startswith("FORK: ")]) <= 4


def test_a_head_beyond_postgres_is_an_alarm(database: Database, server: RedisServer, line: Line) -> None:
    ahead = line.cut(5)
    ahead.commits(2)
    with server.client() as client:
        Publisher(ahead, Channel(client)).publish(["production"], 30)
        with relays(database.login(RIGHTS), server.url) as running:
            settles(lambda: "1-7" in running[0].alarms.get("production", ""))
        assert head_text(client) == name_of(ahead.messages[-1])


def test_a_relay_outlives_postgres(own_postgres: MakePostgres, one_redis: RedisServer) -> None:
    postgres = own_postgres()
    migrate.upgrade(postgres.url())
    line = Line()
    line.commit()
    line.write(postgres.url())
    with relays(postgres.url(), one_redis.url):
        settled(one_redis, line)
        postgres.kill()
        time.sleep(0.3)
        postgres.start()
        line.commits(2)
        line.write(postgres.url())
        settled(one_redis, line)


def test_a_relay_stops_while_everything_is_away(own_redis: MakeRedis, own_postgres: MakePostgres) -> None:
    redis_server, postgres = own_redis(), own_postgres()
    migrate.upgrade(postgres.url())
    with relays(postgres.url(), redis_server.url):
        redis_server.kill()
        postgres.kill()
        time.sleep(0.5)


def test_a_database_without_our_schema_ends_a_relay_at_once(empty_database: Database, one_redis: RedisServer) -> None:
    with pytest.raises(NotMigrated):
        Relay(empty_database.url, one_redis.url).run(threading.Event())


def test_one_look_says_what_is_away(database: Database, own_redis: MakeRedis, line: Line) -> None:
    server = own_redis()
    server.stop()
    assert line.messages
    with contextlib.closing(Relay(database.url, server.url)) as relay:
        with pytest.raises(UnavailableError, match="production could not be settled"):
            relay.look()
        server.start()
        assert [one.repaired for one in relay.look()] == [True]


def test_a_relay_needs_no_key_and_sends_exactly_what_postgres_holds(
    database: Database, server: RedisServer, line: Line
) -> None:
    assert KEY.private is not None
    with relays(database.login(RIGHTS), server.url), server.client() as client:
        settled(server, line)
        assert check_contiguous(client) == line.messages[2:]


def test_a_log_line_is_one_ascii_json_object() -> None:
    record = logging.LogRecord("trimtab.relay", logging.INFO, "", 0, "re%s", ("paired\n\x1b[2J\u202e",), None)
    record.fields = {"environment": "production"}
    text = JsonLines().format(record)
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) | {"at": ""} == {
        "at": "",
        "level": "INFO",
        "logger": "trimtab.relay",
        "message": "repaired\n\x1b[2J\u202e",
        "environment": "production",
    }
