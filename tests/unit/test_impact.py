"""Impact as a function: against reading everything twice, for every reader."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support import model_oracle
from tests.support.model_oracle import OracleItem, conflicts
from tests.support.model_strategies import World, as_edit, loose_items, worlds
from trimtab.model import canonical, layers, paths, states
from trimtab.model.items import Item, LeafEdit
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab_store import impact
from trimtab_store.impact import Asked

LINEAGE = Lineage(("base", "production"), ("region", "mode", "bot"))


@st.composite
def changes(draw: st.DrawFn) -> tuple[World, list[tuple[OracleItem, bool]]]:
    """A world, and edits of its last environment after which it is one still."""
    world = draw(worlds())
    name = world.environments[-1]
    edits = {
        one.place: (one, remove)
        for one, remove in draw(
            st.lists(st.tuples(loose_items([name], world.dimensions), st.booleans()), min_size=1, max_size=4)
        )
    }
    kept: list[tuple[OracleItem, bool]] = []
    for one in edits.values():
        if not conflicts(_after(world, [*kept, one]), world.readers):
            kept.append(one)
    return world, kept


def _after(world: World, edits: list[tuple[OracleItem, bool]]) -> list[OracleItem]:
    places = {one.place for one, _ in edits}
    return [one for one in world.items if one.place not in places] + [one for one, remove in edits if not remove]


@given(changes())
def test_the_effects_are_the_differences_between_two_full_readings(
    change: tuple[World, list[tuple[OracleItem, bool]]],
) -> None:
    world, wanted = change
    before = states.build(world.lineage, world.model_items())
    edits = [as_edit(one, remove=remove) for one, remove in wanted]
    after = before.apply(world.environments[-1], edits)
    asked = [Asked("labels", layers.of(one).text, one, fixed=True) for one in world.readers]
    found = list(impact.effects(before, after, asked, impact.scopes_of(edits, before, after)))
    expected: dict[Any, set[str]] = {}
    for reader in world.readers:
        old, new = (
            model_oracle.leaves(items, world.environments, world.dimensions, reader)
            for items in (world.items, _after(world, wanted))
        )
        for path in old.keys() | new.keys():
            pair = tuple(canonical.encode(side[path]) if path in side else None for side in (old, new))
            if pair[0] != pair[1]:
                expected.setdefault((paths.join(path), *pair), set()).add(layers.of(reader).text)
    assert {(one.path, one.old, one.new): {seer.name for seer in one.readers} for one in found} == expected
    assert sum(len(one.readers) for one in found) == sum(map(len, expected.values()))


def line(values: dict[str, Any], layer: str = "", environment: str = "production") -> list[Item]:
    return [Item(environment, layer, path, canonical.encode(value)) for path, value in values.items()]


def state(*groups: list[Item]) -> State:
    return states.build(LINEAGE, [item for group in groups for item in group])


def test_a_bot_that_is_moved_is_compared_as_a_whole() -> None:
    before = state(
        line({"fleet.bots.mm.labels.mode": "paper", "fleet.bots.mr.labels.mode": "paper", "a.b": 1}),
        line({"a.b": 2, "c.d": 5}, "mode=live"),
    )
    edit = LeafEdit("", "fleet.bots.mm.labels.mode", "put", b'"live"')
    after = before.apply("production", [edit])
    readers = impact.asked(before, after, [edit], {"agent-1": {"bot": "mm", "node": "n"}, "agent-2": {"bot": "mr"}})
    assert impact.moved(before, after, readers)
    found = impact.effects(before, after, readers, impact.scopes_of([edit], before, after))
    seen = {one.path: (one.old, one.new, [str(seer) for seer in one.readers]) for one in found}
    assert seen == {
        "a.b": (b"1", b"2", ["bot mm", "agent agent-1"]),
        "c.d": (None, b"5", ["bot mm", "agent agent-1"]),
        edit.path: (b'"paper"', b'"live"', ["every reader", "bot mm", "bot mr", "agent agent-1", "agent agent-2"]),
    }


def test_bots_are_asked_at_the_places_that_an_edited_layer_names() -> None:
    before = state(line({"fleet.bots.mm.labels.mode": "paper", "a.b": 1}))
    edit = LeafEdit("region=ny4", "a.b", "put", b"2")
    readers = impact.asked(before, before.apply("production", [edit]), [edit], {})
    assert [(one.kind, one.name) for one in readers] == [
        ("labels", "region=ny4"),
        ("bot", "mm"),
        ("bot", "mm (region=ny4)"),
    ]
    found = impact.effects(before, before.apply("production", [edit]), readers, ["a.b"])
    assert [[str(seer) for seer in one.readers] for one in found] == [["region=ny4", "bot mm (region=ny4)"]]


def test_an_empty_object_that_begins_to_show_is_an_effect() -> None:
    before = state(line({"a": {}, "a.b": 1}))
    edit = LeafEdit("", "a.b", "remove")
    after = before.apply("production", [edit])
    found = impact.effects(
        before, after, [Asked("labels", "", {}, fixed=True)], impact.scopes_of([edit], before, after)
    )
    assert [(one.path, one.old, one.new) for one in found] == [("a", None, b"{}"), ("a.b", b"1", None)]
