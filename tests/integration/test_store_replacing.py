"""Rollback and import with what an edit has: `expect`, an idempotency key, urgency."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from trimtab.model import errors
from trimtab.model.values import thaw
from trimtab_store.store import Store
from trimtab_store.writer import Committed

Replaces: TypeAlias = "Callable[..., Committed]"


def write(store: Store, environment: str, path: str, value: object) -> int:
    with store.edit(environment, author="test") as edit:
        edit.set(path, value)
    return edit.committed.revision


@pytest.fixture
def past(store: Store) -> int:
    """A revision of production in which a.b is 1; now it is 2."""
    write(store, "base", "plain.global", {"x": 1})
    past = write(store, "production", "a.b", 1)
    write(store, "production", "a.b", 2)
    return past


@pytest.fixture(params=["rollback", "import"])
def replace(request: pytest.FixtureRequest, store: Store, past: int) -> Replaces:
    """Brings production's own items back to what they were in `past`, one way or the other."""
    file = store.export_environment("production", as_of=past)

    def roll_back(**words: object) -> Committed:
        return store.rollback("production", past, author="test", **words).committed  # type: ignore[arg-type]

    def import_file(**words: object) -> Committed:
        return store.import_environment(file, author="test", **words)  # type: ignore[arg-type]

    return roll_back if request.param == "rollback" else import_file


def head(store: Store) -> int:
    return store.history.environment("production", limit=1)[0].position.revision


def test_expect_holds_while_readers_of_the_environment_see_what_they_saw(store: Store, replace: Replaces) -> None:
    seen = head(store)
    write(store, "testing", "a.b", 9)
    assert replace(expect=seen).paths == ("a.b",)


@pytest.mark.parametrize("environment", ["base", "production"])
def test_expect_refuses_whatever_changed_also_through_a_parent(
    store: Store, replace: Replaces, environment: str
) -> None:
    seen = head(store)
    moved = write(store, environment, "plain.global.x", 5)
    with pytest.raises(errors.ExpectationFailed) as caught:
        replace(expect=seen)
    assert caught.value.why == f"plain.global.x in production was 1 at revision {seen} and is 5 now"
    assert (head(store), thaw(store.get("a.b", "production").value)) == (moved, 2)
    assert replace(expect=moved).created


def test_a_key_commits_once(store: Store, replace: Replaces) -> None:
    first = replace(idempotency_key="k")
    write(store, "production", "a.b", 3)
    again = replace(idempotency_key="k")
    assert (first.replayed, again.replayed, again.position, again.paths) == (False, True, first.position, ("a.b",))
    assert thaw(store.get("a.b", "production").value) == 3


def test_a_key_that_was_used_for_something_else_is_refused(store: Store, replace: Replaces) -> None:
    with store.edit("production", author="test", idempotency_key="k") as edit:
        edit.set("a.b", 1)
    with pytest.raises(errors.IdempotencyMismatch):
        replace(idempotency_key="k")
    assert head(store) == edit.committed.revision


def test_a_key_belongs_to_one_target_and_one_urgency(store: Store, past: int) -> None:
    done = store.rollback("production", past, author="test", idempotency_key="k").committed
    for to, pin, urgent in ((past + 1, False, False), (past, True, False), (past, False, True)):
        with pytest.raises(errors.IdempotencyMismatch):
            store.rollback("production", to, author="test", pin=pin, idempotency_key="k", urgent=urgent)
    assert head(store) == done.revision


@pytest.mark.parametrize("pin", [False, True])
def test_a_repeated_rollback_says_again_what_a_parent_had_changed(store: Store, past: int, *, pin: bool) -> None:
    write(store, "base", "plain.global", {"x": 7, "y": 8})
    first = store.rollback("production", past, author="test", pin=pin, idempotency_key="k")
    write(store, "base", "plain.global", {"x": 9})
    write(store, "production", "plain.global.x", 10)
    again = store.rollback("production", past, author="test", pin=pin, idempotency_key="k")
    assert [one.path for one in first.inherited] == ["plain.global.x", "plain.global.y"]
    assert first.pinned == (("plain.global.x", "plain.global.y") if pin else ())
    assert (again.committed.replayed, again.inherited, again.pinned) == (True, first.inherited, first.pinned)


def test_an_urgent_one_says_so_in_the_change(store: Store, replace: Replaces) -> None:
    done = replace(urgent=True)
    newest = store.history.environment("production", limit=1)[0]
    assert (newest.position.revision, newest.urgent) == (done.revision, True)
    write(store, "production", "a.b", 2)
    replace()
    assert not store.history.environment("production", limit=1)[0].urgent
