"""The feed from Postgres: certificates, rights, migrations, reports."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.support.feed_sources import ENVIRONMENT, PostgresSource
from tests.support.proxied import port_of
from tests.support.proxy import Proxy
from tests.support.servers import Database
from tests.support.signed_line import SignedLine
from trimtab.feeds.postgres import PostgresFeed
from trimtab.model import reports
from trimtab.model.errors import FeedDenied, FeedUnavailable, NotMigrated, SettingError
from trimtab.model.links import START
from trimtab.model.reports import Report, Status


@pytest.fixture
async def source(database: Database) -> AsyncIterator[PostgresSource]:
    made = PostgresSource(database.url, PostgresFeed(database.login("trimtab_agent"), ENVIRONMENT, agent="bot-1"))
    yield made
    await made.feed.close()


def report() -> Report:
    return Report(
        agent="bot-1",
        environment=ENVIRONMENT,
        labels={"region": "ny4"},
        epoch=1,
        revision=3,
        proven=3,
        status=Status.LIVE,
        staleness_seconds=0.5,
    )


async def test_a_primary_says_so_and_how_often_to_ask(source: PostgresSource) -> None:
    line = SignedLine()
    source.publish(line.extend())
    head = await source.feed.head()
    assert head is not None
    assert (head.is_replica, head.store_revision, head.poll_after_ms) == (False, line.entries[0].link.revision, 500)


async def test_a_large_budget_and_a_large_position_are_no_error(source: PostgresSource) -> None:
    line = SignedLine(step=2**40)
    line.extend(2)
    for entry in line.entries:
        source.publish(entry)
    changes = await source.feed.changes(line.entries[0].position, 2**40)
    assert list(changes.messages) == line.messages[1:]


async def test_a_report_is_kept_with_the_time_of_the_server(source: PostgresSource, database: Database) -> None:
    source.publish(SignedLine().extend())
    await source.feed.report(report().encode())
    await source.feed.report(report().encode())
    with psycopg.connect(database.url) as connection:
        rows = connection.execute(
            "SELECT agent, abs(extract(epoch FROM clock_timestamp() - at)) < 60, report FROM trimtab.agent_reports"
        ).fetchall()
    assert [row[:2] for row in rows] == [("bot-1", True)]
    assert reports.decode(json.dumps(rows[0][2]).encode()) == report()


async def test_a_database_without_our_functions_is_not_migrated(empty_database: Database) -> None:
    feed = PostgresFeed(empty_database.url, ENVIRONMENT)
    with pytest.raises(NotMigrated, match="trimtab migrate"):
        await feed.head()
    await feed.close()


async def test_a_newer_schema_is_fine_as_long_as_it_keeps_what_we_call(
    source: PostgresSource, database: Database
) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION trimtab.trimtab_schema_v1() RETURNS integer LANGUAGE sql AS 'SELECT 7'"
        )
    assert await source.feed.head() is None
    with psycopg.connect(database.url) as connection:
        connection.execute("DROP FUNCTION trimtab.trimtab_head_v1")
    with pytest.raises(NotMigrated, match="its schema is 7"):
        await source.feed.head()


async def test_a_role_without_the_rights_is_refused(database: Database) -> None:
    feed = PostgresFeed(database.login("trimtab_auditor"), ENVIRONMENT)
    with pytest.raises(FeedDenied, match="trimtab_agent"):
        await feed.head()
    await feed.close()


async def test_a_session_that_the_server_ended_is_replaced(source: PostgresSource, database: Database) -> None:
    source.publish(SignedLine().extend())
    for _ in range(3):
        assert await source.feed.head() is not None
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trimtab-agent'"
                " AND datname = current_database()"
            )


async def test_one_connection_is_kept(source: PostgresSource, database: Database) -> None:
    for _ in range(5):
        await source.feed.head()
        await source.feed.changes(START)
    with psycopg.connect(database.url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'trimtab-agent'"
            " AND datname = current_database()"
        ).fetchone()
    assert row == (1,)


async def test_of_several_hosts_the_one_that_answers_is_taken(database: Database) -> None:
    server = database.server
    url = database.login("trimtab_agent", tcp=True)
    credentials = url.removeprefix("postgresql://").split("@")[0]
    feed = PostgresFeed(
        f"postgresql://{credentials}@127.0.0.1:1,127.0.0.1:{server.port}/{database.name}", ENVIRONMENT, seconds=10
    )
    assert await feed.head() is None
    await feed.close()


async def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match="postgresql://USER"):
        PostgresFeed("postgresql://a:b:c:d@@/?x", ENVIRONMENT)


async def test_the_url_of_sqlalchemy_is_understood(database: Database) -> None:
    url = database.login("trimtab_agent").replace("postgresql://", "postgresql+psycopg://")
    feed = PostgresFeed(url, ENVIRONMENT)
    assert await feed.head() is None
    await feed.close()


async def test_a_server_that_is_slow_for_all_is_given_time_instead_of_new_connections(database: Database) -> None:
    """With a deadline that stays, every statement would end in a new connection, and none in an answer."""
    with Proxy(port_of(database.server)) as proxy:
        user = database.login("trimtab_agent", tcp=True).split("@")[0]
        feed = PostgresFeed(f"{user}@127.0.0.1:{proxy.port}/{database.name}", ENVIRONMENT, seconds=0.3)
        assert await feed.head() is None
        assert proxy.counters.connections == 1
        proxy.delay(450, "down")
        with pytest.raises(FeedUnavailable, match=r"no answer within 0\.3 s"):
            await feed.head()
        for _ in range(3):
            assert await feed.head() is None
        assert proxy.counters.connections == 2
        await feed.close()
