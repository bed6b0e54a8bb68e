"""The exported schemas say what the models do: they agree on documents, and show units, secrets and defaults."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from typing import Any, cast

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.categories.samples import PATHS, check, sample, with_field
from tests.unit.categories.test_bounds import NUMBERS, WORDS
from tests.unit.categories.test_spelling import NESTED
from trimtab import categories
from trimtab.categories.fields import Place, place_of
from trimtab.categories.spelling import leaves_of
from trimtab.model.canonical import Json

# What a schema cannot say: one field against another, or against the path.
BEYOND = frozenset({"order", "exposure", "either", "address"})
RICH: dict[str, dict[str, Any]] = {
    "bot": NESTED,
    "strategy": {
        "name": "Market maker",
        "exchange": ["hyperliquid", "phemex"],
        "symbols": ["BTC-USD"],
        "symbol_pairs": [["BTC-USD", "BTC/USDT"]],
        "parameters": {"size": 1000},
        "schedule": {"enabled": True, "timezone": "UTC", "trading_hours": {"start": "09:00", "end": "17:30"}},
    },
    "system": {
        "environment": "production",
        "database": {"host": "db", "password": "x", "pool_size": 20},
        "redis": {"db": 0},
        "api": {"cors_origins": ["https://a.example"]},
        "performance": {"memory_limit_mb": 8192},
    },
    "risk_parameters": {"max_position_size": "1000.50", "daily_loss_limit": 500, "max_positions": 5},
    "trader": {"default_slippage_bps": 50, "token_overrides": {"a": {"slippage_bps": 5}}},
    "exchange": {"credentials": {"key": "x"}, "limits": {"orders": 5}, "fees": {"maker": -0.0001}, "symbols": ["A"]},
    "data_source": {"interval": "1M", "rate_limit": {"backoff_factor": 1.5}, "caching": {"enabled": True}},
    "monitoring": {"alert_thresholds": {"error_rate": 0.1}, "alert_webhook_url": "https://x.example"},
}


@cache
def validator(kind: str) -> Any:
    return jsonschema_rs.validator_for(categories.json_schema(kind))


def document(kind: str) -> dict[str, Any]:
    return deepcopy(RICH.get(kind) or sample(kind))


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_it_is_a_schema_of_draft_2020_12_that_names_its_dialect(kind: str) -> None:
    schema = categories.json_schema(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(schema)
    assert validator(kind).is_valid(document(kind))
    assert json.loads(json.dumps(schema)) == schema


def test_a_schema_is_the_callers_own() -> None:
    categories.json_schema("trader")["properties"] = {}
    assert "default_slippage_bps" in cast("dict[str, Json]", categories.json_schema("trader")["properties"])


def test_a_type_that_is_not_ours_has_none() -> None:
    with pytest.raises(KeyError):
        categories.json_schema("kitchen")


def numbers() -> list[tuple[str, str, Json]]:
    return [(kind, field, value) for kind, field, *values in NUMBERS for value in values if value is not None]


def words() -> list[tuple[str, str, Json]]:
    return [(kind, field, value) for kind, field, known, unknown in WORDS for value in (*known, *unknown)]


@pytest.mark.parametrize(("kind", "field", "value"), [*numbers(), *words()])
def test_schema_and_model_agree_at_every_bound(kind: str, field: str, value: Json) -> None:
    changed: dict[str, Any] = document(kind)
    here = changed
    *above, last = field.split(".")
    for segment in above:
        here = here.setdefault(segment, {})
    here[last] = value
    agree(kind, changed)


def agree(kind: str, changed: Json) -> None:
    refused = {one.rule for one in check(kind, changed)} - BEYOND
    # JSON Schema does not look at formats unless it is told to
    if not (kind == "meta" and refused):
        assert validator(kind).is_valid(changed) is not bool(refused), (changed, refused)


@pytest.mark.parametrize(
    "amount", ["9" * 40, "9" * 41, "0." + "1" * 40, "0." + "1" * 41, "0" * 41, "-0", "1.", "+1", "٣"]
)
@pytest.mark.parametrize(
    ("kind", "field"), [("risk_parameters", "max_position_size"), ("bot", "broker.initial_balance")]
)
def test_schema_and_model_agree_on_amounts_as_texts(kind: str, field: str, amount: str) -> None:
    agree(kind, with_field(kind, field, amount))


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70_000),
    st.floats(-2, 2_000, allow_nan=False).filter(lambda value: not value.is_integer()),
    st.sampled_from(["", "1", "-1", "0.00", "1_0", "5m", "INFO", "x" * 50, "UTC", "binance_paper", "é" * 11]),
    st.lists(st.none(), max_size=0),  # a new one each time: documents are built of what is drawn
    st.dictionaries(st.text(), st.none(), max_size=0),
    st.lists(st.sampled_from(["a", 1, ["a", "b"]]), max_size=3),
)


@pytest.mark.parametrize("exchange", ["", "phemex", "x" * 1024, "x" * 1025, [], [""], ["phemex", ""], ["x" * 1025]])
def test_schema_and_model_agree_on_one_text_or_several(exchange: Json) -> None:
    agree("strategy", {**document("strategy"), "exchange": exchange})


@pytest.mark.parametrize("kind", sorted({*RICH, "mev", "token", "circuit_breaker", "risk_limits", "logging", "guard"}))
@given(data=st.data())
def test_schema_and_model_agree_on_documents_with_something_else_in_one_place(kind: str, data: st.DataObject) -> None:
    changed = document(kind)
    paths = sorted({segments[:length] for segments, _ in leaves_of(changed) for length in range(1, len(segments) + 1)})
    known = [(name,) for name in place_of(categories.MODELS[kind]).fields]
    path = data.draw(st.sampled_from([*paths, *known]))
    here: Any = changed
    for segment in path[:-1]:
        here = here[segment]
    if data.draw(st.booleans()) or path[-1] not in here:
        here[path[-1]] = data.draw(junk)
    else:
        del here[path[-1]]
    agree(kind, changed)


# -- units and secrets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field", "unit"),
    [
        ("risk_limits", "max_daily_loss", "ratio"),
        ("risk_limits", "maxDailyLoss", "ratio"),
        ("risk_limits", "max_leverage", "factor"),
        ("risk_limits", "min_liquidity", "usd"),
        ("risk_limits", "position_timeout", "s"),
        ("risk_parameters", "max_position_size", "amount"),
        ("risk_parameters", "stop_loss_percentage", "pct"),
        ("trader", "default_slippage_bps", "bps"),
        ("trader", "token_overrides.SOL.slippage_bps", "bps"),
        ("mev", "timeout_ms", "ms"),
        ("circuit_breaker", "recovery_timeout_secs", "s"),
        ("system", "performance.memory_limit_mb", "MB"),
        ("data_source", "caching.max_age_hours", "h"),
        ("bot", "stop_loss_pct", "pct"),
        ("bot", "risk_management.max_open_trades", "count"),
        ("logging", "level", None),
        ("logging", "nothing", None),
        ("system", "performance", None),
        ("kitchen", "sink", None),
    ],
)
def test_a_field_has_its_unit_in_any_spelling(kind: str, field: str, unit: str | None) -> None:
    assert categories.unit_of(kind, tuple(field.split("."))) == unit


def test_units_stand_in_the_schema() -> None:
    fields: Any = categories.json_schema("risk_limits")["properties"]
    found = {name: one.get("x-unit") for name, one in fields.items()}
    assert (found["max_daily_loss"], found["max_leverage"], found["min_liquidity"]) == ("ratio", "factor", "usd")


SECRETS = {
    "monitoring": {"alert_webhook_url"},
    "notifications": {"telegram_token", "telegram_chat_id", "smtp_user", "smtp_password"},
    "bot": {f"notifications.{name}" for name in ("telegram_token", "telegram_chat_id", "smtp_user", "smtp_password")},
    "system": {"database.url", "database.password", "redis.password"},
    "exchange": {"credentials"},
    "data_source": {"api_key"},
}


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_which_fields_are_secrets(kind: str) -> None:
    expected = SECRETS.get(kind, set())
    marked = {".".join(path) for path in _every_field(place_of(categories.MODELS[kind]))}
    assert {name for name in marked if categories.is_secret(kind, tuple(name.split(".")))} == expected
    assert ('"x-secret": true' in json.dumps(categories.json_schema(kind))) is bool(expected)


def _every_field(place: Place, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    here = [above] if above else []
    return [*here, *(path for name, inner in place.fields.items() for path in _every_field(inner, (*above, name)))]


def test_what_is_below_a_secret_is_one_and_every_spelling_of_it() -> None:
    assert categories.is_secret("exchange", ("credentials", "apiKey"))
    assert categories.is_secret("data_source", ("apiKey",))
    assert categories.is_secret("bot", ("telegram_token",))
    assert not categories.is_secret("exchange", ("limits", "credentials"))
    assert not categories.is_secret("kitchen", ("password",))


def test_no_secret_is_told_by_a_refusal_of_its_neighbours() -> None:
    found = check("system", {"database": {"password": "hush", "url": "postgresql://u:hush@db", "host": "db"}})
    assert [(one.path, one.rule, one.value) for one in found] == [("system.database.url", "either", "***")]
    assert "hush" not in str(found)
    assert "hush" not in str(check("exchange", {"credentials": {"key": ["hush"]}}))
    assert "hush" not in str(check("exchange", {"credentials": "hush"}))
    assert "hush" not in str(check("system", {"database": "hush"}))
    assert "hush" not in str(check("system", "hush"))
    assert "hush" not in str(check("system", {"database": {"pasword": "hush"}}))
    assert "open" in str(check("logging", {"levl": "open"}))
