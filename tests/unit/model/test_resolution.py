from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import model_oracle as oracle
from tests.support.model_oracle import HIDE, OracleItem
from tests.support.model_strategies import World, as_edit, as_item, content_bytes, loose_items, readers, worlds
from trimtab.model import canonical, paths, resolution, states
from trimtab.model.errors import LayerConflict
from trimtab.model.resolution import ABSENT
from trimtab.model.values import Document, thaw


def _exact(value: Any) -> bytes:
    return canonical.encode(value)


def _oracle_tree(world: World, labels: dict[str, str]) -> dict[str, Any]:
    return oracle.nest(oracle.leaves(world.items, world.environments, world.dimensions, labels))


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for segment in path:
        if not isinstance(tree, dict) or segment not in tree:
            return ABSENT
        tree = tree[segment]  # pyright: ignore[reportUnknownVariableType]
    return tree  # pyright: ignore[reportUnknownVariableType]


@given(st.data(), worlds())
def test_every_reader_sees_what_the_rules_say(data: st.DataObject, world: World) -> None:
    labels = data.draw(readers(world))
    state = states.build(world.lineage, world.model_items())
    assert _exact(resolution.resolve_all(state, labels).to_dict()) == _exact(_oracle_tree(world, labels))


@given(st.data(), worlds())
def test_resolving_one_path_agrees_with_resolving_everything(data: st.DataObject, world: World) -> None:
    labels = data.draw(readers(world))
    state = states.build(world.lineage, world.model_items())
    tree = _oracle_tree(world, labels)
    everywhere = {item.path[:length] for item in world.items for length in range(1, len(item.path) + 1)}
    for path in everywhere | {("a", "b", "a", "b"), ("nowhere",)}:
        found = resolution.resolve_at(state, labels, paths.join(path))
        expected = _at(tree, path)
        if expected is ABSENT or isinstance(found, resolution.Absent):
            assert found is expected
        else:
            assert _exact(thaw(found)) == _exact(expected)


@given(st.data(), worlds())
def test_the_winner_that_explain_names_is_the_one_that_decides(data: st.DataObject, world: World) -> None:
    labels = data.draw(readers(world))
    state = states.build(world.lineage, world.model_items())
    for path in {item.path for item in world.items}:
        said = resolution.explain(state, labels, paths.join(path))
        winners = [candidate for candidate in said if candidate.wins]
        expected = oracle.winner(world.items, world.environments, world.dimensions, labels, path)
        if expected is None:
            assert winners == []
        else:
            (won,) = winners
            assert said[0] is won
            selector = dict(won.selector.labels)
            assert (won.environment, selector, won.path, won.content) == (
                expected.environment,
                expected.selector,
                paths.join(expected.path),
                content_bytes(expected.content),
            )
        value = resolution.resolve_at(state, labels, paths.join(path))
        if not isinstance(value, resolution.Absent | Document):
            assert winners
            assert _exact(thaw(value)) == winners[0].content


@given(st.data(), worlds())
def test_explain_names_every_layer_that_has_a_say(data: st.DataObject, world: World) -> None:
    labels = data.draw(readers(world))
    path = data.draw(st.sampled_from([item.path for item in world.items] or [("a",)]))
    said = resolution.explain(states.build(world.lineage, world.model_items()), labels, paths.join(path))
    expected = {
        (item.environment, tuple(sorted(item.selector.items())), paths.join(item.path))
        for item in world.items
        if item.path == path or (item.content == HIDE and path[: len(item.path)] == item.path)
    }
    assert {(one.environment, one.selector.labels, one.path) for one in said} == expected
    assert len(said) == len(expected)
    assert all(one.matches == one.selector.matches(labels) for one in said)
    assert [one.matches for one in said] == sorted((one.matches for one in said), reverse=True)


@given(st.data(), worlds(max_items=8))
def test_a_put_is_refused_exactly_if_some_reader_would_see_a_value_and_a_subtree_at_one_path(
    data: st.DataObject, world: World
) -> None:
    item = data.draw(loose_items(world.environments, world.dimensions))
    kept = {**{other.place: other for other in world.items}, item.place: item}
    expected = oracle.conflicts(list(kept.values()), world.readers)
    state = states.build(world.lineage, world.model_items())
    after = state.apply(item.environment, [as_edit(item, remove=False)])
    edit = as_edit(item, remove=False)
    try:
        resolution.check_conflicts(after, item.environment, edit.layer, edit.path)
    except LayerConflict:
        assert expected
    else:
        assert not expected


def test_a_conflict_names_both_places() -> None:
    world = World(
        ["base", "production"],
        ["mode"],
        [OracleItem("base", {}, ("risk", "limits"), 5), OracleItem("production", {"mode": "x"}, ("risk",), {})],
    )
    state = states.build(world.lineage, world.model_items())
    clash = as_item(OracleItem("production", {"mode": "x"}, ("risk", "limits", "max"), 1))
    after = state.apply(
        "production", [as_edit(OracleItem("production", {"mode": "x"}, ("risk", "limits", "max"), 1), remove=False)]
    )
    with pytest.raises(LayerConflict) as refused:
        resolution.check_conflicts(after, "production", clash.layer, clash.path)
    assert str(refused.value) == (
        "risk.limits cannot be a value and hold risk.limits.max as well: base (common) has a value at risk.limits, "
        "production (mode=x) has an item at risk.limits.max, and one reader can see both. Unset one of the two first."
    )
