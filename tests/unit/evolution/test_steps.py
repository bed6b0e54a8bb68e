"""Upgrade steps: what each does to one layer's part, and that readers see afterwards what they saw, upgraded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support import model_oracle
from tests.support.model_oracle import HIDE, OracleItem
from tests.support.model_strategies import content_bytes
from trimtab.model import canonical, paths
from trimtab.model.canonical import Json
from trimtab.model.trees import HIDDEN
from trimtab_store.evolution import steps
from trimtab_store.evolution.steps import UpgradeRefused


def own(**fields: Any) -> dict[tuple[str, ...], bytes]:
    """A layer's part of a document, by dotted path."""
    return {paths.parse(path.replace("__", ".")): content_bytes(value) for path, value in fields.items()}


def upgraded(said: dict[str, Json], **fields: Any) -> dict[str, Any]:
    (step,) = steps.read([{"version": 2, **said}])
    return {
        paths.join(at): HIDE if content == HIDDEN else canonical.trusted(content)
        for at, content in step.apply(own(**fields)).items()
    }


@pytest.mark.parametrize(
    ("said", "fields", "expected"),
    [
        ({"rename": "size", "as": "base"}, {"size": 1, "x": 2}, {"base": 1, "x": 2}),
        ({"rename": "size", "as": "base"}, {"x": 2}, {"x": 2}),
        (
            {"rename": "a.size", "as": "base"},
            {"a__size__min": 1, "a__size__max": HIDE},
            {"a.base.min": 1, "a.base.max": HIDE},
        ),
        ({"move": "a.b", "into": "c.d"}, {"a__b": 1, "a__x": 2}, {"c.d": 1, "a.x": 2}),
        ({"move": "a.b", "into": "c.d"}, {"a": HIDE, "a__b": 1}, {"a": HIDE, "c.d": 1}),
        ({"move": "a.b", "into": "c.d"}, {"a": HIDE}, {"a": HIDE, "c.d": HIDE}),
        ({"move": "a.b", "into": "a.d"}, {"a": HIDE, "a__b": 1}, {"a": HIDE, "a.d": 1}),
        ({"convert": "stop", "factor": 0.01}, {"stop": 50}, {"stop": 0.5}),
        ({"convert": "stop", "factor": 0.01}, {"stop": "12.340"}, {"stop": "0.1234"}),
        ({"convert": "stop", "factor": 100}, {"stop": 0.07}, {"stop": 7.0}),
        ({"convert": "stop", "factor": 1000}, {"stop": 7}, {"stop": 7000}),
        ({"convert": "stop", "factor": 1000}, {"stop": HIDE}, {"stop": HIDE}),
        ({"convert": "stop", "type": "string"}, {"stop": 0.10}, {"stop": "0.1"}),
        ({"convert": "stop", "type": "number"}, {"stop": "0.25"}, {"stop": 0.25}),
        ({"convert": "stop", "type": "integer"}, {"stop": "7.0"}, {"stop": 7}),
        ({"convert": "side", "values": {"b": "buy"}}, {"side": "b"}, {"side": "buy"}),
        ({"convert": "side", "values": {"b": "buy"}}, {"side": "hold"}, {"side": "hold"}),
        ({"split": "pair", "into": ["base", "quote"], "at": "-"}, {"pair": "BTC-USD"}, {"base": "BTC", "quote": "USD"}),
        (
            {"split": "a.pair", "into": ["base", "quote"], "at": "-"},
            {"a__pair": HIDE},
            {"a.base": HIDE, "a.quote": HIDE},
        ),
        ({"default": "mode", "value": "paper"}, {"x": 1}, {"x": 1}),
    ],
)
def test_a_step_does_this_to_one_layer(said: dict[str, Json], fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert upgraded(said, **fields) == expected


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"rename": "size", "as": "base"}, {"size": 1, "base": 2}),
        ({"rename": "size", "as": "base"}, {"size": 1, "base__x": 2}),
        ({"move": "a.b", "into": "c.d"}, {"a__b": 1, "c": HIDE}),
        ({"move": "a.b", "into": "c.d"}, {"c": HIDE}),  # another layer may hold a.b, and its readers would lose it
        ({"move": "a.b", "into": "c.d"}, {"a__b": 1, "c": 5}),
        ({"convert": "stop", "factor": 0.01}, {"stop": "many"}),
        ({"convert": "stop", "factor": 0.01}, {"stop": True}),
        ({"convert": "stop", "factor": 0.01}, {"stop__x": 1}),
        ({"convert": "stop", "factor": 3}, {"stop": 0.33333333333333337}),  # no double is the product
        ({"convert": "stop", "type": "integer"}, {"stop": 0.5}),
        ({"convert": "stop", "type": "string"}, {"stop": [1]}),
        ({"split": "pair", "into": ["base", "quote"], "at": "-"}, {"pair": "BTC"}),
        ({"split": "pair", "into": ["base", "quote"], "at": "-"}, {"pair": "A-B-C"}),
        ({"split": "pair", "into": ["base", "quote"], "at": "-"}, {"pair": "A-B", "quote": 1}),
    ],
)
def test_what_a_step_cannot_be_applied_to_is_refused(said: dict[str, Json], fields: dict[str, Any]) -> None:
    with pytest.raises(UpgradeRefused):
        upgraded(said, **fields)


@pytest.mark.parametrize(
    "said",
    [
        [],
        {},
        {"rename": "a"},
        {"rename": "a", "as": "a"},
        {"rename": "a", "as": 5},
        {"rename": "a..b", "as": "c"},
        {"rename": "a", "as": "b", "move": "c", "into": "d"},
        {"rename": "a", "as": "b", "version": 1},
        {"rename": "a", "as": "b", "version": True},
        {"rename": "a", "as": "b", "into": "c"},
        {"move": "a", "into": "a.b"},
        {"move": "a.b", "into": "a"},
        {"default": "a"},
        {"default": "a", "value": {"b": 1}},
        {"convert": "a"},
        {"convert": "a", "factor": 2, "type": "string"},
        {"convert": "a", "factor": "x"},
        {"convert": "a", "type": "object"},
        {"convert": "a", "values": ["b"]},
        {"split": "a", "into": [], "at": "-"},
        {"split": "a", "into": ["b", "b"], "at": "-"},
        {"split": "a", "into": ["b"], "at": ""},
    ],
)
def test_a_step_that_makes_no_sense_is_refused_with_its_number(said: Any) -> None:
    fine: Json = {"version": 2, "rename": "x", "as": "y"}
    with pytest.raises(UpgradeRefused, match="Upgrade step 2 is refused"):
        steps.read([fine, {"version": 2, **said} if isinstance(said, dict) else said])


def test_steps_go_by_version_and_then_as_they_are_written() -> None:
    found = steps.read([{"version": version, "rename": f"a{n}", "as": "b"} for n, version in enumerate((3, 2, 3, 2))])
    assert [(one.version, one.path) for one in found] == [(2, ("a1",)), (2, ("a3",)), (3, ("a0",)), (3, ("a2",))]


ENVIRONMENTS, DIMENSIONS = ["base", "production"], ["mode", "bot"]
READERS = model_oracle.label_sets(DIMENSIONS, ["x"])
PLACES = st.sampled_from([("a",), ("a", "b"), ("a", "b", "c"), ("a", "d"), ("e",), ("e", "f")])
ITEMS = st.builds(
    OracleItem,
    st.sampled_from(ENVIRONMENTS),
    st.dictionaries(st.sampled_from(DIMENSIONS), st.just("x"), max_size=2),
    PLACES,
    st.sampled_from([HIDE, 1, 2, 3]),
)
MOVES: list[tuple[dict[str, Json], tuple[str, ...], tuple[str, ...]]] = [
    ({"rename": "a", "as": "n"}, ("a",), ("n",)),
    ({"rename": "a.b", "as": "n"}, ("a", "b"), ("a", "n")),
    ({"move": "a.b", "into": "e.n"}, ("a", "b"), ("e", "n")),
    ({"move": "a.b", "into": "n"}, ("a", "b"), ("n",)),
]


@given(st.lists(ITEMS, max_size=9), st.sampled_from(MOVES))
def test_readers_see_afterwards_what_they_saw_at_its_new_place(
    found: list[OracleItem], move: tuple[dict[str, Json], tuple[str, ...], tuple[str, ...]]
) -> None:
    items = list({one.place: one for one in found}.values())
    said, old, new = move
    assume(not model_oracle.conflicts(items, READERS))
    (step,) = steps.read([{"version": 2, **said}])
    after: list[OracleItem] = []
    for environment, selector in {(one.place[0], one.place[1]) for one in items}:
        layer = [one for one in items if one.place[:2] == (environment, selector)]
        try:
            changed = step.apply({one.path: content_bytes(one.content) for one in layer})
        except UpgradeRefused:
            return
        after += [
            OracleItem(environment, layer[0].selector, at, HIDE if text == HIDDEN else canonical.trusted(text))
            for at, text in changed.items()
        ]
    for reader in READERS:
        saw, sees = (model_oracle.leaves(one, ENVIRONMENTS, DIMENSIONS, reader) for one in (items, after))
        moved = {(*new, *at[len(old) :]) if at[: len(old)] == old else at: value for at, value in saw.items()}
        assert sees == moved
