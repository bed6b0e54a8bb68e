"""The turn that contending writers wait for before the lock of the store: a courtesy, on which nothing rests."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from tests.integration.conftest import KEY, ConnectStore
from tests.support.servers import Database
from trimtab.model.values import thaw
from trimtab_store.database import Connection
from trimtab_store.hooks import DocumentChange
from trimtab_store.store import Store
from trimtab_store.verification import prove

LOCK = "SELECT revision FROM trimtab.trimtab_lock_v1(ARRAY['base'], %s, %s)"
TURN = "LOCK TABLE trimtab.turn IN SHARE UPDATE EXCLUSIVE MODE"
HOLD_MS = 300


def write(store: Store, path: str, value: object) -> int:
    with store.edit("base", author="test") as edit:
        edit.set(path, value)
    return edit.committed.revision


def contending(connect_store: ConnectStore) -> Store:
    """A store that has met somebody, so that it waits for its turn."""
    store = connect_store()
    assert store._committer is not None
    store._committer.calm = -100
    return store


def waiting(database: Database) -> list[str]:
    """What sessions of this database wait for."""
    with psycopg.connect(database.url) as observer:
        rows = observer.execute(
            "SELECT locktype || coalesce(' ' || relation::regclass::text, '') FROM pg_locks"
            " JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = %s",
            (database.name,),
        ).fetchall()
    return sorted(row[0] for row in rows)


def until(condition: Callable[[], bool]) -> None:
    """Look until something is so; ten seconds at most."""
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


@contextmanager
def held(database: Database, statement: str) -> Generator[psycopg.Connection[Any]]:
    """A session of the owner that holds what it locked until the block ends."""
    with psycopg.connect(database.url) as holder:
        holder.execute(statement.encode())
        yield holder


def prove_everything(database: Database) -> None:
    """Prove every chain, checksum and audit row, and that each revision has its audit row."""
    with Store.connect(database.url) as owner:
        owner.database.read(lambda connection: prove(connection, KEY.trust()))
        revisions, audited = owner.database.read(_counts)
    assert revisions == audited


def _counts(connection: Connection) -> tuple[int, int]:
    row = connection.execute(
        "SELECT (SELECT count(*) FROM trimtab.configuration_versions),"
        " (SELECT count(DISTINCT revision) FROM trimtab.configuration_audit WHERE revision IS NOT NULL)"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_whoever_waits_for_the_lock_waits_for_the_turn_and_wakes_nobody_else(
    store: Store, database: Database, connect_store: ConnectStore
) -> None:
    writers = [contending(connect_store) for _ in range(4)]
    with ThreadPoolExecutor(len(writers)) as pool:
        with held(database, TURN):
            done = [pool.submit(write, writer, f"a.w{n}", n) for n, writer in enumerate(writers)]
            until(lambda: waiting(database) == ["relation trimtab.turn"] * len(writers))
        assert sorted(one.result() for one in done) == [4, 5, 6, 7]
    assert thaw(store.get("a", "base").value) == {f"w{n}": n for n in range(4)}
    prove_everything(database)


@pytest.mark.usefixtures("store")
def test_writers_frozen_in_the_queue_and_with_the_turn_hold_the_next_up_no_longer_than_their_bounds(
    database: Database, connect_store: ConnectStore
) -> None:
    with ExitStack() as stack:
        frozen = [stack.enter_context(closing(psycopg.connect(database.login("trimtab_writer")))) for _ in range(3)]
        for number, one in enumerate(frozen):
            one.execute("SELECT 1")  # BEGIN
            # sent and never read: the server goes on, the writer does not
            one.pgconn.send_query_params(LOCK.replace("%s, %s", f"5000, {HOLD_MS}").encode(), None)
            one.pgconn.flush()
            until(lambda number=number: waiting(database) == ["relation trimtab.turn"] * number)  # type: ignore[misc]
        begins = time.monotonic()
        assert write(contending(connect_store), "a.b", 1) == 4
        assert time.monotonic() - begins < len(frozen) * HOLD_MS / 1000 + 3
    prove_everything(database)


def test_waiting_for_the_turn_and_for_the_lock_takes_no_longer_than_was_asked(database: Database) -> None:
    with (
        held(database, "SELECT FROM trimtab.store_head FOR UPDATE"),
        closing(psycopg.connect(database.login("trimtab_writer"))) as first,
        psycopg.connect(database.login("trimtab_writer")) as second,
    ):
        first.execute("SELECT 1")
        first.pgconn.send_query_params(LOCK.replace("%s, %s", "2000, 1000").encode(), None)
        first.pgconn.flush()
        until(lambda: waiting(database) == ["transactionid"])
        begins = time.monotonic()
        with pytest.raises(pg.LockNotAvailable):
            second.execute(LOCK, (2500, 1000))
        assert time.monotonic() - begins < 3.5  # it had the turn after 2 seconds, and half a second for the lock


def test_a_writer_alone_needs_no_turn(store: Store, database: Database) -> None:
    with held(database, TURN):
        assert write(store, "a.b", 1) == 4


def test_who_comes_past_the_turn_makes_the_next_plan_again_and_nothing_is_lost(
    store: Store, database: Database, connect_store: ConnectStore
) -> None:
    slow = contending(connect_store)
    with ThreadPoolExecutor(1) as pool:
        with held(database, TURN):
            planned = pool.submit(write, slow, "a.b", {"x": 1})
            until(lambda: waiting(database) == ["relation trimtab.turn"])
            assert write(store, "a.b.y", 2) == 4  # below what the other is about to replace
        assert planned.result() == 5
    assert thaw(store.get("a.b", "base").value) == {"x": 1}
    assert thaw(store.get("a.b", "base", as_of=4).value) == {"y": 2}
    prove_everything(database)


@pytest.mark.usefixtures("store")
def test_hooks_never_run_with_the_turn(database: Database, connect_store: ConnectStore) -> None:
    def hook(_: DocumentChange) -> tuple[str, ...]:
        with psycopg.connect(database.url) as other:
            other.execute(TURN + " NOWAIT")  # raises if anybody has the turn
        return ()

    checked = connect_store(hooks=[hook])
    assert checked._committer is not None
    checked._committer.calm = -100
    assert write(checked, "a.b", 1) == 4
