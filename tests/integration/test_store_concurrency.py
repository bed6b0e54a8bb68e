"""Many writers at once, writers that die or freeze, and what a commit costs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.integration.conftest import KEY, ConnectStore
from tests.support.servers import Database
from trimtab.model import errors
from trimtab.model.values import thaw
from trimtab_store import commit, locking, planning, turns
from trimtab_store.database import Connection
from trimtab_store.editing import Request
from trimtab_store.planning import Plan
from trimtab_store.store import Store
from trimtab_store.verification import prove


def write(store: Store, environment: str, path: str, value: object, **words: object) -> int:
    with store.edit(environment, author="test", **words) as edit:  # type: ignore[arg-type]
        edit.set(path, value)
    return edit.committed.revision


def check_everything(database: Database) -> int:
    """Prove every chain, checksum and audit row; the number of revisions."""
    with Store.connect(database.url) as owner:
        owner.database.read(lambda connection: prove(connection, KEY.trust()))
        return owner.database.read(_count)


def _count(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM trimtab.configuration_versions").fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def meddling(monkeypatch: pytest.MonkeyPatch, meddle: Callable[[int], None]) -> Generator[None]:
    """Between each plan and its lock, let somebody else do something (the argument counts plans from 0)."""
    plans = iter(range(1000))
    busy = threading.local()
    original = planning.Planner.plan

    def plan(self: planning.Planner, connection: Connection, request: Request) -> Plan:
        made = original(self, connection, request)
        if not getattr(busy, "now", False):
            busy.now = True
            try:
                meddle(next(plans))
            finally:
                busy.now = False
        return made

    with monkeypatch.context() as patched:
        patched.setattr(planning.Planner, "plan", plan)
        yield


def test_sixteen_writers_on_many_paths_lose_nothing(
    store: Store, connect_store: ConnectStore, database: Database
) -> None:
    each = 12
    writers = [connect_store(pool_size=1) for _ in range(16)]
    environments = ("base", "production", "testing")

    def work(number: int) -> list[int]:
        return [
            write(writers[number], environments[(number + turn) % 3], f"w{number}.d.v", turn) for turn in range(each)
        ]

    with ThreadPoolExecutor(16) as pool:
        revisions = [one for done in pool.map(work, range(16)) for one in done]
    assert sorted(revisions) == list(range(4, 4 + 16 * each)), "dense, unique, none lost"
    assert check_everything(database) == 3 + 16 * each
    held = {(item.environment, item.path): item.content for name in environments for item in store.queries.items(name)}
    for number in range(16):
        for turn in range(each - 3, each):
            assert held[environments[(number + turn) % 3], f"w{number}.d.v"] == b"%d" % turn


def test_two_writers_with_expect_never_lose_an_update(connect_store: ConnectStore, store: Store) -> None:
    write(store, "base", "counter.d.v", 0)
    writers = [connect_store(pool_size=1) for _ in range(4)]

    def count(mine: Store) -> int:
        refused = done = 0
        while done < 10:
            found = mine.get("counter.d.v", "base")
            value = thaw(found.value)
            assert isinstance(value, int)
            try:
                write(mine, "base", "counter.d.v", value + 1, expect=found.moment.revision)
                done += 1
            except errors.ExpectationFailed:
                refused += 1
        return refused

    with ThreadPoolExecutor(4) as pool:
        refusals = sum(pool.map(count, writers))
    assert thaw(store.get("counter.d.v", "base").value) == 40
    assert refusals > 0, "they met"


def test_two_writers_on_one_path_are_put_in_order(
    store: Store, connect_store: ConnectStore, database: Database
) -> None:
    writers = [connect_store(pool_size=1) for _ in range(2)]

    def work(number: int) -> list[int]:
        return [write(writers[number], "base", "a.b", f"{number}-{turn}") for turn in range(20)]

    with ThreadPoolExecutor(2) as pool:
        done = dict(zip(("0", "1"), pool.map(work, range(2)), strict=True))
    last = max(done, key=lambda name: done[name][-1])
    assert thaw(store.get("a.b", "base").value) == f"{last}-19"
    assert check_everything(database) == 3 + 40


def test_a_head_moved_elsewhere_is_rebased_without_a_second_plan(
    store: Store, connect_store: ConnectStore, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    other, plans = connect_store(), list[int]()
    with meddling(monkeypatch, lambda turn: plans.append(write(other, "base", "else.where.v", turn))):
        revision = write(store, "production", "a.b", 1)
    assert plans == [4]
    assert revision == 5
    check_everything(database)


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Generator[list[str]]:
    """The ways in which commits go to the server: "at once", "too late" where that was refused, "locked"."""
    found: list[str] = []
    at_once, begin = locking.commit_at_once, locking.begin

    def first(*arguments: object) -> object:
        answer = at_once(*arguments)  # type: ignore[arg-type]
        found.append("too late" if answer is None else "at once")
        return answer

    def second(*arguments: object) -> object:
        found.append("locked")
        return begin(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(locking, "commit_at_once", first)
        patched.setattr(locking, "begin", second)
        yield found


def test_a_writer_alone_commits_at_once_and_one_that_met_somebody_waits_a_while(
    store: Store, connect_store: ConnectStore, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    other = connect_store()
    with counted(monkeypatch) as ways:
        write(store, "base", "a.b", 1)
        with meddling(monkeypatch, lambda turn: _once(turn, lambda: write(other, "base", "else.where.v", turn))):
            write(store, "production", "a.b", 2)
        assert ways == ["at once", "at once", "too late", "locked"]
        ways.clear()
        for turn in range(commit.CALM + 2):
            write(store, "base", "a.c", turn)
    assert ways == ["locked"] * commit.CALM + ["at once"] * 2
    assert check_everything(database) == 3 + 3 + commit.CALM + 2


def test_what_is_planned_too_long_ago_is_not_committed_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(locking, "HOLD_MS", 1000)
    with store.database.connection() as mine:
        plan = planning.Planner().plan(mine, _request("a.b", 2))
        turn = locking.expected_turn(mine, plan)
        assert turn is not None
        late = replace(plan, read_at=(plan.read_at or datetime.now(UTC)) - timedelta(seconds=1))
        extended = turns.extend(plan, turn, KEY)
        assert locking.commit_at_once(mine, late, turn, locking.new_version(), extended) is None
        assert locking.commit_at_once(mine, plan, turn, locking.new_version(), extended) is not None
    assert check_everything(database) == 4


def test_an_idempotency_key_takes_the_lock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with counted(monkeypatch) as ways:
        write(store, "base", "a.b", 1, idempotency_key="k")
    assert ways == ["locked"]


def test_a_head_moved_right_here_is_planned_again_and_at_last_under_the_lock(
    store: Store, connect_store: ConnectStore, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    other, turns = connect_store(), list[int]()

    def meddle(turn: int) -> None:
        if turn < commit.FAILURES:
            turns.append(write(other, "base", "a.b.mine", turn))

    with meddling(monkeypatch, meddle):
        revision = write(store, "production", "a.b.mine", 1)
    assert len(turns) == commit.FAILURES
    assert revision == turns[-1] + 1
    check_everything(database)


def test_a_conflict_that_arises_between_plan_and_lock_is_refused(
    store: Store, connect_store: ConnectStore, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    other = connect_store()
    with (
        meddling(monkeypatch, lambda turn: _once(turn, lambda: write(other, "base", "a.b", 1))),
        pytest.raises(errors.LayerConflict),
    ):
        write(store, "production", "a.b.c", 1)
    assert thaw(store.get("a.b", "production").value) == 1
    check_everything(database)


def test_inheritance_is_that_of_the_lock_not_of_the_plan(
    store: Store, connect_store: ConnectStore, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    other = connect_store()
    with meddling(
        monkeypatch, lambda turn: _once(turn, lambda: other.create_environment("paper", parent="base", author="t"))
    ):
        write(store, "base", "a.b", 1)
    assert thaw(store.get("a.b", "paper").value) == 1
    assert store.history.environment("paper", limit=1)[0].kind == "edit", "the new line was extended"
    check_everything(database)


def test_structure_is_planned_again_when_its_items_move(
    store: Store, connect_store: ConnectStore, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    from trimtab_store import environments  # noqa: PLC0415

    other, turns = connect_store(), iter(range(100))
    original = environments.plan

    def plan(*arguments: object, **options: object) -> Plan:
        made: Plan = original(*arguments, **options)  # type: ignore[arg-type]
        _once(next(turns), lambda: write(other, "base", "a.b", 1))
        return made

    monkeypatch.setattr(environments, "plan", plan)
    store.create_environment("paper", parent="base", author="test")
    assert thaw(store.get("a.b", "paper").value) == 1
    assert next(turns) == 2, "planned twice"
    check_everything(database)


def test_structure_and_edits_at_once_keep_every_line_whole(
    store: Store, connect_store: ConnectStore, database: Database
) -> None:
    writers = [connect_store(pool_size=1) for _ in range(3)]

    def edits(mine: Store) -> None:
        for turn in range(15):
            write(mine, "base", "a.b", turn)

    def structure(mine: Store) -> None:
        for turn in range(6):
            mine.create_environment(f"e{turn}", parent="base" if turn % 2 else "production", author="t")
            mine.reparent_environment(f"e{turn}", "testing", author="t")

    with ThreadPoolExecutor(3) as pool:
        for done in [
            pool.submit(edits, writers[0]),
            pool.submit(edits, writers[1]),
            pool.submit(structure, writers[2]),
        ]:
            done.result()
    check_everything(database)
    assert thaw(store.get("a.b", "e5").value) == 14


def test_a_writer_killed_before_commit_leaves_nothing(store: Store, database: Database) -> None:
    write(store, "base", "a.b", 1)
    with (
        psycopg.connect(database.url, autocommit=True) as admin,
        store.database.connection() as mine,
    ):
        plan = planning.Planner().plan(mine, _request("a.b", 2))
        mine.execute("BEGIN")
        locking.begin(mine, locking.new_version(), plan)
        admin.execute("SELECT pg_terminate_backend(%s)", (mine.info.backend_pid,))
    assert write(store, "base", "a.c", 1) == 5
    assert thaw(store.get("a.b", "base").value) == 1
    assert check_everything(database) == 5
    with psycopg.connect(database.url) as admin:
        assert admin.execute("SELECT count(*) FROM trimtab.changes").fetchone() == (5,), "no orphan"


def test_a_writer_frozen_inside_the_locked_part_frees_the_line(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "HOLD_MS", 300)
    with store.database.connection() as frozen:
        plan = planning.Planner().plan(frozen, _request("a.b", 2))
        frozen.execute("BEGIN")
        locking.begin(frozen, locking.new_version(), plan)
        assert write(store, "base", "a.c", 1) == 4, "after at most 300 ms"
        with pytest.raises(psycopg.Error):
            frozen.execute("SELECT 1")
    check_everything(database)


def test_a_writer_that_froze_is_told_that_nothing_was_committed(
    store: Store, connect_store: ConnectStore, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(locking, "HOLD_MS", 200)
    monkeypatch.setattr(commit, "CALM", 100)  # nothing is committed at once
    original, other = turns.extend, connect_store()

    def slow(*arguments: object) -> object:
        monkeypatch.setattr(turns, "extend", original)
        write(other, "base", "a.c", 1)  # waits until the server has ended our session
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(turns, "extend", slow)
    with pytest.raises(errors.UnavailableError, match="too long") as caught:
        write(store, "base", "a.b", 1)
    assert not isinstance(caught.value, errors.OutcomeUnknown)
    with pytest.raises(errors.PathNotFound):
        store.get("a.b", "base")
    check_everything(database)


def test_a_lock_that_never_comes_is_an_error_in_bounded_time(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "WAIT_MS", 200)
    with psycopg.connect(database.url) as holder:
        holder.execute("SELECT FROM trimtab.store_head FOR UPDATE")
        with pytest.raises(errors.Contention, match="holds the store"):
            write(store, "base", "a.b", 1)


def test_a_restarted_server_is_met_without_an_error(store: Store, database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s",
            (database.name,),
        )
    assert write(store, "base", "a.b", 1) == 4


def _rows_read(writer: Store, do: Callable[[], object]) -> dict[str, int]:
    """By how much the row counters of our tables grew, counted by the one connection that the writer has."""

    def counters() -> dict[str, int]:
        with writer.database.connection() as mine:
            mine.execute("SELECT pg_stat_force_next_flush()")
            rows = mine.execute(
                "SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
                " + n_tup_ins + n_tup_upd + n_tup_del"
                " FROM pg_stat_user_tables WHERE schemaname = 'trimtab'"
            ).fetchall()
        return dict(rows)

    before = counters()
    do()
    after = counters()
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def _fill(store: Store, count: int) -> None:
    with store.edit("base", author="test") as edit:
        for number in range(0, count, 100):
            edit.set(f"fill.d{number}", {f"v{one}": one for one in range(100)})


def test_the_cost_of_a_commit_does_not_grow_with_the_items(store: Store, connect_store: ConnectStore) -> None:
    costs: list[dict[str, int]] = []
    for fill in (100, 5_000):
        _fill(store, fill)
        writer = connect_store(pool_size=1)
        for value in range(3):
            write(writer, "base", "a.b", value)  # caches and snapshots are warm
        costs.append(_rows_read(writer, lambda writer=writer: write(writer, "base", "a.b", -1)))  # type: ignore[misc]
    assert costs[0] == costs[1]
    assert sum(costs[0].values()) < 60


def _request(path: str, value: object) -> Request:
    from trimtab_store.operations import leaves_of  # noqa: PLC0415

    return Request(environment="base", author="t", reason="", operations=(leaves_of("", path, value),))


def _once(turn: int, do: Callable[[], object]) -> None:
    if turn == 0:
        do()
