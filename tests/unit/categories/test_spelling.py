"""Spelling: camelCase, the flat bot and other names become the one canonical name of each field."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.unit.categories.samples import PATHS, check, sample
from trimtab import categories
from trimtab.categories import Bot, DataSource, RiskLimits
from trimtab.categories.fields import Place, place_of
from trimtab.categories.places import respell_document
from trimtab.model.canonical import Json

NESTED: dict[str, Any] = {
    "bot_id": "scalper",
    "broker": {"type": "binance_paper", "initial_balance": 25000, "commission": 0.001},
    "symbol": "BTCUSDT",
    "timeframe": "5m",
    "strategy": {
        "type": "scalping",
        "entry_logic": {"name": "rsi", "params": {"rsiPeriod": 14}},
        "exit_logic": {"name": "atr"},
        "params": {"fast_period": 5, "slowPeriod": 20},
    },
    "risk_management": {
        "position_size": 0.05,
        "max_open_trades": 2,
        "stop_loss_pct": 2,
        "take_profit_pct": 4,
        "max_daily_trades": 20,
        "max_daily_loss": 100,
        "max_drawdown_pct": 10,
        "risk_per_trade": 0.01,
        "position_sizing": "kelly_criterion",
    },
    "notifications": {"telegram_enabled": True},
    "logging": {"level": "DEBUG", "save_trades": True, "log_file": "scalper.log"},
}
FLAT: dict[str, Any] = {
    "bot_id": "scalper",
    "broker_type": "binance_paper",
    "initial_balance": 25000,
    "commission": 0.001,
    "symbol": "BTCUSDT",
    "timeframe": "5m",
    "strategy_type": "scalping",
    "entry_logic": {"name": "rsi", "params": {"rsiPeriod": 14}},
    "exit_logic": {"name": "atr"},
    "strategy_params": {"fast_period": 5, "slowPeriod": 20},
    **NESTED["risk_management"],
    "telegram_enabled": True,
    "log_level": "DEBUG",
    "save_trades": True,
    "log_file": "scalper.log",
}


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def in_camel_case(value: Any, place: Place | None) -> Any:
    """A document with every name that a model knows in camelCase; names that users choose stay."""
    if not isinstance(value, dict) or place is None:
        return cast("Json", value)
    known = cast("dict[str, Any]", value)
    return {
        camel(name) if name in place.fields else name: in_camel_case(inner, place.below(name))
        for name, inner in known.items()
    }


def test_the_flat_bot_is_the_nested_one() -> None:
    assert respell_document("bot", FLAT) == (NESTED, [])
    assert check("bot", FLAT) == check("bot", NESTED) == []
    assert Bot.model_validate(FLAT) == Bot.model_validate(NESTED)
    assert Bot.model_validate({camel(name): value for name, value in FLAT.items()}) == Bot.model_validate(NESTED)


def test_both_shapes_at_once_with_the_same_value_are_one() -> None:
    assert respell_document("bot", {**FLAT, **NESTED}) == (NESTED, [])
    assert check("bot", {**NESTED, "brokerType": "binance_paper"}) == []


@pytest.mark.parametrize("name", ["stop_loss_pct", "stopLossPct"])
def test_both_shapes_at_once_with_different_values_are_refused(name: str) -> None:
    document = {**NESTED, name: 3}
    (found,) = check("bot", document)
    assert (found.path, found.rule) == ("bot.rsi.risk_management.stop_loss_pct", "spelling")
    assert found.why == f"risk_management.stop_loss_pct and {name} are one field with two different values"
    with pytest.raises(ValidationError):
        Bot.model_validate(document)


def test_a_number_that_cannot_be_stored_is_compared_all_the_same() -> None:
    huge = 10**5_000
    (found,) = check("risk_limits", {"max_leverage": huge, "maxLeverage": huge})
    assert found.rule == "type"
    found, other = check("risk_limits", {"max_leverage": huge, "maxLeverage": huge + 1})
    assert (found.rule, other.rule) == ("spelling", "type")


@pytest.mark.parametrize(
    ("document", "clashes"),
    [
        ({"broker": 5, "broker_type": "binance_paper"}, [(("broker", "type"), ("broker",), ("broker_type",))]),
        ({"broker_type": "binance_paper", "broker": 5}, [(("broker",), ("broker_type",), ("broker",))]),
        ({"broker": {}, "broker_type": "binance_paper"}, []),
        ({"broker_type": "binance_paper", "broker": {}}, []),
    ],
)
def test_a_value_and_a_subtree_in_one_place_clash(document: dict[str, Json], clashes: list[object]) -> None:
    found = respell_document("bot", document)
    assert [(one.segments, one.first, one.second) for one in found[1]] == clashes
    if not clashes:
        assert found[0] == {"broker": {"type": "binance_paper"}}


@pytest.mark.parametrize(
    ("kind", "segments", "expected"),
    [
        ("risk_limits", ("maxLeverage",), ("max_leverage",)),
        ("risk_limits", ("max_leverage",), ("max_leverage",)),
        ("monitoring", ("alertWebhookURL",), ("alert_webhook_url",)),
        ("mev", ("wrapSOLEnabled",), ("wrap_sol_enabled",)),
        ("data_source", ("rate_limiting", "requests_per_minute"), ("rate_limit", "requests_per_minute")),
        ("data_source", ("rateLimiting", "burstLimit"), ("rate_limit", "burst_limit")),
        ("notifications", ("telegramChat",), ("telegram_chat_id",)),
        ("bot", ("notifications", "telegram_chat"), ("notifications", "telegram_chat_id")),
        ("bot", ("telegram_chat",), ("notifications", "telegram_chat_id")),
        ("bot", ("brokerType",), ("broker", "type")),
        ("bot", ("strategyParams", "rsiPeriod"), ("strategy", "params", "rsiPeriod")),
        ("bot", ("riskManagement", "stopLossPct"), ("risk_management", "stop_loss_pct")),
        ("bot", ("stopLosPct",), ("stopLosPct",)),
        ("strategy", ("parameters", "sizeUsd"), ("parameters", "sizeUsd")),
        ("strategy", ("schedule", "tradingHours", "start"), ("schedule", "trading_hours", "start")),
        (
            "trader",
            ("tokenOverrides", "maxLeverage", "slippageBps"),
            ("token_overrides", "maxLeverage", "slippage_bps"),
        ),
        ("exchange", ("credentials", "apiKey"), ("credentials", "apiKey")),
        ("fleet_bot", ("labels", "theMode"), ("labels", "theMode")),
        ("optimizer", ("maxRuns",), ("maxRuns",)),
        ("kitchen", ("theSink",), ("theSink",)),
    ],
)
def test_one_leaf(kind: str, segments: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert categories.respell(kind, segments) == expected


def test_models_read_camel_case_and_keep_their_own_names() -> None:
    limits = RiskLimits.model_validate({"maxLeverage": 2.5})
    assert limits.max_leverage == 2.5
    assert DataSource.model_validate({"rateLimiting": {"maxRetries": 3}}).rate_limit.max_retries == 3
    with pytest.raises(ValidationError, match="max_levrage"):
        RiskLimits.model_validate({"max_levrage": 1})


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_every_field_of_every_document_is_accepted_in_camel_case(kind: str) -> None:
    place = place_of(categories.MODELS[kind])
    for name in place.fields:
        assert categories.respell(kind, (camel(name),)) == (name,)
    assert check(kind, in_camel_case(sample(kind), place)) == []


names = st.sampled_from([*NESTED, *FLAT, "maxLeverage", "brokerType", "unknown", "type"])
documents = st.recursive(
    st.one_of(st.integers(0, 3), st.sampled_from(["a", "b"])),
    lambda inner: st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
).filter(lambda value: isinstance(value, dict))


@given(documents)
def test_what_is_respelled_once_stays_as_it_is(document: Json) -> None:
    plain, clashes = respell_document("bot", document)
    if not clashes:
        assert respell_document("bot", plain) == (plain, [])
        assert {one.path for one in check("bot", document)} == {one.path for one in check("bot", plain)}
