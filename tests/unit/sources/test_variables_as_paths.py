"""Variables that name paths: found among known ones, typed as the path takes it, refused where there is a choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import canonical
from trimtab.model.errors import TrimtabError
from trimtab_store.files import Assignment, FileRefused
from trimtab_store.sources.assigning import PREFIX, VariableRefused, assigned, of_process, typed
from trimtab_store.sources.known import Known, name_of

SOL = "So11111111111111111111111111111111111111112"
HELD: dict[str, Any] = {
    "strategy.market_maker.parameters.size": 1000,
    "strategy.market_maker.parameters.symbol": "BTC-USD",
    "strategy.market_maker.parameters.maxTr": 550,
    "strategy.market_maker.symbols": ["BTC-USD"],
    f"token.{SOL}.symbol": "SOL",
    "data.alpha_vantage.rate_limit.burst_limit": 5,
    "venue.a_b.c": 1,
    "venue.a.b_c": 1,
    "venue.flag": True,
    "venue.nothing": None,
    "venue.list": [1, 2],
}
KNOWN = Known.of((path, canonical.encode(value)) for path, value in HELD.items())


def found(**variables: str) -> dict[str, Any]:
    assignments, _ = assigned(of_process(variables, [PREFIX]), KNOWN, [PREFIX])
    return {one.path: canonical.decode(one.content) for one in assignments}


def test_the_names_of_the_specification() -> None:
    assert found(
        QUANTBOT_TRADING_MAX_POSITION_SIZE="0.02",
        RISK_GLOBAL_MAX_LEVERAGE="2",
        TRADING_MAX_DAILY_LOSS="250.50",
    ) == {"trading.max_position_size": 0.02, "risk.global.max_leverage": 2, "trading.max_daily_loss": 250.5}


@pytest.mark.parametrize(
    ("name", "text", "path", "expected"),
    [
        ("STRATEGY_MARKET_MAKER_PARAMETERS_SIZE", "500", "strategy.market_maker.parameters.size", 500),
        ("STRATEGY_MARKET_MAKER_PARAMETERS_SYMBOL", "10", "strategy.market_maker.parameters.symbol", "10"),
        ("STRATEGY_MARKET_MAKER_PARAMETERS_MAXTR", "1.5", "strategy.market_maker.parameters.maxTr", 1.5),
        ("STRATEGY_MARKET_MAKER_ENABLED", "false", "strategy.market_maker.enabled", False),
        ("STRATEGY_MARKET_MAKER_SYMBOLS", "BTC-USD, ETH-USD", "strategy.market_maker.symbols", ["BTC-USD", "ETH-USD"]),
        ("STRATEGY_MARKET_MAKER_SYMBOLS", '["BTC-USD"]', "strategy.market_maker.symbols", ["BTC-USD"]),
        (f"TOKEN_{SOL.upper()}_DECIMALS", "9", f"token.{SOL}.decimals", 9),
        ("DATA_ALPHA_VANTAGE_API_KEY", "0123", "data.alpha_vantage.api_key", "0123"),
        ("DATA_ALPHA_VANTAGE_RATE_LIMIT_BURST_LIMIT", "7", "data.alpha_vantage.rate_limit.burst_limit", 7),
        ("QUANTBOT_VENUE_FLAG", "false", "venue.flag", False),
        ("QUANTBOT_VENUE_NOTHING", "x", "venue.nothing", "x"),
        ("QUANTBOT_VENUE_LIST", "1,b", "venue.list", [1, "b"]),
        ("SYSTEM_DATABASE_PORT", "5433", "system.database.port", 5433),
        ("SYSTEM_LOG_LEVEL", "INFO", "system.log_level", "INFO"),
        ("TRADING_MAX_POSITION_SIZE", "null", "trading.max_position_size", None),
    ],
)
def test_a_variable_is_typed_by_the_path_that_it_names(name: str, text: str, path: str, expected: Any) -> None:
    values = found(**{name: text})
    assert values == {path: expected}
    assert type(values[path]) is type(expected)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"QUANTBOT_VENUE_A_B_C": "1"}, "may mean venue.a.b_c, venue.a_b.c"),
        ({"QUANTBOT_RISK_GLOBAL_MAX_LEVERAG": "1"}, "Did you mean RISK_GLOBAL_MAX_LEVERAGE?"),
        ({"QUANTBOT_RISK_GLOBAL": "1"}, "names no path that is known"),
        ({"QUANTBOT_DATA_BINANCE_API_KEY": "x"}, "names no path that is known"),
        ({"QUANTBOT_TRADING_MAX_DAILY_LOSS": "1", "TRADING_MAX_DAILY_LOSS": "1"}, "sets trading.max_daily_loss, too"),
        ({"RISK_GLOBAL_MAX_LEVERAGE": "hunter2"}, "what RISK_GLOBAL_MAX_LEVERAGE says is not what"),
        ({"SYSTEM_DATABASE_PORT": "54.5"}, "is not what system.database.port takes: a whole number"),
        ({"STRATEGY_MARKET_MAKER_ENABLED": "yes"}, "true or false"),
        ({"RISK_GLOBAL_MAX_LEVERAGE": "1" * 5000}, "is not what risk.global.max_leverage takes: a number"),
    ],
)
def test_a_variable_that_cannot_be_placed_is_refused_without_its_text(variables: dict[str, str], named: str) -> None:
    with pytest.raises(VariableRefused) as caught:
        found(**variables)
    assert named in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        assert not any(text in str(error) for text in variables.values() if len(text) > 3)
        error = error.__cause__ or error.__context__


def test_a_name_without_prefix_that_means_nothing_to_us_is_passed_over_and_told() -> None:
    variables = {"DATA_DIR": "/srv", "SYSTEM_ROOT": "C", "PATH": "/bin", "risk_global_max_leverage": "1"}
    variables |= {"TRIMTAB_DATABASE_URL": "x", "MARISK_GLOBAL_MAX_LEVERAGE": "1"}
    assert assigned(of_process(variables, [PREFIX]), KNOWN, [PREFIX]) == ([], ["DATA_DIR", "SYSTEM_ROOT"])


def test_what_configures_us_is_never_looked_at_whatever_the_prefix() -> None:
    assert list(of_process({"TRIMTAB_TRADING_MAX_DAILY_LOSS": "5"}, ["TRIMTAB_"])) == []


def test_the_longest_prefix_counts() -> None:
    variables = {"Q_EU_TRADING_MAX_DAILY_LOSS": "5"}
    (one,) = assigned(of_process(variables, ["Q_", "Q_EU_"]), KNOWN, ["Q_", "Q_EU_"])[0]
    assert (one.path, one.content) == ("trading.max_daily_loss", b"5")


def test_every_line_of_a_file_must_mean_something() -> None:
    with pytest.raises(FileRefused) as caught:
        assigned([Assignment("DATA_DIR", "/srv", "base/.env", 3)], KNOWN, [PREFIX])
    assert (caught.value.rule, caught.value.name, caught.value.line) == ("unknown", "base/.env", 3)


def test_a_field_keeps_the_case_and_spelling_of_its_document() -> None:
    assert name_of('data.suffixes.".L"') == "DATA_SUFFIXES__L"
    assert name_of("token.aBc-D.symbol") == "TOKEN_ABC_D_SYMBOL"


def test_tokens_that_differ_in_case_alone_are_a_choice() -> None:
    known = Known.of([("token.abc.symbol", b'"A"'), ("token.ABC.symbol", b'"B"')])
    with pytest.raises(VariableRefused, match=r"may mean token\.ABC\.symbol, token\.abc\.symbol"):
        assigned(of_process({"TOKEN_ABC_SYMBOL": "X"}, []), known, [])


TYPES: Mapping[str, type] = {"string": str, "boolean": bool, "null": type(None), "array": list}


@given(
    st.text(max_size=30), st.frozensets(st.sampled_from(["string", "number", "integer", "boolean", "null", "array"]))
)
def test_a_text_becomes_one_of_the_types_or_is_refused(text: str, types: frozenset[str]) -> None:
    try:
        value = typed(text, types)
    except TrimtabError:
        assert types != {"string"}
        return
    if types:
        numbers = [int, float] if "number" in types else [int] if "integer" in types else []
        assert type(value) in [*numbers, *(TYPES[word] for word in types if word in TYPES)]
