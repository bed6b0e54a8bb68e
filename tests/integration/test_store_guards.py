"""Guards on a real store: what they refuse, what force lets past, and where its reason can be read afterwards."""

from __future__ import annotations

import psycopg

from tests.support.servers import Database
from trimtab.model import changes
from trimtab_store.store import Store


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
