"""Impact on a real store: every line, declared bots, agents that reported, and labels that move."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from tests.support.servers import Database
from trimtab_store.editing import EditBlock, Request
from trimtab_store.impact import Impact
from trimtab_store.store import Store


def write(store: Store, environment: str, values: dict[str, Any], layer: str = "") -> None:
    with store.edit(environment, author="ada") as edit:
        for path, value in values.items():
            edit.set(path, value, layer)


def asking(store: Store, environment: str) -> EditBlock[Impact]:
    return EditBlock(Request(environment=environment, author="ada", reason=""), store.impact)


def told(found: Impact) -> list[tuple[str, str, Any, Any, list[str]]]:
    return [(one.environment, one.path, one.old, one.new, [str(seer) for seer in one.readers]) for one in found.effects]


def report(database: Database, environment: str, agent: str, labels: dict[str, str], *, closed: bool = False) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO trimtab.agent_reports VALUES (%s, %s, clock_timestamp(), %s)",
            (environment, agent, Jsonb({"labels": labels, "closed": closed})),
        )


def test_a_change_of_a_parent_is_told_for_every_environment_that_sees_it(store: Store) -> None:
    write(store, "base", {"notes.a": 1, "notes.b": 1})
    write(store, "testing", {"notes.a": 7})
    with asking(store, "base") as edit:
        edit.set("notes.a", 2)
    assert told(edit.result) == [
        ("base", "notes.a", b"1", b"2", ["every reader"]),
        ("production", "notes.a", b"1", b"2", ["every reader"]),
    ]
    assert store.get("notes.a", "base").value == 1


def test_moving_a_bot_to_live_is_told_with_everything_that_it_will_see(store: Store, database: Database) -> None:
    bots = {"fleet.bots.mm.labels.mode": "paper", "fleet.bots.mr.labels.mode": "paper", "notes.size": 1}
    write(store, "production", bots)
    write(store, "production", {"notes.size": 5, "notes.extra": True}, "mode=live")
    report(database, "production", "agent-1", {"bot": "mm", "mode": "paper"})
    report(database, "production", "agent-2", {"bot": "mm"}, closed=True)
    report(database, "testing", "agent-3", {"bot": "mm"})
    with asking(store, "production") as edit:
        edit.set("fleet.bots.mm.labels.mode", "live")
    both = ["bot mm", "agent agent-1"]
    assert told(edit.result) == [
        (
            "production",
            "fleet.bots.mm.labels.mode",
            b'"paper"',
            b'"live"',
            ["every reader", "bot mm", "bot mr", both[1]],
        ),
        ("production", "notes.extra", None, b"true", both),
        ("production", "notes.size", b"1", b"5", both),
    ]
    assert [reader.labels for _, reader in edit.result.readers if reader.kind == "agent"] == [
        {"bot": "mm", "mode": "live"}
    ]


def test_what_changes_nothing_has_no_impact(store: Store) -> None:
    write(store, "base", {"notes.a": 1})
    with asking(store, "base") as edit:
        edit.set("notes.a", 1)
    assert (edit.result.effects, edit.result.edits, edit.result.readers) == ((), (), ())


def test_an_empty_object_above_that_begins_to_show_is_told(store: Store) -> None:
    write(store, "base", {"notes.deep": {}})
    write(store, "production", {"notes.deep.a": 1, "notes.deep.b": 2})
    with asking(store, "production") as edit:
        edit.unset("notes.deep")
    assert [(one.path, one.old, one.new) for one in edit.result.effects] == [
        ("notes.deep", None, b"{}"),
        ("notes.deep.a", b"1", None),
        ("notes.deep.b", b"2", None),
    ]
