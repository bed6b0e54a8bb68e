"""Checking: every problem of a document at once, each with its path, rule, value and remedy."""

from __future__ import annotations

from trimtab import categories
from trimtab.model.canonical import Json
from trimtab.model.documents import BUILT_IN, METADATA
from trimtab.model.problems import MASK, Problem


def told(kind: str, value: Json, path: str) -> dict[str, Problem]:
    return {one.path: one for one in categories.check(kind, value, path)}


def test_every_built_in_type_of_document_has_a_model() -> None:
    assert set(categories.MODELS) == {*BUILT_IN.values(), METADATA}


def test_a_type_that_is_not_ours_has_no_problems() -> None:
    assert categories.check("kitchen", {"anything": 1}, "kitchen.sink") == []


def test_all_problems_are_told_at_once() -> None:
    found = told("risk_limits", {"max_leverage": 0, "max_corelation": 0.5, "max_daily_loss": "5%"}, "risk.global")
    assert {path: one.rule for path, one in found.items()} == {
        "risk.global.max_leverage": "range",
        "risk.global.max_corelation": "unknown-field",
        "risk.global.max_daily_loss": "type",
    }
    assert found["risk.global.max_corelation"].remedy == "Did you mean max_correlation?"
    assert found["risk.global.max_daily_loss"].remedy == "Write 0.05"
    assert found["risk.global.max_leverage"].value == "0"


def test_50_where_a_half_is_meant_is_explained() -> None:
    (found,) = categories.check("risk_limits", {"max_correlation": 50}, "risk.global")
    assert found.rule == "unit"
    assert found.why == "50 is no ratio: ratios are fractions of 1, 50 % is 0.5"


def test_the_value_of_a_secret_is_never_shown() -> None:
    (found,) = categories.check("notifications", {"telegram_token": 1234}, "notifications")
    assert (found.rule, found.value) == ("type", MASK)
    assert "1234" not in str(found)
