"""Finding layers by labels, against looking at each of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_strategies import World, worlds
from trimtab.model import canonical, labels, paths, resolution, states
from trimtab.model.items import Item
from trimtab_store.sight import Sight


@given(worlds(), st.data())
def test_a_reader_sees_the_same_layers_and_values_either_way(world: World, data: st.DataObject) -> None:
    state = states.build(world.lineage, world.model_items())
    reader = data.draw(st.sampled_from(world.readers))
    path = paths.join(data.draw(st.sampled_from([("a",), ("a", "b"), ("a", "c.d", "b"), ("ü",)])))
    expected = [key for key, _ in state.matching(reader)]
    assert list(Sight(state).matching(reader)) == expected
    assert [key for key in expected if key in Sight.at(state, path).matching(reader)] == list(
        Sight.at(state, path).matching(reader)
    )
    assert Sight.at(state, path).value(reader, path) == resolution.resolve_at(state, reader, path)


BOTS = st.sampled_from(["x", "y"])


@st.composite
def label_items(draw: st.DrawFn) -> Item:
    """What gives a bot a mode, somewhere."""
    environment = draw(st.sampled_from(["base", "staging", "production"]))
    layer = draw(st.sampled_from(["", "bot=x", "region=x", "bot=y,region=x"]))
    mode = draw(st.sampled_from(["paper", "live", "bad label", 5]))
    return Item(environment, layer, f"fleet.bots.{draw(BOTS)}.labels.mode", canonical.encode(mode))


@given(worlds(), st.lists(label_items(), max_size=5), BOTS, st.sampled_from([{}, {"region": "x"}]))
def test_the_labels_of_a_bot_are_those_of_the_model(
    world: World, extra: list[Item], bot: str, place: dict[str, str]
) -> None:
    own = {(one.environment, one.layer, one.path): one for one in extra if one.environment in world.environments}
    state = states.build(world.lineage, [*world.model_items(), *own.values()])
    identity = {"bot": bot, **place}
    assert Sight(state).labels(identity) == labels.effective(state, identity)
    assert Sight(state).labels(place) == place
