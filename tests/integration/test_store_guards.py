"""Guards on a real store: what they refuse, what force lets past, and where its reason can be read afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest

from tests.support.servers import Database
from trimtab.model import changes
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab_store.editing import EditBlock, Request
from trimtab_store.planning import Planner
from trimtab_store.store import Store
from trimtab_store.validation.inspection import Inspector


def forced(store: Store, value: object = 1, force: str | None = "it is meant") -> int:
    with store.edit("production", author="ada", reason="a test", force=force) as edit:
        edit.set("notes.text", value)
    return edit.committed.revision


def test_the_reason_for_force_stands_in_change_history_and_audit(store: Store, database: Database) -> None:
    revision = forced(store)
    plain = forced(store, 2, None)
    assert [(one.position.revision, one.force) for one in store.history.environment("production", limit=2)] == [
        (plain, None),
        (revision, "it is meant"),
    ]
    assert [one.force for one in store.history.path("notes.text", "production")] == [None, "it is meant"]
    assert [one.force for one in store.history.after("production", revision - 1)] == ["it is meant", None]
    with psycopg.connect(database.url) as connection:
        rows = connection.execute(
            "SELECT a.detail ->> 'force', c.change FROM trimtab.configuration_audit AS a"
            " JOIN trimtab.configuration_versions AS v USING (revision) JOIN trimtab.changes AS c USING (version_id)"
            " WHERE revision = ANY(%s) ORDER BY revision",
            ([revision, plain],),
        ).fetchall()
    assert [(said, changes.decode(bytes(text)).force) for said, text in rows] == [
        ("it is meant", "it is meant"),
        (None, None),
    ]


def test_a_value_that_looks_like_force_is_none(store: Store) -> None:
    look_alike = [{"a": [1], "environment": "x", "force": "not meant", "kind": "edit"}, 1]
    forced(store, look_alike, None)
    revision = forced(store, [*look_alike, '\\"force\\":\n' * 9], 'quoted ","force":"lie')
    found = store.history.environment("production", limit=2)
    assert [(one.position.revision == revision, one.force) for one in found] == [
        (True, 'quoted ","force":"lie'),
        (False, None),
    ]


def write(store: Store, values: dict[str, Any], environment: str = "production", **words: Any) -> None:
    with store.edit(environment, author="ada", **words) as edit:
        for path, value in values.items():
            edit.set(path, value)


def needs_force(problems: Sequence[Problem]) -> set[tuple[str, str]]:
    return {(one.rule, one.path) for one in problems}


LEVERAGE = "risk.global.max_leverage"
NOTES = {f"notes.n{number}": number for number in range(10)}


def test_a_limit_that_is_loosened_too_far_is_refused_unless_it_is_forced(store: Store) -> None:
    write(store, {LEVERAGE: 1.5}, "base")
    with pytest.raises(DocumentsRefused, match="by more than a factor of 5") as refused:
        write(store, {LEVERAGE: 9}, "base")
    assert {(one.environment, one.rule) for one in refused.value.problems} == {
        ("base", "guard-risk"),
        ("production", "guard-risk"),
        ("testing", "guard-risk"),
    }
    assert store.get(LEVERAGE, "production").value == 1.5
    write(store, {LEVERAGE: 9}, "base", force="the new venue asks for it")
    write(store, {LEVERAGE: 0.1}, "base")


def test_taking_too_much_away_is_refused_whichever_way(store: Store) -> None:
    write(store, NOTES)
    before = store.history.environment("production", limit=1)[0].position.revision
    ways: list[Callable[[str | None], object]] = [
        lambda force: _unset(store, force),
        lambda force: store.rollback("production", before - 1, author="ada", force=force),
        lambda force: store.import_environment(EMPTY, environment="production", author="ada", force=force),
    ]
    for act in ways:
        with pytest.raises(DocumentsRefused) as refused:
            act(None)
        assert needs_force(refused.value.problems) == {("guard-removal", "production")}
        act("it is meant")
        assert store.queries.items("production", own=True) == ()
        write(store, NOTES)


def _unset(store: Store, force: str | None) -> bool:
    with store.edit("production", author="ada", force=force) as edit:
        edit.unset("notes")
    return True


def test_hiding_what_is_inherited_counts_as_taking_it_away(store: Store) -> None:
    write(store, NOTES, "base")
    with (
        pytest.raises(DocumentsRefused, match="would leave production empty"),
        store.edit("production", author="a") as edit,
    ):
        edit.hide("notes")


def test_half_may_go_and_more_may_not(store: Store) -> None:
    write(store, NOTES)
    with store.edit("production", author="ada") as edit:
        for number in range(5):
            edit.unset(f"notes.n{number}")
    with pytest.raises(DocumentsRefused, match="would leave production empty: all 5 items"):
        _unset(store, None)
    write(store, {"other.a": 1})
    with pytest.raises(DocumentsRefused, match="5 of the 6 items"):
        _unset(store, None)


def test_the_guards_are_configured_and_judged_by_what_held_before(store: Store) -> None:
    write(store, {LEVERAGE: 1.0, "guard.config.max_risk_factor": 2})
    with pytest.raises(DocumentsRefused, match="factor of 2"):
        write(store, {LEVERAGE: 3.0, "guard.config.max_risk_factor": 100})
    write(store, {"guard.config.max_risk_factor": 100})
    write(store, {LEVERAGE: 3.0})
    write(store, {**NOTES, "guard.config.max_removed_share": 0.05, "guard.config.min_items": 1})
    with pytest.raises(DocumentsRefused, match="1 of the 1"), store.edit("production", author="ada") as edit:
        edit.unset("notes.n1")


def test_a_dry_run_is_told_the_same(store: Store) -> None:
    write(store, {LEVERAGE: 1.0})
    with pytest.raises(DocumentsRefused), store.validate("production") as edit:
        edit.set(LEVERAGE, 10)
    with store.validate("production", force="only looking") as edit:
        edit.set(LEVERAGE, 10)
    assert edit.result.paths == (LEVERAGE,)


def test_a_plan_that_removes_depends_on_what_others_remove_meanwhile(store: Store) -> None:
    """Each of two removals leaves something, together they would not: the one that comes second is planned again."""
    write(store, {"notes.a": 1, "notes.b": 2}, "base")
    block = EditBlock(Request(environment="base", author="ada", reason=""), lambda request: request)
    with block as edit:
        edit.unset("notes.a")
    planner = Planner(Inspector(()))
    plan = store.database.read(lambda connection: planner.plan(connection, block.result))
    assert plan.depends_on("base", "elsewhere.b")
    write(store, {f"notes.n{number}": number for number in range(100)}, "base")
    plan = store.database.read(lambda connection: planner.plan(connection, block.result))
    assert not plan.depends_on("base", "elsewhere.b")


def test_the_first_items_of_an_environment_loosen_nothing(store: Store) -> None:
    write(store, {LEVERAGE: 1.0}, "base")
    write(store, {LEVERAGE: 90.0})
    with pytest.raises(DocumentsRefused):
        write(store, {LEVERAGE: 900.0})


def test_another_parent_does_not_empty_an_environment_or_loosen_its_limits_by_the_way(store: Store) -> None:
    write(store, {LEVERAGE: 1.0, "notes.a": 1}, "base")
    store.create_environment("loose", author="ada")
    write(store, {LEVERAGE: 90.0, "notes.a": 2}, "loose")
    with pytest.raises(DocumentsRefused, match="would leave production empty"):
        store.reparent_environment("production", None, author="ada")
    write(store, {"notes.b": 1})
    with pytest.raises(DocumentsRefused) as refused:
        store.reparent_environment("production", "loose", author="ada")
    assert needs_force(refused.value.problems) == {("guard-risk", LEVERAGE)}
    done = store.reparent_environment("production", "loose", author="ada", force="it trades there now")
    assert store.history.environment("production", limit=1)[0].force == "it trades there now"
    assert done.revision == store.history.environment("production", limit=1)[0].position.revision
    store.reparent_environment("testing", "loose", author="ada")  # it holds nothing of its own


EMPTY = b'{"trimtab": 1, "environment": "production", "layers": {}}'
