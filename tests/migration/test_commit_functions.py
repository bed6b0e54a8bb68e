"""The functions that a commit is made of: what they enter, and what they refuse."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from tests.migration.committing import LOCK, Commit, create, genesis, put
from tests.support.servers import Database

MOVED, ASTRAY, STRUCTURE = "TT001", "TT002", "TT003"


@pytest.fixture
def writer(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A writer's connection to a store with two trees: base with production below it, and other."""
    with psycopg.connect(database.login("trimtab_writer")) as connection:
        for commit in (create("base"), create("production", "base"), create("other")):
            commit.run(connection)
            connection.commit()
        yield connection


def ask(connection: psycopg.Connection[Any], question: str, *parameters: object) -> list[tuple[Any, ...]]:
    return connection.execute(question.encode(), parameters).fetchall()


def audit(database: Database) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url) as connection:
        return ask(
            connection,
            "SELECT revision, action, record, previous_hash, hash FROM trimtab.configuration_audit ORDER BY id",
        )


def items(connection: psycopg.Connection[Any], environment: str, revision: int) -> dict[tuple[str, str], bytes | None]:
    rows = ask(
        connection, "SELECT layer, path, content FROM trimtab.trimtab_items_at_v1(%s, %s)", environment, revision
    )
    return {(layer, path): content for layer, path, content in rows}


def refusal(connection: psycopg.Connection[Any], commit: Commit) -> str | None:
    """The code of the error that refuses a commit, after which nothing has moved."""
    before = ask(connection, "SELECT * FROM trimtab.store_head")
    connection.commit()
    with pytest.raises(psycopg.Error) as caught:
        commit.run(connection)
    connection.rollback()
    assert ask(connection, "SELECT * FROM trimtab.store_head") == before
    return caught.value.sqlstate


def test_revisions_are_one_line_over_all_environments(writer: psycopg.Connection[Any]) -> None:
    revisions = [put(name, "a", b"1").run(writer) for name in ("production", "other", "production", "base")]
    assert revisions == [4, 5, 6, 7]
    lines = ask(writer, "SELECT environment, revision, previous_revision FROM trimtab.links ORDER BY revision")
    assert lines[3:] == [("production", 4, 2), ("other", 5, 3), ("production", 6, 4), ("base", 7, 1)]


def test_a_line_begins_with_its_genesis_and_each_hash_follows_the_one_before(writer: psycopg.Connection[Any]) -> None:
    put("base", "a", b"1").run(writer)
    links = ask(
        writer,
        "SELECT l.previous_hash, l.hash, c.change FROM trimtab.links AS l"
        " JOIN trimtab.configuration_versions USING (revision) JOIN trimtab.changes AS c USING (version_id)"
        " WHERE l.environment = 'base' ORDER BY revision",
    )
    expected = genesis("base", 1)
    for previous, digest, change in links:
        assert previous == expected
        expected = hashlib.sha256(previous + change).digest()
        assert digest == expected
    assert len(links) == 2


def test_a_rolled_back_lock_uses_no_revision(writer: psycopg.Connection[Any]) -> None:
    writer.execute(LOCK, (["base"], 1000, 1000))
    writer.rollback()
    assert put("base", "a", b"1").run(writer) == 4


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"previous_hash": "00" * 32}, ASTRAY),
        ({"previous_revision": 0}, ASTRAY),
        ({"hash": "00" * 32}, ASTRAY),
        ({"epoch": 2}, ASTRAY),
        ({"revision": 99}, ASTRAY),
        ({"environment": "other"}, ASTRAY),
        ({"environment": "nowhere"}, ASTRAY),
        ({"checksum": "00"}, pg.CheckViolation.sqlstate),
        ({"signature": "00" * 63}, pg.CheckViolation.sqlstate),
        ({"key_id": None}, pg.NotNullViolation.sqlstate),
    ],
)
def test_a_link_that_lies_is_refused(writer: psycopg.Connection[Any], wrong: dict[str, Any], code: str) -> None:
    commit = put("base", "a", b"1")
    commit.wrong = wrong
    assert refusal(writer, commit) == code


def test_a_commit_without_a_link_for_what_it_edits_is_refused(writer: psycopg.Connection[Any]) -> None:
    commit = put("base", "a", b"1")
    commit.reached = ["production"]
    assert refusal(writer, commit) == ASTRAY


def test_an_audit_record_of_another_revision_is_refused(writer: psycopg.Connection[Any]) -> None:
    commit = put("base", "a", b"1")
    commit.audited_revision = 77
    assert refusal(writer, commit) == MOVED


def test_a_version_is_staged_once_and_never_added_to(writer: psycopg.Connection[Any]) -> None:
    commit = put("base", "a", b"1")
    commit.run(writer)
    writer.commit()
    again = put("base", "b", b"1")
    again.version = commit.version
    assert refusal(writer, again) == pg.UniqueViolation.sqlstate


def test_an_idempotency_key_is_used_once(writer: psycopg.Connection[Any]) -> None:
    first, second = put("base", "a", b"1"), put("other", "a", b"1")
    first.idempotency_key = second.idempotency_key = "order-1"
    first.run(writer)
    writer.commit()
    assert refusal(writer, second) == pg.UniqueViolation.sqlstate


@pytest.mark.parametrize(
    ("layer", "path", "content"),
    [("x" * 1025, "a", b"1"), ("", "", b"1"), ("", "x" * 1025, b"1"), ("", "a", b'"' + b"x" * 65535 + b'"')],
)
def test_what_is_larger_than_a_reader_takes_is_refused(
    writer: psycopg.Connection[Any], layer: str, path: str, content: bytes
) -> None:
    assert refusal(writer, Commit("base", [(layer, path, content)])) == pg.CheckViolation.sqlstate


def test_head_state_and_history_follow_put_hide_and_remove(writer: psycopg.Connection[Any]) -> None:
    steps: list[tuple[str, bytes | None]] = [("", b"1"), ("mode=live", b"2"), ("", b""), ("", b"[3]"), ("", None)]
    seen: list[dict[tuple[str, str], bytes | None]] = []
    expected: dict[tuple[str, str], bytes | None] = {}
    for layer, content in steps:
        revision = put("base", "a.b", content, layer).run(writer)
        if content is None:
            del expected[layer, "a.b"]
        else:
            expected[layer, "a.b"] = content or None
        seen.append(dict(expected))
        now = ask(writer, "SELECT layer, path, content, revision, value FROM trimtab.configuration_current")
        assert {(row[0], row[1]): row[2] for row in now} == expected
        assert all(row[4] == (None if row[2] is None else json.loads(row[2])) for row in now)
        assert any(row[0] == layer and row[3] == revision for row in now) is (content is not None)
    assert [items(writer, "base", revision) for revision in range(3, 9)] == [{}, *seen]
    before = ask(
        writer,
        "SELECT operation, previous_operation, previous FROM trimtab.configuration_items"
        " JOIN trimtab.configuration_versions USING (version_id) ORDER BY revision",
    )
    assert before == [
        ("put", None, None),
        ("put", None, None),
        ("hide", "put", b"1"),
        ("put", "hide", None),
        ("remove", "put", b"[3]"),
    ]


def test_items_around_a_path_are_those_at_below_and_above_it_in_the_environments_asked(
    writer: psycopg.Connection[Any],
) -> None:
    places = ["a", "a.b", "a.b.c", 'a.b."x.y"', "a.b-c", "a.bc", "a.c", "b"]
    for name in ("base", "production", "other"):
        Commit(name, [("", path, b"1") for path in places]).run(writer)
    found = ask(
        writer,
        "SELECT environment, path FROM trimtab.trimtab_around_v1(%s, %s, %s)",
        ["base", "production"],
        ["a.b"],
        ["a"],
    )
    near = ["a", "a.b", "a.b.c", 'a.b."x.y"']
    assert sorted(found) == sorted((name, path) for name in ("base", "production") for path in near)


def test_touched_says_what_others_edited_since(writer: psycopg.Connection[Any]) -> None:
    put("production", "a", b"1").run(writer)
    put("other", "a", b"1").run(writer)
    create("staging", "base").run(writer)
    put("base", "b", b"1", "mode=live").run(writer)
    asked = "SELECT revision, kind, environment, layer, path FROM trimtab.trimtab_touched_v1(%s, %s, %s)"
    assert ask(writer, asked, ["base", "staging"], 3, 10) == [
        (6, "structure", "staging", None, None),
        (7, "edit", "base", "mode=live", "b"),
    ]
    assert ask(writer, asked, ["base", "staging"], 3, 1) == [(6, "structure", "staging", None, None)]
    assert ask(writer, asked, ["base", "staging"], 7, 10) == []


def test_the_heads_of_the_lock_are_those_after_the_wait_for_it(
    database: Database, writer: psycopg.Connection[Any]
) -> None:
    put("base", "a", b"1").run(writer)  # holds the lock
    answers: list[tuple[Any, ...]] = []

    def lock() -> None:
        with psycopg.connect(database.login("trimtab_writer")) as second:
            answers.extend(second.execute(LOCK, (["base"], 5000, 1000)).fetchall())

    thread = threading.Thread(target=lock)
    thread.start()
    with psycopg.connect(database.url, autocommit=True) as observer:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%lock_v1%%'"
        while ask(observer, waiting) == [(0,)]:
            assert thread.is_alive()
    writer.commit()
    thread.join()
    epoch, revision, structure_revision, _, environment, head_epoch, head_revision, *_ = answers[0]
    assert (epoch, revision, structure_revision, environment) == (1, 5, 3, "base")
    assert (head_epoch, head_revision) == (1, 4)


def test_a_frozen_writer_loses_the_lock(database: Database, writer: psycopg.Connection[Any]) -> None:
    with psycopg.connect(database.login("trimtab_writer")) as frozen:
        frozen.execute(LOCK, (["base"], 1000, 300))
        assert put("base", "a", b"1").run(writer) == 4
        with pytest.raises((pg.TransactionTimeout, pg.IdleInTransactionSessionTimeout)):
            frozen.execute("SELECT 1")


def test_the_wait_for_the_lock_ends(database: Database, writer: psycopg.Connection[Any]) -> None:
    put("base", "a", b"1").run(writer)
    with psycopg.connect(database.login("trimtab_writer")) as second, pytest.raises(pg.LockNotAvailable):
        second.execute(LOCK, (["base"], 50, 1000))


def test_a_commit_under_another_isolation_is_refused(writer: psycopg.Connection[Any]) -> None:
    writer.commit()
    writer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with pytest.raises(pg.InvalidTransactionState):
        writer.execute(LOCK, (["base"], 1000, 1000))


def test_commit_times_never_go_back(database: Database, writer: psycopg.Connection[Any]) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("UPDATE trimtab.store_head SET moved_at = moved_at + interval '1 day'")
    first, second = put("base", "a", b"1").run(writer), put("base", "a", b"2").run(writer)
    times = ask(
        writer,
        "SELECT committed_at FROM trimtab.configuration_versions WHERE revision IN (%s, %s) ORDER BY revision",
        first,
        second,
    )
    assert times[0] <= times[1]
    assert ask(writer, "SELECT moved_at FROM trimtab.store_head") == times[1:]


def test_structure_is_entered_from_the_change_and_kept_by_revision(writer: psycopg.Connection[Any]) -> None:
    moved = create("production", "other")
    moved.run(writer)
    known = ask(writer, "SELECT name, parent, dimensions, created_revision, changed_revision FROM trimtab.environments")
    assert sorted(known, key=str) == [
        ("base", None, ["mode"], 1, 1), ("other", None, ["mode"], 3, 3), ("production", "other", None, 2, 4),
    ]  # fmt: skip
    kept = ask(writer, "SELECT revision, parent FROM trimtab.environment_revisions WHERE environment = 'production'")
    assert kept == [(2, "base"), (4, "other")]
    assert ask(writer, "SELECT structure_revision FROM trimtab.store_head") == [(4,)]


@pytest.mark.parametrize(
    ("commit", "code"),
    [
        (create("base", "production"), STRUCTURE),
        (create("base", "base"), pg.CheckViolation.sqlstate),
        (create("Upper"), pg.CheckViolation.sqlstate),
        (create("lost", "nowhere"), pg.ForeignKeyViolation.sqlstate),
    ],
)
def test_a_structure_that_cannot_be_is_refused(writer: psycopg.Connection[Any], commit: Commit, code: str) -> None:
    assert refusal(writer, commit) == code


def test_an_epoch_starts_every_line_anew_above_everything_seen(writer: psycopg.Connection[Any]) -> None:
    declared = Commit(None, kind="epoch", epoch=(3, 4, 50))
    assert declared.run(writer) == 51
    assert ask(writer, "SELECT epoch, from_epoch, from_revision, first_revision FROM trimtab.epochs ORDER BY 1") == [
        (1, None, None, 1), (5, 1, 3, 51),
    ]  # fmt: skip
    heads = ask(writer, "SELECT environment, epoch, revision, previous_revision, previous_hash FROM trimtab.line_heads")
    assert sorted(heads) == [(name, 5, 51, 0, genesis(name, 5)) for name in ("base", "other", "production")]
    assert put("base", "a", b"1").run(writer) == 52
    assert ask(writer, "SELECT epoch, previous_revision FROM trimtab.links WHERE revision = 52") == [(5, 51)]


def test_an_epoch_is_declared_from_the_head_only(writer: psycopg.Connection[Any]) -> None:
    assert refusal(writer, Commit(None, kind="epoch", epoch=(2, 0, 0))) == MOVED


def test_audit_rows_are_chained_and_there_is_one_for_each_revision(
    database: Database, writer: psycopg.Connection[Any]
) -> None:
    put("base", "a", b"1").run(writer)
    refused = json.dumps(
        {"action": "refused", "actor": "eve", "at": "2026-01-05T14:03:07+00:00", "environment": "base"}
    )
    assert ask(writer, "SELECT trimtab.trimtab_audit_v1(%s)", refused.encode()) == [(5,)]
    put("base", "a", b"2").run(writer)
    writer.commit()
    rows = audit(database)
    assert [(row[0], row[1]) for row in rows] == [
        (1, "commit"), (2, "commit"), (3, "commit"), (4, "commit"), (None, "refused"), (5, "commit"),
    ]  # fmt: skip
    expected = hashlib.sha256(b"trimtab audit").digest()
    for _, _, record, previous, digest in rows:
        assert previous == expected
        expected = hashlib.sha256(previous + record).digest()
        assert digest == expected
    assert ask(writer, "SELECT audit_hash FROM trimtab.store_head") == [(expected,)]


def test_a_revision_cannot_be_claimed_by_an_audit_row_without_a_commit(writer: psycopg.Connection[Any]) -> None:
    claim = json.dumps({"action": "commit", "actor": "eve", "at": "2026-01-05T14:03:07+00:00", "revision": 4})
    with pytest.raises(psycopg.Error) as caught:
        ask(writer, "SELECT trimtab.trimtab_audit_v1(%s)", claim.encode())
    assert caught.value.sqlstate == MOVED


def test_active_versions_are_the_newest_of_each_environment(writer: psycopg.Connection[Any]) -> None:
    commit = put("base", "a", b"1")
    commit.reached = ["base", "production"]
    commit.run(writer)
    active = ask(
        writer, "SELECT environment, revision, edited, kind, version_id FROM trimtab.active_versions ORDER BY 1"
    )
    assert [row[:4] for row in active] == [
        ("base", 4, "base", "edit"), ("other", 3, "other", "structure"), ("production", 4, "base", "edit"),
    ]  # fmt: skip
    assert active[0][4] == active[2][4] == commit.version


def test_a_commit_reads_the_same_few_rows_however_many_items_are_held(writer: psycopg.Connection[Any]) -> None:
    # One session throughout: it made its plans while the tables were empty.
    read = "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::integer FROM pg_stat_xact_user_tables"
    around = "SELECT path FROM trimtab.trimtab_around_v1(%s, %s, %s)"

    def one_commit(path: str) -> int:
        ((before,),) = ask(writer, read)  # counts of earlier transactions may still wait in the session
        assert ask(writer, around, ["base", "production"], [path], ["p1"]) == []
        put("production", path, b"1").run(writer)
        Commit("production", [("", path, None)]).run(writer)
        ((after,),) = ask(writer, read)
        writer.commit()
        return int(after - before)

    writer.commit()
    few = one_commit("p1.x.first")
    Commit("production", [("", f"p{n % 50}.x.y{n}", b"1") for n in range(3000)]).run(writer)
    writer.commit()
    assert one_commit("p1.x.second") == few
    assert few < 60
