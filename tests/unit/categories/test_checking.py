"""Checking: every problem of a document at once, each with its path, rule, value and remedy."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.unit.categories.samples import PATHS, SOL, check, sample, with_field
from trimtab import categories
from trimtab.categories.fields import place_of
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


@pytest.mark.parametrize(
    ("kind", "field", "value", "rule", "words"),
    [
        ("risk_limits", "max_daily_loss", 8, "unit", "8 is no ratio: ratios are fractions of 1, 8 % is 0.08"),
        ("risk_limits", "max_daily_loss", 250, "unit", "250 is no ratio: ratios are fractions of 1"),
        ("bot", "broker.commission", 5, "unit", "5 is no ratio: ratios are fractions of 1, 5 % is 0.05"),
        ("bot", "broker.commission", 50, "unit", "50 is no ratio: ratios are fractions of 1"),
        ("bot", "broker.commission", 0.5, "range", "must be at least 0 and at most 0.1 (a fraction of 1)"),
        ("risk_limits", "max_daily_loss", -0.1, "range", "must be at least 0 and at most 1 (a fraction of 1)"),
        ("risk_limits", "max_daily_loss", "5%", "type", "Write 0.05"),
        ("bot", "risk_management.stop_loss_pct", "5%", "type", "Write 5"),
        ("risk_limits", "max_leverage", "3.0", "type", "Write 3.0 without quotes"),
        (
            "trader",
            "default_slippage_bps",
            0.01,
            "type",
            "Basis points are meant: as a fraction it would be 100 of them",
        ),
        ("trader", "default_slippage_bps", 5000, "range", "must be at least 1 and at most 1,000 (basis points)"),
        ("circuit_breaker", "latency_threshold_ms", 0.2, "type", "Milliseconds are meant: 0.2 s is 200 ms"),
        ("mev", "timeout_ms", 2, "unit", "these are milliseconds: 2 s is 2000 ms"),
        ("mev", "timeout_ms", 9000, "range", "must be at least 100 and at most 5,000 (milliseconds)"),
        ("circuit_breaker", "recovery_timeout_secs", 60000, "unit", "these are seconds: 60000 ms is 60 s"),
        ("circuit_breaker", "recovery_timeout_secs", 700, "range", "must be at least 10 and at most 600 (seconds)"),
        ("risk_parameters", "max_position_size", "a lot", "type", "must be a number, or a text such as 1250.50"),
        ("risk_parameters", "max_position_size", -5, "range", "must be at least 0"),
        ("bot", "timeframe", "1 minute", "choice", "must be '1m', '5m', '15m', '30m', '1h', '4h', '1d' or '1w'"),
        ("bot", "timeframe", "5min", "choice", "Did you mean 5m?"),
        ("bot", "broker.type", "Binance-Paper", "choice", "Did you mean binance_paper?"),
        ("logging", "level", "warn", "choice", "Did you mean WARNING?"),
        ("circuit_breaker", "latency_threshold_ms", 200.0, "type", "must be a whole number. Write 200"),
        ("risk_limits", "max_correlation", 1e308, "range", "must be at least 0 and at most 1"),
        ("bot", "timefrme", "1m", "unknown-field", "Did you mean timeframe?"),
        ("bot", "risk_management.maxOpenTrade", 1, "unknown-field", "Did you mean max_open_trades?"),
        ("strategy", "symbols", ["BTC-USD", 5], "type", "its item 2 must be a text"),
        ("strategy", "symbol_pairs", [["a", "b"], ["a"]], "length", "its item 2 must have at least 2 items"),
        ("token", "address", "0x5", "pattern", "must be an address of 32 to 44 characters in base58"),
        ("strategy", "version", "1", "pattern", "must be a version such as 1.0.0"),
        ("meta", "created_at", "yesterday", "type", "must be a time with its zone, such as 2026"),
        ("meta", "created_at", "2026-01-05T09:30:00", "type", "must be a time with its zone"),
    ],
)
def test_a_refusal_says_what_would_be_right(kind: str, field: str, value: Json, rule: str, words: str) -> None:
    found = [one for one in check(kind, with_field(kind, field, value)) if one.rule != "address"]
    (problem,) = found
    assert (problem.path, problem.rule) == (f"{PATHS[kind]}.{field}", rule)
    assert words in f"{problem.why}. {problem.remedy}"
    assert problem.severity == "refuse"


def test_rules_between_fields_name_the_field_that_is_wrong() -> None:
    risk: dict[str, Json] = {"position_size": 0.5, "max_open_trades": 3, "stop_loss_pct": 5, "take_profit_pct": 10}
    (found,) = check("bot", with_field("bot", "risk_management", risk))
    assert (found.path, found.rule) == ("bot.rsi.risk_management.position_size", "exposure")
    assert found.why == "0.5 of the balance in each of 3 open trades is more than there is"
    (found,) = check("bot", with_field("bot", "risk_management", {"stop_loss_pct": 5, "take_profit_pct": 4.9}))
    assert (found.path, found.rule) == ("bot.rsi.risk_management.take_profit_pct", "order")
    (found,) = check("mev", {"min_priority_fee": 5000, "max_priority_fee": 4999})
    assert (found.path, found.rule) == ("mev.protection.max_priority_fee", "order")
    (found,) = check("token", {**sample("token"), "min_order_size": "2", "max_order_size": 1})
    assert (found.path, found.rule, found.value) == (f"token.{SOL}.max_order_size", "order", "1")
    (found,) = check("system", {"database": {"url": "x", "host": "db"}})
    assert (found.path, found.rule) == ("system.database.url", "either")


def test_rules_between_fields_are_told_together_with_what_is_wrong_elsewhere() -> None:
    risk: dict[str, Json] = {"position_size": 0.5, "max_open_trades": 3, "max_daily_trades": 0, "stop": 1}
    found = check("bot", {**with_field("bot", "risk_management", risk), "timeframe": "2m"})
    assert {(one.path.removeprefix("bot.rsi."), one.rule) for one in found} == {
        ("risk_management.position_size", "exposure"),
        ("risk_management.max_daily_trades", "range"),
        ("risk_management.stop", "unknown-field"),
        ("timeframe", "choice"),
    }
    found = check("bot", with_field("bot", "risk_management", {"position_size": 2, "max_open_trades": 3}))
    assert [(one.path, one.rule) for one in found] == [("bot.rsi.risk_management.position_size", "unit")]


def test_the_mode_of_a_trader_is_said_to_be_a_label() -> None:
    (found,) = check("trader", {"mode": "live"})
    assert (found.path, found.rule) == ("trader.mode", "unknown-field")
    assert found.remedy == "The mode is a label of each bot: set fleet.bots.<bot>.labels.mode to paper or live"


@pytest.mark.parametrize(("size", "trades"), [(1, 1), (0.1, 10), (0.2, 5), (0.3333333333333333, 3), (0.14, 7)])
def test_what_fits_into_the_whole_is_accepted(size: float, trades: int) -> None:
    risk: dict[str, Json] = {"position_size": size, "max_open_trades": trades, "stop_loss_pct": 5, "take_profit_pct": 5}
    assert check("bot", with_field("bot", "risk_management", risk)) == []


def test_the_least_too_much_is_refused() -> None:
    risk: dict[str, Json] = {"position_size": 0.3334, "max_open_trades": 3}
    assert [one.rule for one in check("bot", with_field("bot", "risk_management", risk))] == ["exposure"]


def test_a_token_stands_under_its_own_address() -> None:
    other = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
    (found,) = categories.check("token", sample("token"), f"token.{other}")
    assert (found.path, found.rule) == (f"token.{other}.address", "address")


def test_a_long_value_is_cut_and_a_name_that_needs_quotes_has_them() -> None:
    (found,) = categories.check("strategy", {"a.b": "x" * 500}, 'strategy."m.m"')
    assert found.path == 'strategy."m.m"."a.b"'
    assert len(found.value) == 80


def test_a_name_that_no_path_can_hold_is_told_beside_the_nearest_one_that_can() -> None:
    (found,) = check("strategy", {"schedule": {"time\x1fzone": "UTC"}})
    assert (found.path, found.rule) == ("strategy.mm.schedule", "unknown-field")
    assert found.why == r"'time\x1fzone': Schedule has no such field"


@pytest.mark.parametrize("value", [None, 5, "text", [], [1], True])
@pytest.mark.parametrize("kind", sorted(PATHS))
def test_what_is_no_object_is_no_document(kind: str, value: Json) -> None:
    (found,) = check(kind, value)
    assert (found.path, found.rule, found.why) == (PATHS[kind], "type", "must be an object")


def test_a_text_of_five_digits_or_of_a_hundred_thousand_is_answered_alike_quickly() -> None:
    (found,) = check("risk_parameters", {**sample("risk_parameters"), "max_position_size": "9" * 100_000})
    assert (found.rule, len(found.value)) == ("type", 80)


HUGE = 10**100_000


@pytest.mark.parametrize(
    ("kind", "field", "value", "rule", "words"),
    [
        ("risk_limits", "max_correlation", HUGE, "type", "must be a number"),
        ("trader", "default_slippage_bps", HUGE, "range", "must be at least 1 and at most 1,000"),
        ("trader", "default_slippage_bps", "9" * 100_000 + "%", "type", "must be a whole number"),
        ("risk_parameters", "max_position_size", -HUGE, "range", "must be at least 0"),
        ("bot", "environment", HUGE, "type", "must be a text"),
        ("data_source", "rate_limiting.max_retries", -HUGE, "range", "must be at least 0"),
    ],
    ids=lambda one: one if isinstance(one, str) and len(one) < 40 else "huge",
)
def test_a_number_of_a_hundred_thousand_digits_is_a_problem_like_others(
    kind: str, field: str, value: Json, rule: str, words: str
) -> None:
    (found,) = check(kind, with_field(kind, field, value))
    assert (found.rule, len(found.value) <= 80) == (rule, True)
    assert words in found.why


@pytest.mark.parametrize("kind", ["optimizer", "strategy", "system"])
def test_what_is_nested_deeper_than_can_be_stored_ends_in_a_problem(kind: str) -> None:
    deep: dict[str, Json] = {}
    for _ in range(100_000):
        deep = {"redis": deep}
    (found,) = check(kind, deep)
    assert (found.path, found.rule) in {(PATHS[kind], "depth"), (f"{PATHS[kind]}.redis", "unknown-field")}
    while deep:  # the interpreter's own way to let go of it is recursion
        deep = cast("dict[str, Json]", deep.pop("redis"))


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(min_size=1, max_size=8), inner)),
    max_leaves=8,
)


@given(kind=st.sampled_from(sorted(PATHS)), data=st.data())
def test_whatever_comes_is_judged_and_never_raises(kind: str, data: st.DataObject) -> None:
    names = st.sampled_from([*place_of(categories.MODELS[kind]).fields, "extra"])
    document: dict[str, Json] = {**sample(kind), **data.draw(st.dictionaries(names, anything, max_size=3))}
    problems = check(kind, document)
    try:
        categories.MODELS[kind].model_validate(document)
    except ValidationError:
        assert problems
    else:
        assert [one.rule for one in problems] in ([], ["address"])
    assert all(one.path.startswith(PATHS[kind]) for one in problems)
