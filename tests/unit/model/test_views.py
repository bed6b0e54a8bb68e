from __future__ import annotations

import operator
import pickle
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_strategies import World, as_edit, json_values, loose_items, readers, worlds
from trimtab.model import canonical, paths, resolution, states, values, views
from trimtab.model.errors import PathError, PathNotFound
from trimtab.model.items import Item, LeafEdit
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab.model.values import Document, Value
from trimtab.model.views import View


def _exact(value: Value | Absent) -> bytes | None:
    return None if isinstance(value, Absent) else canonical.encode(values.thaw(value))


def _index(view: View) -> dict[str, bytes | None]:
    return {path: _exact(value) for path, value in view.index.items()}


def _expected_index(tree: Document, above: str = "") -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for segment, value in tree.items():
        path = paths.child(above, segment)
        found[path] = _exact(value)
        if isinstance(value, Document):
            found.update(_expected_index(value, path))
    return found


def _thawed(value: Value) -> Any:
    return values.thaw(value)


def _leaves(view: View) -> dict[str, bytes | None]:
    return {path: _exact(view.index[path]) for path in view.leaf_paths()}


@given(st.data(), worlds(conflicting=True))
def test_a_view_indexes_every_leaf_and_every_document_of_the_resolved_tree(data: st.DataObject, world: World) -> None:
    labels = data.draw(readers(world))
    state = states.build(world.lineage, world.model_items())
    view = views.build(state, labels)
    root = resolution.resolve_all(state, labels)
    assert _exact(view.root) == _exact(root)
    assert _index(view) == _expected_index(root)
    assert len(view.index) == len(_index(view))
    leaves = [path for path, value in view.index.items() if not isinstance(value, Document) or not value]
    assert sorted(view.leaf_paths()) == sorted(leaves)
    assert sorted(view.categories()) == sorted({paths.write(paths.parse(path)[0]) for path in leaves})


@given(st.data(), worlds(conflicting=True))
def test_advancing_a_view_equals_building_it_anew_and_reports_exactly_what_differs(
    data: st.DataObject, world: World
) -> None:
    labels = data.draw(readers(world))
    state = states.build(world.lineage, world.model_items())
    view = views.build(state, labels)
    for _ in range(data.draw(st.integers(1, 6))):
        for path in data.draw(st.lists(st.sampled_from([*view.index, "nowhere"]))):
            view.index.get(path)  # what was read before must make no difference
        environment = data.draw(st.sampled_from(world.environments))
        drawn = data.draw(st.lists(loose_items([environment], world.dimensions), min_size=1, max_size=4))
        edits = [as_edit(item, remove=data.draw(st.booleans())) for item in {i.place: i for i in drawn}.values()]
        state = state.apply(environment, edits)
        before = _leaves(view)
        advanced, differing = views.advance(view, state, [edit.path for edit in edits])
        rebuilt = views.build(state, labels)
        assert advanced.order == rebuilt.order
        expected_index = _index(rebuilt)
        assert _index(advanced) == expected_index
        assert _leaves(view) == before, "the old view changed"
        expected = _differences(before, _leaves(rebuilt))
        assert {path: (_exact(old), _exact(new)) for path, (old, new) in differing.items()} == expected
        assert all(old is not ABSENT or new is not ABSENT for old, new in differing.values())
        view = advanced


@given(st.data(), worlds(conflicting=True), worlds(conflicting=True))
def test_comparing_two_views_reports_exactly_what_differs(data: st.DataObject, one: World, two: World) -> None:
    old = views.build(states.build(one.lineage, one.model_items()), data.draw(readers(one)))
    new = views.build(states.build(two.lineage, two.model_items()), data.draw(readers(two)))
    found = list(views.compare_steps(old, new))[-1]
    assert found is not None
    compared = {path: (_exact(before), _exact(after)) for path, (before, after) in found.items()}
    assert compared == _differences(_leaves(old), _leaves(new))


def _differences(
    before: dict[str, bytes | None], after: dict[str, bytes | None]
) -> dict[str, tuple[bytes | None, bytes | None]]:
    return {
        path: (before.get(path), after.get(path))
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }


def _wide(count: int, deep: str) -> State:
    items = (Item("base", "", f"{deep}n{number:05}.{leaf}", b"1") for number in range(count) for leaf in "ab")
    return states.build(Lineage(("base",)), [*items, Item("base", "", "z.flat", b"2")])


@pytest.mark.parametrize("deep", ["", "w.", "v.w.", "u.v.w."])
def test_wide_documents_at_any_depth_build_and_advance(deep: str) -> None:
    state = _wide(2000, deep)
    view = views.build(state, {})
    assert len(view.index) == 4000 + 2000 + deep.count(".") + 2
    path = f"{deep}n00007.a"
    assert view.index[path] == 1
    changed = state.apply("base", [LeafEdit("", path, "put", b"5")])
    advanced, differing = views.advance(view, changed, [path])
    assert differing == {path: (1, 5)}
    assert (view.index[path], advanced.index[path]) == (1, 5)
    assert _thawed(advanced.index[path.rpartition(".")[0]]) == {"a": 5, "b": 1}


def test_an_index_answers_for_a_path_in_any_spelling() -> None:
    index = views.build(_wide(3, "w."), {}).index
    assert (index["w.n00001.a"], index['w."n00002".a'], index.peek("w.n00000.b")) == (1, 1, 1)
    assert (index.get("w.n00000.a"), index.get("w.none"), index.get("w.none", 7)) == (1, None, 7)
    assert ("w.n00000" in index, "w.none" in index, "no path." in index) == (True, False, False)
    assert cast("str", 3) not in index
    assert index.peek("w.none") is ABSENT
    assert bool(index)
    assert not views.empty({}).index


def test_reading_what_is_not_there_names_the_nearest_path() -> None:
    view = views.build(_wide(3, "w."), {})
    with pytest.raises(PathNotFound, match=r"Nothing is set at w\.n0001\. Did you mean w\.n00001\?"):
        view.index["w.n0001"]
    with pytest.raises(KeyError):
        view.index["elsewhere.x"]
    with pytest.raises(PathError):
        view.index["w..n"]


def test_a_difference_tells_one_from_one_point_zero_and_from_true() -> None:
    assert not views.same(1, 1.0)
    assert not views.same(1, True)  # noqa: FBT003 - the very point
    assert not views.same((1,), (1.0,))
    assert not views.same(values.freeze({"a": 0.0}), values.freeze({"a": -0.0}))
    assert views.same(values.freeze({"a": [1]}), values.freeze({"a": [1]}))
    assert not views.same(values.freeze({"a": 1}), values.freeze({"b": 1}))
    assert not views.same(ABSENT, None)


@given(json_values)
def test_what_is_frozen_thaws_to_itself(value: Any) -> None:
    frozen = values.freeze(value)
    assert canonical.encode(values.thaw(frozen)) == canonical.encode(value)
    if isinstance(frozen, Document):
        assert list(frozen) == sorted(value)
        assert sorted(frozen.segments()) == sorted(value)
        assert pickle.loads(pickle.dumps(frozen)) == frozen  # noqa: S301 - our own bytes


def test_a_document_is_read_only_and_its_copy_is_not() -> None:
    document = values.freeze({"a": {"b": [1, {"c": 2}]}})
    assert isinstance(document, Document)
    with pytest.raises(AttributeError, match="read only"):
        setattr(document, "a", 1)  # noqa: B010 - the checkers know already
    with pytest.raises(TypeError):
        operator.setitem(document, "a", 1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    copied = document.to_dict()
    copied["a"] = 5
    assert document.to_dict() == {"a": {"b": [1, {"c": 2}]}}
    assert repr(document) == "Document({'a': {'b': [1, {'c': 2}]}})"


@given(st.lists(st.tuples(st.integers(0, 150), st.none() | st.integers(0, 3)), max_size=300))
def test_a_document_with_children_set_and_removed_agrees_with_a_dict(edits: list[tuple[int, int | None]]) -> None:
    oracle: dict[str, int] = {}
    document = values.EMPTY
    for number, value in edits:
        if value is None:
            if oracle.pop(str(number), None) is not None:
                document = document.without_child(str(number))
        else:
            oracle[str(number)] = value
            document = document.with_child(str(number), value)
    assert document == oracle
    assert len(document) == len(oracle)
