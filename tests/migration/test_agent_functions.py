"""What an agent is answered by Postgres."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from tests.migration.committing import Commit, create, put
from tests.support.servers import Database

HEAD = "SELECT * FROM trimtab.trimtab_head_v1(%s)"
CHANGES = "SELECT epoch, revision, message FROM trimtab.trimtab_changes_v1(%s, %s, %s, %s)"
REPORT = "SELECT trimtab.trimtab_report_v1(%s, %s, %s::jsonb)"
PLENTY = 1_000_000


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """Everything that a test needs to bring about: a store with base at 1, production at 2, 4, 5, 6."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        for commit in (
            create("base"), create("production", "base"), put("base", "a", b"0"),
            *(put("production", "a", str(n).encode()) for n in (1, 2, 3)),
        ):  # fmt: skip
            with connection.transaction():
                commit.run(connection)
        yield connection


@pytest.fixture
def agent(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.login("trimtab_agent"), autocommit=True) as connection:
        yield connection


def ask(connection: psycopg.Connection[Any], question: str, *parameters: object) -> list[tuple[Any, ...]]:
    return connection.execute(question.encode(), parameters).fetchall()


def revisions(connection: psycopg.Connection[Any], *parameters: object) -> list[tuple[int, int]]:
    return [row[:2] for row in ask(connection, CHANGES, *parameters)]


def declare_epoch(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        Commit(None, kind="epoch", epoch=(6, 0, 100)).run(connection)


def test_the_schema_number_is_that_of_the_newest_migration(agent: psycopg.Connection[Any]) -> None:
    assert ask(agent, "SELECT trimtab.trimtab_schema_v1()") == [(1,)]


def test_the_head_is_the_newest_link_beside_the_position_of_the_store(
    owner: psycopg.Connection[Any], agent: psycopg.Connection[Any]
) -> None:
    ((digest,),) = ask(owner, "SELECT hash FROM trimtab.links WHERE environment = 'base' AND revision = 3")
    assert ask(agent, HEAD, "base") == [(1, 3, digest, 6, False, 500)]


def test_an_unknown_environment_has_no_head_and_no_changes(agent: psycopg.Connection[Any]) -> None:
    assert ask(agent, HEAD, "nowhere") == []
    assert ask(agent, CHANGES, "nowhere", 1, 0, PLENTY) == []
    assert ask(agent, "SELECT * FROM trimtab.trimtab_snapshot_v1(%s)", "nowhere") == []


def test_the_poll_interval_is_the_store_s_within_bounds(
    owner: psycopg.Connection[Any], agent: psycopg.Connection[Any]
) -> None:
    owner.execute("UPDATE trimtab.store_head SET poll_after_ms = 250")
    assert [row[5] for row in ask(agent, HEAD, "base")] == [250]
    for outside in (99, 60_001):
        with pytest.raises(pg.CheckViolation):
            owner.execute("UPDATE trimtab.store_head SET poll_after_ms = %s", (outside,))


@pytest.mark.usefixtures("owner")
def test_changes_are_those_strictly_after_a_position_in_order(agent: psycopg.Connection[Any]) -> None:
    assert revisions(agent, "production", 1, 0, PLENTY) == [(1, 2), (1, 4), (1, 5), (1, 6)]
    assert revisions(agent, "production", 1, 4, PLENTY) == [(1, 5), (1, 6)]
    assert revisions(agent, "production", 1, 6, PLENTY) == []
    assert revisions(agent, "production", 2, 0, PLENTY) == []


def test_a_message_is_the_header_of_the_link_a_line_feed_and_the_change(
    owner: psycopg.Connection[Any], agent: psycopg.Connection[Any]
) -> None:
    ((header, change),) = ask(
        owner,
        "SELECT l.header, c.change FROM trimtab.links AS l JOIN trimtab.configuration_versions USING (revision)"
        " JOIN trimtab.changes AS c USING (version_id) WHERE l.environment = 'production' AND l.revision = 6",
    )
    ((_, _, message),) = ask(agent, CHANGES, "production", 1, 5, PLENTY)
    assert message == header + b"\n" + change
    assert json.loads(message.partition(b"\n")[0])["revision"] == 6


@pytest.mark.usefixtures("owner")
def test_changes_stop_at_the_bytes_asked_for_but_never_before_the_first(agent: psycopg.Connection[Any]) -> None:
    sizes = [len(row[2]) for row in ask(agent, CHANGES, "production", 1, 0, PLENTY)]
    assert revisions(agent, "production", 1, 0, 1) == [(1, 2)]
    assert revisions(agent, "production", 1, 0, -5) == [(1, 2)]
    assert revisions(agent, "production", 1, 0, sizes[0] + sizes[1]) == [(1, 2), (1, 4)]
    assert revisions(agent, "production", 1, 0, sizes[0] + sizes[1] - 1) == [(1, 2)]


def test_a_newer_epoch_is_followed_from_its_first_link(
    owner: psycopg.Connection[Any], agent: psycopg.Connection[Any]
) -> None:
    declare_epoch(owner)
    assert revisions(agent, "production", 1, 4, PLENTY) == [(2, 101)]
    assert revisions(agent, "production", 1, 5000, PLENTY) == [(2, 101)]
    assert revisions(agent, "production", 2, 101, PLENTY) == []
    assert [row[:2] for row in ask(agent, HEAD, "production")] == [(2, 101)]


def keep_snapshot(connection: psycopg.Connection[Any], revision: int) -> None:
    statement = json.dumps({"revision": revision})
    connection.execute(
        "INSERT INTO trimtab.snapshots (environment, epoch, revision, length, chunks, statement)"
        " VALUES ('production', 1, %s, 1048577, 2, %s)",
        (revision, statement),
    )
    for number, chunk in enumerate((b"x" * 1048576, b"y")):
        connection.execute(
            "INSERT INTO trimtab.snapshot_chunks VALUES ('production', 1, %s, %s, %s)", (revision, number, chunk)
        )


def test_the_newest_snapshot_is_given_in_chunks_and_the_last_two_are_kept(
    database: Database, owner: psycopg.Connection[Any], agent: psycopg.Connection[Any]
) -> None:
    with psycopg.connect(database.login("trimtab_writer")) as writer:
        for revision in (2, 4, 5):
            keep_snapshot(writer, revision)
        writer.execute("SELECT trimtab.trimtab_prune_snapshots_v1('production', 2)")
        writer.execute("SELECT trimtab.trimtab_prune_snapshots_v1('base', 2)")
    newest = ask(agent, "SELECT statement FROM trimtab.trimtab_snapshot_v1('production')")
    assert newest == [('{"revision": 5}',)]
    chunk = "SELECT trimtab.trimtab_snapshot_chunk_v1('production', 1, %s, %s)"
    assert [ask(agent, chunk, 5, n)[0][0] for n in range(3)] == [b"x" * 1048576, b"y", None]
    assert ask(agent, chunk, 4, 1) == [(b"y",)]
    assert ask(agent, chunk, 2, 1) == [(None,)]
    assert ask(owner, "SELECT count(*) FROM trimtab.snapshot_chunks") == [(4,)]


@pytest.mark.parametrize(
    ("revision", "length", "chunks"), [(5, 10, 2), (5, 0, 0), (5, 1073741825, 1025), (3, 10, 1), (99, 10, 1)]
)
def test_a_snapshot_of_the_wrong_size_or_of_no_link_is_refused(
    owner: psycopg.Connection[Any], revision: int, length: int, chunks: int
) -> None:
    with pytest.raises(psycopg.IntegrityError):
        owner.execute(
            "INSERT INTO trimtab.snapshots (environment, epoch, revision, length, chunks, statement)"
            " VALUES ('production', 1, %s, %s, %s, '{}')",
            (revision, length, chunks),
        )


def test_a_report_is_kept_with_the_time_of_the_server_one_row_for_each_agent(
    owner: psycopg.Connection[Any], agent: psycopg.Connection[Any]
) -> None:
    for report in ('{"revision": 1}', '{"revision": 2, "at": "1970-01-01"}'):
        ask(agent, REPORT, "base", "bot-1", report)
    ask(agent, REPORT, "base", "bot-2", "{}")
    kept = ask(
        owner,
        "SELECT agent, report, at BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp()"
        " FROM trimtab.agent_reports ORDER BY 1",
    )
    assert kept == [("bot-1", {"revision": 2, "at": "1970-01-01"}, True), ("bot-2", {}, True)]


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize(
    ("environment", "name", "report"),
    [
        ("base", "bot", "[]"),
        ("base", "bot", None),
        ("base", "bot", json.dumps({"x": "y" * 65536})),
        ("base", "bot", json.dumps({"x": [0] * 22000})),
        ("base", "", "{}"),
        ("base", "b" * 256, "{}"),
        ("nowhere", "bot", "{}"),
    ],
)
def test_a_report_that_is_too_large_or_belongs_nowhere_is_refused(
    agent: psycopg.Connection[Any], environment: str, name: str, report: str | None
) -> None:
    with pytest.raises((pg.InvalidParameterValue, psycopg.IntegrityError)):
        ask(agent, REPORT, environment, name, report)


def test_reports_older_than_a_day_are_dropped_by_the_next_one(
    owner: psycopg.Connection[Any], agent: psycopg.Connection[Any]
) -> None:
    for name in ("old", "young"):
        ask(agent, REPORT, "base", name, "{}")
    owner.execute("UPDATE trimtab.agent_reports SET at = at - interval '25 hours' WHERE agent = 'old'")
    ask(agent, REPORT, "production", "other", "{}")
    assert ask(owner, "SELECT agent FROM trimtab.agent_reports ORDER BY 1") == [("other",), ("young",)]
