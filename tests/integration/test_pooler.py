"""Everything through a pooler in transaction mode, on two server connections: nothing depends on session state."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.integration.conftest import KEY
from tests.support.pooler import NAME, Pooler
from tests.support.servers import Database
from tests.support.waiting import eventually
from trimtab import Agent, Status
from trimtab.model.values import thaw
from trimtab_store import commit
from trimtab_store.store import Store

SIZE = 2
AGENTS = 6
PATH = "plain.global.max_leverage"


@pytest.fixture
def pooler(database: Database) -> Iterator[Pooler]:
    with Pooler(database.login("trimtab_writer", tcp=True), SIZE) as made:
        yield made


@pytest.fixture
def connect(pooler: Pooler) -> Iterator[Callable[[], psycopg.Connection]]:
    """Connects psycopg to the pooler, nothing prepared."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(psycopg.connect(pooler.url, autocommit=True, prepare_threshold=None))


@pytest.fixture
def connect_store(pooler: Pooler) -> Iterator[Callable[[], Store]]:
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Store.connect(pooler.url, signing_key=KEY))


def write(store: Store, value: object, path: str = PATH, *, key: str | None = None) -> int:
    with store.edit("production", author="test", idempotency_key=key) as edit:
        edit.set(path, value)
    return edit.committed.revision


def items(store: Store) -> object:
    return json.loads(store.export_environment("production"))["layers"]


def server_connections(database: Database) -> int:
    with psycopg.connect(database.url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [NAME]).fetchone()
    assert row is not None
    return int(row[0])


# The pooler itself: whoever relies on a session is found out


def test_what_a_session_would_keep_is_gone(connect: Callable[[], psycopg.Connection]) -> None:
    mine, other = connect(), connect()
    mine.execute("SET statement_timeout = '7s'")
    mine.execute("SELECT pg_advisory_lock(7)")
    mine.execute("CREATE TEMPORARY TABLE kept (value integer)")
    for connection in (mine, mine, other, other):
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
        assert connection.execute("SELECT pg_try_advisory_xact_lock(7), to_regclass('kept')").fetchone() == (True, None)
    mine.execute("PREPARE kept AS SELECT 1")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        mine.execute("EXECUTE kept")


def test_the_statement_of_who_gave_up_waiting_is_never_run(pooler: Pooler, database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as aside:
        aside.execute("CREATE TABLE ran (who text)")
        aside.execute("GRANT INSERT ON ran TO PUBLIC")
        with contextlib.ExitStack() as stack:
            holders = [stack.enter_context(psycopg.connect(pooler.url, prepare_threshold=None)) for _ in range(SIZE)]
            for holder in holders:
                holder.execute("SELECT 1")  # a transaction each: no connection is free
            waiting = [psycopg.connect(pooler.url, autocommit=True, prepare_threshold=None) for _ in range(2)]
            stack.callback(waiting[1].close)
            for number, one in enumerate(waiting):
                one.pgconn.send_query(b"INSERT INTO ran VALUES ('%d')" % number)
                one.pgconn.flush()
            waiting[0].close()
            for holder in holders:
                holder.rollback()
            assert eventually(lambda: _who_ran(aside))
            assert _who_ran(aside) == ["1"]
        aside.execute("DROP TABLE ran")


def _who_ran(aside: psycopg.Connection) -> list[str]:
    return [row[0] for row in aside.execute("SELECT who FROM ran")]


def test_a_transaction_stays_on_its_connection_and_the_next_one_goes_elsewhere(
    connect: Callable[[], psycopg.Connection],
) -> None:
    mine = connect()
    pid = "SELECT pg_backend_pid()"
    with mine.transaction():
        inside = {mine.execute(pid).fetchone() for _ in range(5)}
    assert len(inside) == 1
    assert len({mine.execute(pid).fetchone() for _ in range(4)}) == SIZE


def test_pipelines_errors_and_copies_pass(connect: Callable[[], psycopg.Connection]) -> None:
    mine = connect()
    with mine.pipeline() as pipeline, mine.cursor() as first, mine.cursor() as second:
        first.execute("SELECT %s::text", ["x" * 300_000])
        pipeline.sync()
        second.execute("SELECT 2")
        assert (len(first.fetchall()[0][0]), second.fetchall()) == (300_000, [(2,)])
    with pytest.raises(psycopg.errors.DivisionByZero):
        mine.execute("SELECT 1 / 0")
    with mine.transaction(), mine.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE copied (value integer) ON COMMIT DROP")
        with cursor.copy("COPY copied FROM STDIN") as copy:
            for number in range(1000):
                copy.write_row([number])
        assert cursor.execute("SELECT sum(value) FROM copied").fetchone() == (499_500,)


def test_who_leaves_in_the_middle_is_rolled_back(
    connect: Callable[[], psycopg.Connection], pooler: Pooler, database: Database
) -> None:
    leaving, staying = connect(), connect()
    leaving.execute("BEGIN")
    leaving.execute("SELECT pg_advisory_xact_lock(7)")
    leaving.close()
    assert eventually(lambda: pooler.replaced == 1)
    with staying.transaction():
        staying.execute("SET LOCAL lock_timeout = '10s'")
        staying.execute("SELECT pg_advisory_xact_lock(7)")
    assert eventually(lambda: server_connections(database) == SIZE)


# The store and the agents


def test_commits_of_every_kind_and_a_polling_fleet(
    connect_store: Callable[[], Store], pooler: Pooler, database: Database
) -> None:
    store = connect_store()
    store.create_environment("production", author="test")
    revision = write(store, 0)
    committer = store._committer
    assert committer is not None
    with contextlib.ExitStack() as stack:
        agents = [
            stack.enter_context(
                Agent.connect(
                    environment="production",
                    labels={"bot": f"bot-{number}"},
                    trust=KEY.trust(),
                    database_url=pooler.url,
                    timeout=20.0,
                )
            )
            for number in range(AGENTS)
        ]
        for number in range(1, 7):
            committer.calm = commit.CALM * (number % 2)  # at once, and in two steps
            revision = write(store, number, key=f"key-{number}" if number % 3 == 0 else None)
            assert committer.calm == (commit.CALM if number % 2 else 1)  # nobody was met: it went as it was told
        assert write(store, 6, key="key-6") == revision
        for agent in agents:
            assert agent.wait_for(revision, 20.0)
            assert (agent[PATH], agent.revision, agent.status) == (6, revision, Status.DEGRADED)
        assert pooler.clients > AGENTS
        assert server_connections(database) == SIZE
    assert pooler.replaced == 0


def test_writers_that_contend_do_not_wait_for_each_others_connections(connect_store: Callable[[], Store]) -> None:
    store = connect_store()
    store.create_environment("production", author="test")
    stores = [connect_store() for _ in range(5)]

    def work(writer: int) -> list[int]:
        return [write(stores[writer], number, f"plain.r{writer}.max_leverage") for number in range(8)]

    with ThreadPoolExecutor(len(stores)) as pool:
        made = [revision for revisions in pool.map(work, range(len(stores))) for revision in revisions]
    assert sorted(made) == list(range(2, 2 + 5 * 8))
    assert [thaw(store.get(f"plain.r{writer}.max_leverage", "production").value) for writer in range(5)] == [7] * 5
    before = items(store)
    write(store, 9)
    store.rollback("production", max(made), author="test")
    assert items(store) == before
    assert {entry.kind for entry in store.history.environment("production")} == {"structure", "edit", "rollback"}
