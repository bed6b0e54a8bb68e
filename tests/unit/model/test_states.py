from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_strategies import World, as_edit, as_item, loose_items, worlds
from trimtab.model import items, paths, states
from trimtab.model.errors import PathError, ValueRefused
from trimtab.model.items import Item, LeafEdit
from trimtab.model.states import State
from trimtab.model.structure import Lineage


def _sorted_items(world: World) -> list[Item]:
    depth = world.environments.index
    return sorted(world.model_items(), key=lambda item: (depth(item.environment), item.layer, paths.parse(item.path)))


@given(worlds(conflicting=True))
def test_a_state_gives_back_its_items_in_the_order_of_a_snapshot(world: World) -> None:
    state = states.build(world.lineage, world.model_items())
    assert list(state.items()) == _sorted_items(world)
    assert state.count == len(world.items)
    for environment in world.environments:
        own = [item for item in _sorted_items(world) if item.environment == environment]
        assert list(state.items(environment)) == own


@given(worlds(conflicting=True), st.data())
def test_applying_edits_equals_building_from_scratch_checksum_included(world: World, data: st.DataObject) -> None:
    oracle = {item.place: item for item in world.items}
    state = states.build(world.lineage, world.model_items())
    for _ in range(data.draw(st.integers(0, 6))):
        environment = data.draw(st.sampled_from(world.environments))
        drawn = data.draw(st.lists(loose_items([environment], world.dimensions), max_size=4))
        edits: list[LeafEdit] = []
        for item in {item.place: item for item in drawn}.values():
            remove = data.draw(st.booleans())
            edits.append(as_edit(item, remove=remove))
            if remove:
                oracle.pop(item.place, None)
            else:
                oracle[item.place] = item
        state = state.apply(environment, edits)
    rebuilt = states.build(world.lineage, [as_item(item) for item in oracle.values()])
    assert (state.checksum, state.count) == (rebuilt.checksum, rebuilt.count)
    assert list(state.items()) == list(rebuilt.items())
    assert set(state.trees) == set(rebuilt.trees)


@given(worlds(), st.data())
def test_a_part_holds_what_the_state_holds_and_its_checksum_moves_by_as_much(world: World, data: st.DataObject) -> None:
    whole, part = (make(world.lineage, world.model_items()) for make in (states.build, states.part))
    assert (part.trees, part.count, part.lineage) == (whole.trees, whole.count, whole.lineage)
    environment = data.draw(st.sampled_from(world.environments))
    drawn = data.draw(st.lists(loose_items([environment], world.dimensions), max_size=4))
    edits = [as_edit(item, remove=data.draw(st.booleans())) for item in drawn]
    told, moved = (
        int.from_bytes(one.apply(environment, edits).checksum, "big") - int.from_bytes(one.checksum, "big")
        for one in (whole, part)
    )
    assert (told - moved) % 2**256 == 0


@given(worlds(conflicting=True))
def test_content_and_below_answer_for_one_layer(world: World) -> None:
    state = states.build(world.lineage, world.model_items())
    for item in world.model_items():
        assert state.content(item.environment, item.layer, item.path) == item.content
        expected = [
            (other.path, other.content)
            for other in _sorted_items(world)
            if (other.environment, other.layer) == (item.environment, item.layer)
            and (other.path == item.path or paths.is_below(other.path, item.path))
        ]
        assert state.below(item.environment, item.layer, item.path) == expected
    assert state.content(world.environments[0], "bot=nobody", "a") is None
    assert state.below(world.environments[0], "bot=nobody", "a") == []


PLACES = [("base", "", "a", b"1"), ("base", "mode=x", "a", b"1"), ("other", "", "a", b"1")]
MORE_PLACES = [("base", "", "b", b"1"), ("base", "", "a", b"2"), ("base", "", "a", b"")]


def test_the_checksum_tells_environment_layer_path_content_and_tombstone_apart() -> None:
    assert len({Item(*place).digest() for place in PLACES + MORE_PLACES}) == 6
    assert items.digest("a", "b", "c", b"d") == Item("a", "b", "c", b"d").digest()


def test_the_checksum_of_nothing_is_zero_and_removing_everything_returns_to_it() -> None:
    lineage = Lineage(("base",))
    state = State(lineage).apply("base", [LeafEdit("", "a.b", "put", b"1"), LeafEdit("mode=x", "a", "hide")])
    assert state.checksum != items.NO_ITEMS
    emptied = state.apply("base", [LeafEdit("", "a.b", "remove"), LeafEdit("mode=x", "a", "remove")])
    assert (emptied.checksum, emptied.count, dict(emptied.trees)) == (items.NO_ITEMS, 0, {})


def test_a_value_splits_into_its_leaves() -> None:
    value: dict[str, object] = {"b": {"x y": [1, {"z": 2}], "e": {}}, "a": None}
    expected = {('r.b."x y"', b'[1,{"z":2}]'), ("r.a", b"null"), ("r.b.e", b"{}")}
    assert set(items.leaves("r", value)) == expected
    assert items.leaves("r", {}) == [("r", b"{}")]


def test_a_value_that_cannot_be_stored_is_refused_with_its_path() -> None:
    with pytest.raises(ValueRefused, match=r"The value at r\.a is refused.*NaN"):
        items.leaves("r", {"a": float("nan")})
    with pytest.raises(ValueRefused, match="at most 65536 are allowed"):
        items.leaves("r", {"a": "x" * 65535})
    assert len(items.leaves("r", "x" * 65534)[0][1]) == 65536
    with pytest.raises(ValueRefused, match="keys are strings"):
        items.leaves("r", {1: 2})
    with pytest.raises(PathError):
        items.leaves("r", {"": 2})


def test_a_value_nested_without_end_is_refused_and_does_not_exhaust_the_stack() -> None:
    endless: dict[str, object] = {}
    endless["a"] = endless
    with pytest.raises(PathError, match="33 segments"):
        items.leaves("r", endless)
