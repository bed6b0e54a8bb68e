from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_oracle import OracleItem, label_sets, matches, rank
from trimtab.model import layers, structure
from trimtab.model.errors import EnvironmentNotFound, LayerError, StructureRefused, TrimtabError
from trimtab.model.structure import Forest, Lineage

DIMENSIONS = ["region", "mode", "bot"]
selectors = st.dictionaries(st.sampled_from(DIMENSIONS), st.sampled_from(["x", "y"]))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        ("common", ""),
        ("mode=live", "mode=live"),
        ("region=ny4,mode=live", "mode=live,region=ny4"),
        (" region = ny4 , mode=live", "mode=live,region=ny4"),
    ],
)
def test_a_layer_has_one_canonical_text(text: str, canonical: str) -> None:
    assert layers.parse(text).text == canonical
    assert layers.parse(layers.parse(text).text) == layers.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("live", "a label is written dimension=label"),
        ("mode=", "a label is 1 to 128 of"),
        ("=live", "it is lower-case letters"),
        ("Mode=live", "it is lower-case letters"),
        ("mode=live,", "a label is written dimension=label"),
        ("mode=live,mode=paper", "a dimension stands twice"),
        ("mode=a b", "a label is 1 to 128 of"),
        ("mode=\u202ea", "a label is 1 to 128 of"),
        ("mode=" + "a" * 129, "a label is 1 to 128 of"),
        ("mode=a=b", "a label is 1 to 128 of"),
    ],
)
def test_a_layer_outside_the_grammar_is_refused(text: str, said: str) -> None:
    with pytest.raises(LayerError) as refused:
        layers.parse(text)
    assert said in str(refused.value)


def test_labels_that_are_no_strings_are_refused_and_not_a_type_error() -> None:
    with pytest.raises(LayerError):
        layers.check_label("mode", 3)
    with pytest.raises(LayerError):
        layers.check_label(None, "live")


@given(selectors, selectors)
def test_two_layers_can_meet_where_some_reader_sees_both(one: dict[str, str], two: dict[str, str]) -> None:
    expected = any(matches(one, labels) and matches(two, labels) for labels in label_sets(DIMENSIONS, ["x", "y"]))
    assert layers.of(one).can_meet(layers.of(two)) == expected


@given(selectors, selectors, st.permutations(DIMENSIONS), st.integers(0, 2), st.integers(0, 2))
def test_rank_is_the_selector_from_the_most_specific_dimension_down_then_the_nearest_environment(
    one: dict[str, str], two: dict[str, str], dimensions: list[str], near: int, far: int
) -> None:
    environments = ["base", "staging", "production"]
    lineage = Lineage(tuple(environments), tuple(dimensions))
    first = OracleItem(environments[near], one, ("a",), 1)
    second = OracleItem(environments[far], two, ("a",), 1)
    ours = lineage.rank(first.environment, layers.of(one)), lineage.rank(second.environment, layers.of(two))
    theirs = rank(first, environments, dimensions), rank(second, environments, dimensions)
    assert (ours[0] < ours[1], ours[0] == ours[1]) == (theirs[0] < theirs[1], theirs[0] == theirs[1])


def test_a_process_brings_identity_labels_only() -> None:
    assert layers.check_identity({"node": "n1", "bot": "mm-btc"}) == {"node": "n1", "bot": "mm-btc"}
    with pytest.raises(LayerError, match=r"Set fleet\.bots"):
        layers.check_identity({"mode": "live"})


def test_a_selector_on_an_undeclared_dimension_is_refused_with_the_nearest_name() -> None:
    lineage = Lineage(("base",), ("region", "mode"))
    lineage.check_selector(layers.parse("mode=live"))
    with pytest.raises(LayerError, match="Did you mean region"):
        lineage.check_selector(layers.parse("regin=ny4"))


FOREST = Forest(
    {"base": None, "development": "base", "production": "base", "paper": "production", "lab": None},
    {"base": ("region", "mode"), "lab": ("bot",)},
)


def test_a_lineage_goes_from_the_root_and_brings_the_roots_dimensions() -> None:
    assert FOREST.lineage("paper") == Lineage(("base", "production", "paper"), ("region", "mode"))
    assert FOREST.lineage("lab") == Lineage(("lab",), ("bot",))


def test_a_commit_reaches_the_environment_and_all_that_inherit_from_it() -> None:
    assert FOREST.reached("base") == ("base", "development", "paper", "production")
    assert FOREST.reached("production") == ("paper", "production")
    assert FOREST.reached("lab") == ("lab",)


def test_an_unknown_environment_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(EnvironmentNotFound, match="Did you mean production"):
        FOREST.lineage("prodution")
    with pytest.raises(EnvironmentNotFound, match="Known are: base, development, lab, paper, production"):
        FOREST.lineage("x")


def _long() -> Forest:
    forest = Forest({}, {}).with_environment("e0", None)
    for number in range(1, 17):
        forest = forest.with_environment(f"e{number}", f"e{number - 1}")
    return forest


REFUSALS: dict[str, tuple[Callable[[], object], type[TrimtabError], str]] = {
    "a cycle": (lambda: FOREST.with_environment("base", "paper"), StructureRefused, "that would be a cycle"),
    "itself": (lambda: FOREST.with_environment("paper", "paper"), StructureRefused, "that would be a cycle"),
    "no parent": (lambda: FOREST.with_environment("new", "bass"), EnvironmentNotFound, "Did you mean base"),
    "dimensions below": (
        lambda: FOREST.with_environment("new", "base", ("bot",)),
        StructureRefused,
        "only a root does",
    ),
    "a name": (lambda: FOREST.with_environment("New", None), StructureRefused, "lower-case letters"),
    "too long": (_long, StructureRefused, "at most 15 are allowed"),
    "dimensions twice": (lambda: structure.check_dimensions(("a", "a")), StructureRefused, "different names"),
    "no dimensions": (lambda: structure.check_dimensions(()), StructureRefused, "different names"),
    "a bad dimension": (lambda: structure.check_dimensions(("A",)), LayerError, "lower-case letters"),
}


@pytest.mark.parametrize(("attempt", "error", "said"), REFUSALS.values(), ids=REFUSALS.keys())
def test_structure_that_cannot_be_is_refused(
    attempt: Callable[[], object], error: type[TrimtabError], said: str
) -> None:
    with pytest.raises(error) as refused:
        attempt()
    assert said in str(refused.value)


def test_an_environment_moves_with_everything_below_it() -> None:
    moved = FOREST.with_environment("production", "lab")
    assert moved.lineage("paper") == Lineage(("lab", "production", "paper"), ("bot",))
    freed = FOREST.with_environment("production", None)
    assert freed.lineage("paper") == Lineage(("production", "paper"), structure.DEFAULT_DIMENSIONS)
