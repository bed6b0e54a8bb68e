"""The writer refuses what would make a snapshot larger than readers take, by a limit of 64 KiB instead of 1 GiB."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from tests.integration.conftest import ConnectStore
from trimtab.model import canonical, errors, snapshots
from trimtab_store import sizes
from trimtab_store.editing import Request
from trimtab_store.operations import leaves_of
from trimtab_store.sizes import HEADER_BYTES, Sizes
from trimtab_store.snapshots import newest
from trimtab_store.store import Store

LIMIT: Final = 64 * 1024


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit as it is here."""
    monkeypatch.setattr(canonical, "MAX_SNAPSHOT_BYTES", LIMIT)


def write(store: Store, environment: str, path: str, size: int) -> bool:
    """Put so many bytes; False if that was refused."""
    with contextlib.suppress(errors.ValueRefused):
        with store.edit(environment, author="test") as edit:
            edit.set(path, "x" * (size - 2))
        return True
    return False


def length(store: Store, environment: str) -> int:
    """How long a snapshot of the line is now."""
    return len(snapshots.encode(store.database.snapshot(lambda inside: newest(inside, environment))))


def head(store: Store) -> int:
    return store.history.environment("production", limit=1)[0].position.revision


@pytest.mark.usefixtures("small")
def test_a_line_grows_up_to_the_limit_and_no_further(store: Store) -> None:
    assert fill(store, 8_000) == 7
    assert LIMIT - 8_000 - HEADER_BYTES < length(store, "production") <= LIMIT
    before = (head(store), length(store, "production"))
    for size in (9_000, 20_000):
        assert not write(store, "production", "a.more", size)
    assert (head(store), length(store, "production")) == before
    room = LIMIT - HEADER_BYTES - length(store, "production")
    if room > 0:
        assert write(store, "production", "a.more", min(room, 500))
    assert write(store, "testing", "a.b", 8_000)  # another line has room


def fill(store: Store, size: int = 6_000, path: str = "a") -> int:
    """Make production as large as may be, by items of this size; their number."""
    return next(count for count in range(100) if not write(store, "production", f"{path}.n{count}", size))


def put(store: Store) -> None:
    with store.edit("production", author="test") as edit:
        edit.set("a.more", "x" * 6_000)


def merge(store: Store) -> None:
    with store.edit("production", author="test") as edit:
        edit.merge("a", {"more": "x" * 6_000, "less": 1})


def import_file(store: Store) -> None:
    file = store.export_environment("production")
    store.import_environment(file.replace(b'"n0": "', b'"n0": "' + b"x" * 6_000), author="test")


def roll_back(store: Store) -> None:
    to = head(store)
    with store.edit("production", author="test", force="nothing is to be left") as edit:
        edit.unset("a")
    with store.edit("base", author="test") as edit:
        edit.set("b.c", "x" * 6_000)
    store.rollback("production", to, author="test")


def dry_run(store: Store) -> None:
    with store.validate("production") as edit:
        edit.set("a.more", "x" * 6_000)


def edit_above(store: Store) -> None:
    with store.edit("base", author="test") as edit:
        edit.set("b.c", "x" * 6_000)


def inherit(store: Store) -> None:
    store.create_environment("other", author="test")
    assert write(store, "other", "b.c", 6_000)
    store.reparent_environment("production", "other", author="test")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("grow", [put, merge, import_file, roll_back, dry_run, edit_above, inherit])
def test_nothing_makes_a_line_larger_than_the_limit(store: Store, grow: Callable[[Store], None]) -> None:
    fill(store)
    with pytest.raises(errors.ValueRefused, match=r"production could have \d+ bytes then, at most 65536") as caught:
        grow(store)
    assert caught.value.exit_code == 4
    assert length(store, "production") <= LIMIT


@pytest.mark.usefixtures("small")
def test_an_environment_that_inherits_too_much_is_not_created(store: Store) -> None:
    fill(store)
    fill(store, 400, "s")
    with pytest.raises(errors.ValueRefused, match="at most 65536 are allowed"):
        store.create_environment("child", parent="production", author="test")
    assert "child" not in store.forest().parents


@pytest.mark.usefixtures("small")
def test_what_makes_a_line_smaller_is_always_let_through(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    count = fill(store)
    monkeypatch.setattr(canonical, "MAX_SNAPSHOT_BYTES", 1024)
    assert write(store, "production", "a.n0", 10)
    with store.edit("production", author="test") as edit:
        edit.unset("a.n1")
    with store.edit("production", author="test") as edit:
        edit.hide("a.n2")
    assert length_with(monkeypatch, store) < (count - 2) * 6_000 + 1_000


def length_with(monkeypatch: pytest.MonkeyPatch, store: Store) -> int:
    monkeypatch.setattr(canonical, "MAX_SNAPSHOT_BYTES", LIMIT)
    return length(store, "production")


@pytest.mark.usefixtures("small")
def test_what_other_writers_committed_counts(store: Store, connect_store: ConnectStore) -> None:
    other = connect_store()
    assert write(other, "production", "a.b", 100)  # knows the line while it is small
    fill(store)
    assert not write(other, "production", "c.d", 6_000)
    assert length(store, "production") <= LIMIT


@pytest.mark.usefixtures("small")
def test_writers_that_meet_close_to_the_limit_do_not_exceed_it_together(
    store: Store, connect_store: ConnectStore
) -> None:
    assert write(store, "production", "a.b", 40_000)
    writers = [connect_store(pool_size=1) for _ in range(6)]
    with ThreadPoolExecutor(len(writers)) as pool:
        asked = [pool.submit(write, one, "production", f"p{n}.x", 6_000) for n, one in enumerate(writers)]
    assert [one.result() for one in asked].count(True) == 3
    assert length(store, "production") <= LIMIT


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("held", "depends"), [(1_000, False), (58_000, True)])
def test_close_to_the_limit_a_plan_depends_on_the_whole_line(store: Store, held: int, *, depends: bool) -> None:
    assert write(store, "production", "a.b", held)
    request = Request(environment="production", author="t", reason="", operations=(leaves_of("", "a.c", 1),))
    plan = store.database.read(lambda inside: store._planner.plan(inside, request))
    assert plan.depends_on("production", "z.other") is depends


def test_far_from_the_limit_a_line_is_asked_for_once_in_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "CHANGES_PER_SECOND", 1e18)  # no time is short enough to rely on
    asked: list[str] = []
    ask = Sizes._bounds

    def counted(self: Sizes, connection: object, head: object, names: list[str]) -> object:
        asked.extend(names)
        return ask(self, connection, head, names)  # type: ignore[arg-type]

    monkeypatch.setattr(Sizes, "_bounds", counted)
    for number in range(25):  # ten of the largest changes would fill half of the limit
        with store.edit("production", author="test") as edit:
            edit.set("a.b", number)
    assert asked == ["production"] * 3
