"""The hot face: what a read gives, and how views take each other's place."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import BuiltinMethodType

import pytest

from trimtab import cache, reader
from trimtab.model import states, views
from trimtab.model.canonical import encode
from trimtab.model.errors import PathError, PathNotFound, RequirementFailed
from trimtab.model.items import Item
from trimtab.model.links import Position
from trimtab.model.structure import Lineage
from trimtab.model.values import Document
from trimtab.model.views import View
from trimtab.reader import Held, Reader, hold
from trimtab.resolving import Resolved


def as_view(view: Resolved) -> View:
    assert isinstance(view, View)
    return view


def held(values: Mapping[str, object], revision: int = 1) -> Held:
    state = states.build(
        Lineage(("base",)), [Item("base", "", path, encode(value)) for path, value in sorted(values.items())]
    )
    return hold(views.build(state, {"bot": "a"}), Position(1, revision), bytes([revision % 256]) * 32)


def reading(values: Mapping[str, object], revision: int = 1) -> Reader:
    made = Reader()
    made.start_reading()
    made.swap(held(values, revision))
    return made


def follow(subject: Reader, values: Mapping[str, object], revision: int) -> None:
    new = held(values, revision)
    differences = next(
        step for step in views.compare_steps(as_view(subject.held.view), as_view(new.view)) if step is not None
    )
    subject.swap(subject.held.following(new.view, new.position, new.hash, differences))


def test_a_leaf_a_subtree_and_an_array() -> None:
    subject = reading({"risk.global.max_leverage": 3.0, "risk.global.names": ["a", "b"]})
    assert subject["risk.global.max_leverage"] == 3.0
    assert subject["risk.global.names"] == ("a", "b")
    branch = subject["risk.global"]
    assert isinstance(branch, Document)
    assert branch.to_dict() == {"max_leverage": 3.0, "names": ["a", "b"]}


def test_the_second_read_runs_no_python_code() -> None:
    subject = reading({"a.b": 1})
    assert subject["a.b"] == 1
    method: object = type(subject).__dict__["__getitem__"]
    assert isinstance(method, BuiltinMethodType)
    assert method.__self__ is subject.held.cache
    assert dict.__contains__(subject.held.cache, "a.b")


def test_every_spelling_of_a_path_is_read() -> None:
    subject = reading({'data."x.y".z': 1})
    assert subject['"data"."x.y"."z"'] == 1
    assert '"data"."x.y"' in subject
    assert subject.get('"data".missing') is None


def test_a_missing_path_names_the_nearest_one() -> None:
    subject = reading({"risk.global.max_leverage": 3.0})
    with pytest.raises(PathNotFound, match=r"risk\.global\.max_leverage\?"):
        subject["risk.global.max_levrage"]
    with pytest.raises(KeyError):
        subject["nothing.like.it"]


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(PathError):
        reading({"a": 1})["a..b"]


def test_get_gives_the_default_only_where_nothing_is() -> None:
    subject = reading({"a.none": None, "a.zero": 0})
    assert subject.get("a.none", 7) is None
    assert subject.get("a.zero", 7) == 0
    assert subject.get("a.missing", 7) == 7
    assert subject.get("a.missing") is None


def test_in_knows_leaves_and_subtrees() -> None:
    subject = reading({"a.b": None})
    assert "a.b" in subject
    assert "a" in subject
    assert "a.c" not in subject


def test_a_swap_changes_what_is_read_and_keeps_what_was_read() -> None:
    subject = reading({"a.b": 1, "c.d": 5})
    assert [subject["a.b"], subject["c.d"], subject["a"]] == [1, 5, {"b": 1}]
    follow(subject, {"a.b": 2, "c.d": 5}, 2)
    assert dict.__contains__(subject.held.cache, "c.d")
    assert [subject["a.b"], subject["c.d"], subject["a"]] == [2, 5, {"b": 2}]
    assert (subject.revision, subject.epoch, subject.hash) == (2, 1, "02" * 32)


def test_two_readers_do_not_share_what_they_hold() -> None:
    one, two = reading({"a": 1}), reading({"a": 2}, 9)
    assert (one["a"], two["a"], one.revision, two.revision) == (1, 2, 1, 9)


def test_a_full_cache_starts_empty_at_the_next_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CACHED", 2)
    subject = reading({"a": 1, "b": 2, "c": 3})
    assert [subject[path] for path in ("a", "b", "c", "c")] == [1, 2, 3, 3]
    assert len(subject.held.cache) == 2
    follow(subject, {"a": 1, "b": 2, "c": 3}, 2)
    assert len(subject.held.cache) == 0
    assert subject["c"] == 3


def test_a_large_change_forgets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "FORGOTTEN", 1)
    subject = reading({"a": 1, "b": 2, "c": 3})
    assert subject["c"] == 3
    follow(subject, {"a": 2, "b": 3, "c": 3}, 2)
    assert len(subject.held.cache) == 0


def test_many_swaps_renew_the_class_and_stay_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "SWAPS_PER_CLASS", 3)
    subject = reading({"a": 0})
    classes = {type(subject)}
    for revision in range(2, 12):
        follow(subject, {"a": revision}, revision)
        classes.add(type(subject))
        assert (subject["a"], subject.revision) == (revision, revision)
    assert len(classes) > 2
    assert {one.__name__ for one in classes} == {"Reader"}


def test_a_pin_stays_as_it_is() -> None:
    subject = reading({"a.b": 1})
    pin = subject.pinned()
    with pin as view:
        follow(subject, {"a.b": 2}, 2)
        assert (view["a.b"], subject["a.b"]) == (1, 2)
    assert (pin["a.b"], pin.get("a.b"), pin.get("x", 3), "a" in pin, 5 in pin) == (1, 1, 3, True, False)
    assert (pin.revision, pin.epoch, pin.hash, dict(pin.labels)) == (1, 1, "01" * 32, {"bot": "a"})
    assert isinstance(pin, Mapping)
    assert (sorted(pin), len(pin), sorted(pin.keys())) == (["a", "a.b"], 2, ["a", "a.b"])
    assert dict(pin.items()) == {"a": {"b": 1}, "a.b": 1}
    with pytest.raises(PathNotFound):
        pin["a.c"]


def test_one_view_has_one_pin() -> None:
    subject = reading({"a": 1})
    assert subject.pinned() is subject.pinned()


def test_nothing_is_read_while_a_view_is_withheld() -> None:
    subject = reading({"a": 1})
    before = subject.pinned()
    assert subject["a"] == 1
    subject.withhold("mode=paper is required, configuration says live")
    for read in (
        lambda: subject["a"],
        lambda: subject.get("a", 0),
        lambda: "a" in subject,
        subject.pinned,
    ):
        with pytest.raises(RequirementFailed, match="mode=paper"):
            read()
    assert (before["a"], subject.revision) == (1, 1)
    follow(subject, {"a": 2}, 2)
    assert (subject["a"], subject.pinned()["a"], subject.held.withheld) == (2, 2, "")


def test_revision_and_value_are_never_of_two_views() -> None:
    subject = reading({"a": 0}, 0)
    done = threading.Event()
    torn: list[tuple[int, object, int]] = []

    def read() -> None:
        while not done.is_set():
            pin = subject.pinned()
            before, value, after = subject.revision, subject["a"], subject.revision
            if pin["a"] != pin.revision or not before <= int(str(value)) <= after:
                torn.append((before, value, after))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for revision in range(1, 600):
        follow(subject, {"a": revision}, revision)
    done.set()
    for thread in threads:
        thread.join()
    assert torn == []


def test_assignments_of_one_swap_are_seen_together() -> None:
    class Slot:
        value = 0

    slots = [Slot() for _ in range(200)]
    done = threading.Event()
    torn: list[set[int]] = []

    def look() -> None:
        while not done.is_set():
            first = slots[0].value
            seen = {slot.value for slot in slots}
            last = slots[-1].value
            if first == last and seen != {first}:
                torn.append(seen)

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(1, 3_000):
        reader.assign_at_once([(slot, "value", number) for slot in slots])
    done.set()
    thread.join()
    assert torn == []


def test_what_was_read_above_a_change_is_renewed_and_nothing_else_is_resolved() -> None:
    subject = reading({"a.b.c": 1, "a.b.d": 2, "a.e": 3, "f": 4})
    for path in ("a", "a.b", "a.b.c", "f"):
        assert subject[path] is not None
    untouched = subject["a.e"]
    new = held({"a.b.c": 9, "a.b.d": 2, "a.e": 3, "f": 4}, 2)
    subject.swap(subject.held.following(new.view, new.position, new.hash, {"a.b.c": (1, 9)}))
    kept = dict(subject.held.cache)
    assert kept == {"a": {"b": {"c": 9, "d": 2}, "e": 3}, "a.b": {"c": 9, "d": 2}, "a.b.c": 9, "a.e": untouched, "f": 4}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a.b": 1}, {"a.b": 1, "a.c": 2}),
        ({"a.b": 1, "a.c": 2}, {"a.b": 1}),
        ({"a.b": 1}, {"a.b.c": 1}),
        ({"a.b.c": 1}, {"a.b": 1}),
        ({"a.b.c": 1, "x": 1}, {"x": 1}),
        ({"x": 1}, {"a.b.c": 1, "x": 1}),
        ({"a.b.c": 1}, {"a.b": {}}),
        ({"a.b": {}}, {"a.b.c": 1}),
        ({"a.b": {}}, {"a.b": [1]}),
    ],
)
def test_a_cache_never_says_anything_else_than_its_view(before: dict[str, object], after: dict[str, object]) -> None:
    one, two = held(before), held(after, 2)
    subject = reading(before)
    every = [*one.view.index, *two.view.index]
    for path in every:
        subject.get(path)
    differences = next(step for step in views.compare_steps(as_view(one.view), as_view(two.view)) if step is not None)
    subject.swap(subject.held.following(two.view, two.position, two.hash, differences))
    assert {path: subject.get(path, "absent") for path in every} == {
        path: as_view(two.view).index.get(path, "absent") for path in every
    }
