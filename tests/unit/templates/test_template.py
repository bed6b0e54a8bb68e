"""What an instance is made of, and everything that is wrong with what it was given."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.templates import small
from trimtab import categories
from trimtab.model.canonical import Json
from trimtab.model.problems import MASK, DocumentsRefused, Problem
from trimtab_store.templates import Instance, definition

GIVEN = {"id": "mm", "exchange": "binance"}
TEMPLATE = definition.read(small())


def wrong(**more: object) -> list[tuple[str, str]]:
    """Path and rule of everything that is wrong with these parameters."""
    with pytest.raises(DocumentsRefused) as refused:
        TEMPLATE.instance({**GIVEN, **more})
    return [(one.path, one.rule) for one in refused.value.problems]


def test_defaults_count_where_nothing_is_given() -> None:
    made = TEMPLATE.instance(GIVEN)
    assert made.documents == {
        "strategy.mm": {
            "name": "mm on binance",
            "exchange": "binance",
            "symbols": ["BTC-USD"],
            "parameters": {"stop_loss": 0.02, "take_profit": 0.04, "order_type": "limit"},
        }
    }


def test_what_is_given_counts_before_defaults() -> None:
    made = TEMPLATE.instance({**GIVEN, "stop_loss": 0.03, "note": "slow", "symbols": ["A", "B"]})
    found: Any = made.documents["strategy.mm"]
    assert (found["symbols"], found["parameters"]["stop_loss"]) == (["A", "B"], 0.03)
    assert found["parameters"]["note"] == "slow"


def test_the_same_parameters_make_the_same_documents() -> None:
    words = {**GIVEN, "symbols": ["A"]}
    before = copy.deepcopy(words)
    assert TEMPLATE.instance(words) == TEMPLATE.instance(words)
    assert words == before


def test_an_instance_that_is_changed_changes_no_other() -> None:
    first: Any = TEMPLATE.instance(GIVEN).documents["strategy.mm"]
    first["symbols"].append("changed")
    first["parameters"]["stop_loss"] = 1
    second: Any = TEMPLATE.instance(GIVEN).documents["strategy.mm"]
    assert (second["symbols"], second["parameters"]["stop_loss"]) == (["BTC-USD"], 0.02)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(DocumentsRefused) as refused:
        TEMPLATE.instance(
            {"exchange": 5, "stop_los": 0.1, "order_type": "market", "stop_loss": 50, "symbols": ["a", 5], "note": None}
        )
    assert [(one.path, one.rule, one.remedy) for one in refused.value.problems] == [
        ("exchange", "type", ""),
        ("stop_los", "unknown-parameter", "Did you mean stop_loss?"),
        ("order_type", "not-customizable", "Leave it out, or use another template"),
        ("stop_loss", "unit", "Write 0.5"),
        ("symbols", "type", ""),
        ("note", "type", ""),
        ("id", "required", 'Give it, such as "my-first"'),
    ]


def test_a_required_parameter_must_be_given() -> None:
    with pytest.raises(DocumentsRefused, match=r'small needs it\. Give it, such as "binance"'):
        TEMPLATE.instance({"id": "mm"})


def test_the_id_is_a_parameter_of_templates_that_use_it() -> None:
    assert (TEMPLATE.takes_id, TEMPLATE.required) == (True, ("id", "exchange"))
    body = {**small()["documents"]["strategy.<id>"], "name": "x"}
    single = definition.read(small(documents={"strategy.one": body}))
    assert not single.takes_id
    with pytest.raises(DocumentsRefused, match=r"id.*has no such parameter"):
        single.instance(GIVEN)


@pytest.mark.parametrize("name", ["", "x" * 51, 5])
def test_an_id_is_a_text_of_1_to_50_characters(name: object) -> None:
    assert [path for path, _ in wrong(id=name)] == ["id"]
    assert list(TEMPLATE.instance({**GIVEN, "id": "x" * 50}).documents) == ["strategy." + "x" * 50]


def test_a_condition_that_does_not_hold_is_refused() -> None:
    assert wrong(stop_loss=0.05) == [("stop_loss", "condition")]
    assert TEMPLATE.instance({**GIVEN, "stop_loss": 0.04}).documents


def test_a_condition_over_an_unsound_parameter_is_not_asked() -> None:
    assert wrong(stop_loss="high") == [("stop_loss", "type")]


def test_what_no_json_can_hold_is_a_problem_among_others() -> None:
    assert wrong(stop_loss=float("nan"), note="a\0b") == [("stop_loss", "value"), ("note", "value")]


def test_the_documents_themselves_are_checked() -> None:
    template = definition.read(small(documents={**small()["documents"], "trading": {"max_daily_loss": -5}}))
    with pytest.raises(DocumentsRefused) as refused:
        template.instance(GIVEN, check=categories.check)
    assert [(one.path, one.rule) for one in refused.value.problems] == [("trading.max_daily_loss", "range")]


def test_an_id_that_no_path_can_hold_is_refused() -> None:
    assert wrong(id="a\nb") == [("strategy.<id>", "path")]


@pytest.mark.parametrize("other", ["strategy.<exchange>.symbols", "strategy.<exchange>"])
def test_documents_that_would_lie_in_each_other_are_refused(other: str) -> None:
    template = definition.read(small(documents={**small()["documents"], other: {"name": "x"}}))
    assert len(template.instance(GIVEN).documents) == 2
    with pytest.raises(DocumentsRefused, match=r"would lie in another one, at strategy\.mm"):
        template.instance({**GIVEN, "exchange": "mm"})


def test_an_instance_of_which_everything_is_left_out_is_refused() -> None:
    documents: Json = {"trading": {"max_position_size": "<size>"}}
    template = definition.read({"name": "a", "category": "trading", "optional": ["size"], "documents": documents})
    assert template.instance({"size": 0.1}).documents == {"trading": {"max_position_size": 0.1}}
    with pytest.raises(DocumentsRefused, match="no document to make"):
        template.instance()


def test_a_secret_is_neither_said_nor_shown() -> None:
    parameters = {**small()["parameters"], "note": {"type": "text", "max_length": 8, "secret": True}}
    template = definition.read(small(parameters=parameters))
    with pytest.raises(DocumentsRefused) as refused:
        template.instance({**GIVEN, "note": "much-too-long"})
    assert "much-too" not in str(refused.value)
    made = template.instance({**GIVEN, "note": "s3cret"})
    shown: Any = made.shown()
    kept: Any = made.documents
    assert (shown["strategy.mm"]["parameters"]["note"], kept["strategy.mm"]["parameters"]["note"]) == (MASK, "s3cret")
    assert "s3cret" not in str(shown)
    assert not template.instance({**GIVEN, "note": "SECURE:k"}).secrets


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
NAMES = st.sampled_from(["id", "exchange", "stop_loss", "take_profit", "symbols", "note", "order_type", "other"])


def tried(words: dict[str, Any]) -> tuple[Instance | None, tuple[Problem, ...]]:
    try:
        return TEMPLATE.instance(words), ()
    except DocumentsRefused as refused:
        return None, refused.problems


@given(words=st.dictionaries(NAMES, VALUES))
@settings(max_examples=300, deadline=None)
def test_whatever_is_given_is_refused_with_reasons_or_makes_what_was_said(words: dict[str, Any]) -> None:
    made, problems = tried(words)
    assert all(one.path and one.rule and one.why for one in problems)
    if made is None:
        assert problems
        return
    found: Any = next(iter(made.documents.values()))
    assert found["exchange"] == words["exchange"]
    assert 0 < found["parameters"]["stop_loss"] <= found["parameters"]["take_profit"] <= 1
    assert found["parameters"]["order_type"] == "limit"
