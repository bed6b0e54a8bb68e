from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import states, views
from trimtab.model.canonical import Json
from trimtab.model.errors import PathError, ValueRefused
from trimtab.model.items import Item
from trimtab.model.overriding import MAX_OVERRIDES, Overrides, wanted
from trimtab.model.structure import Lineage
from trimtab.model.tightening import tightens
from trimtab.model.values import Document, Value, freeze
from trimtab.model.views import View

TREE: dict[str, Json] = {
    "risk": {"global": {"max_leverage": 3, "min_liquidity": 5000, "note": "careful"}},
    "strategy": {"mm": {"enabled": True, "symbols": ["BTC"], "parameters": {"sleep": 30}}},
}
OPEN: dict[str, Json] = {
    "permitted": True,
    "overridable": ["risk.**", "strategy.*.parameters.*", "strategy.mm.enabled", "override.**"],
    "protected": ["risk.**", "strategy.*.enabled"],
}


def view(config: Json = OPEN, tree: dict[str, Json] = TREE) -> View:
    found = wanted({**tree, "override": {"config": config}}) if config is not None else wanted(tree)
    items = [Item("base", "", path, content) for path, content in found.items()]
    return views.build(states.build(Lineage(("base",)), items), {"node": "n1"})


def over(wish: dict[str, Json], of: View | None = None) -> tuple[View, dict[str, str]]:
    made, told = Overrides(wanted(wish)).over(of or view())
    return made, {one.path: one.why for one in told}


def test_an_override_takes_the_place_of_a_value_and_leaves_its_neighbours() -> None:
    made, told = over({"risk": {"global": {"max_leverage": 1.5}}})
    assert told == {"risk.global.max_leverage": ""}
    assert made.index["risk.global.max_leverage"] == 1.5
    assert made.index["risk.global"] == freeze({"max_leverage": 1.5, "min_liquidity": 5000, "note": "careful"})
    assert made.index["strategy.mm.parameters.sleep"] == 30


@pytest.mark.parametrize("config", [None, {**OPEN, "permitted": False}, {**OPEN, "permitted": "yes"}, {}])
def test_nothing_is_overridden_unless_configuration_permits_it(config: Json) -> None:
    made, told = over({"risk": {"global": {"max_leverage": 1}}}, view(config))
    assert made.index["risk.global.max_leverage"] == 3
    assert told["risk.global.max_leverage"] == "the environment does not permit local overrides"


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"strategy": {"mm": {"symbols": ["ETH"]}}}, "does not mark"),
        ({"override": {"config": {"permitted": False}}}, "does not mark"),
        ({"risk": {"global": {"max_leverage": 4}}}, "only tighten"),
        ({"risk": {"global": {"min_liquidity": 4000}}}, "only tighten"),
        ({"risk": {"global": {"note": "careless"}}}, "only tighten"),
        ({"risk": {"global": {"max_leverage": "1"}}}, "it is a str"),
        ({"risk": {"global": {"max_leverage": True}}}, "it is a bool"),
        ({"risk": {"global": {"unheard_of": 1}}}, "there is none"),
        ({"risk": {"global": {}}}, "takes the place of a single value"),
        ({"risk": {"global": {"max_leverage": {"deep": 1}}}}, "there is none"),
    ],
)
def test_an_override_that_may_not_be_leaves_the_value_and_says_why(wish: dict[str, Json], why: str) -> None:
    before = view()
    made, told = over(wish, before)
    assert [why in one for one in told.values()] == [True]
    assert dict(made.index.items()) == dict(before.index.items())


def test_what_is_not_protected_may_be_anything_of_its_kind() -> None:
    made, told = over({"strategy": {"mm": {"parameters": {"sleep": 90.5}, "enabled": False}}})
    assert set(told.values()) == {""}
    assert made.index["strategy.mm"] == freeze({"enabled": False, "symbols": ["BTC"], "parameters": {"sleep": 90.5}})


@pytest.mark.parametrize("broken", ["risk.**", [1], ["**x"]])
def test_patterns_that_cannot_be_used_permit_nothing(broken: Json) -> None:
    made, told = over({"risk": {"global": {"max_leverage": 1}}}, view({**OPEN, "overridable": broken}))
    assert made.index["risk.global.max_leverage"] == 3
    assert "cannot be used" in told["risk.global.max_leverage"]


def test_text_is_not_told_to_the_fleet() -> None:
    told = Overrides(wanted({"a": {"key": "secret", "n": 1.5, "on": True, "list": ["secret"]}})).over(view())[1]
    assert {one.path: one.shown for one in told} == {"a.key": "***", "a.n": "1.5", "a.on": "true", "a.list": "***"}


def test_a_node_may_not_have_too_many_nor_what_is_no_path() -> None:
    with pytest.raises(ValueRefused, match=str(MAX_OVERRIDES)):
        Overrides(wanted({"risk": {f"x{number}": 1 for number in range(MAX_OVERRIDES + 1)}}))
    with pytest.raises((PathError, ValueRefused)):
        wanted({"": 1})


@pytest.mark.parametrize(
    ("path", "old", "new", "tighter"),
    [
        ("risk.global.max_leverage", 3, 2.5, True),
        ("risk.global.max_leverage", 3, 3.0, True),
        ("risk.global.max_leverage", 3, 3.1, False),
        ("risk.parameters.daily_loss_limit", "100.50", "100.49", True),
        ("risk.parameters.daily_loss_limit", "100.50", "100.51", False),
        ("risk.global.min_liquidity", 5000, 6000, True),
        ("risk.global.min_liquidity", 5000, 4999, False),
        ("strategy.x.enabled", True, False, True),
        ("strategy.x.enabled", False, True, False),
        ("mev.protection.sandwich_protection_enabled", False, True, True),
        ("mev.protection.sandwich_protection_enabled", True, False, False),
        ("strategy.x.parameters.sleep", 30, 10, False),
        ("strategy.x.parameters.sleep", 30, 30, True),
        ("bot.x.symbol", "BTC", "ETH", False),
        ("bot.x.symbol", "BTC", "BTC", True),
        ("risk.global.max_leverage", 3, "nan", False),
        ("risk.global.max_leverage", 1, True, False),
    ],
)
def test_tighter_is_what_lets_a_bot_do_less(path: str, old: Value, new: Value, *, tighter: bool) -> None:
    assert tightens(path, old, new) is tighter


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.sampled_from(["max_x", "min_x"]))
def test_of_two_limits_one_is_tighter_and_both_only_if_they_are_equal(one: float, two: float, name: str) -> None:
    there, back = tightens(f"risk.{name}", one, two), tightens(f"risk.{name}", two, one)
    assert there or back
    assert (there and back) is (one == two)


LEAVES: Any = st.dictionaries(
    st.sampled_from(["max_leverage", "min_liquidity", "note", "other"]),
    st.one_of(st.integers(0, 9000), st.floats(0, 9000), st.text(max_size=4), st.booleans(), st.none()),
    max_size=4,
)


@given(LEAVES)
def test_whatever_a_node_wants_protected_limits_are_never_looser(wish: dict[str, Json]) -> None:
    made, told = over({"risk": {"global": wish}}) if wish else (view(), {})
    seen = made.index["risk.global"]
    assert isinstance(seen, Document)
    assert seen.keys() == {"max_leverage", "min_liquidity", "note"}
    assert float(str(seen["max_leverage"])) <= 3
    assert float(str(seen["min_liquidity"])) >= 5000
    for path, why in told.items():
        name = path.rpartition(".")[2]
        assert why or seen[name] == wish[name]
