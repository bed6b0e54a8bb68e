"""The built-in templates, all of them: what they make is valid, bounded, and more than other names."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any, Final, cast

import pytest

from tests.support.templates import apart, substance
from tests.support.worked import STRATEGY_DEFAULTS
from trimtab import categories
from trimtab.categories import providers
from trimtab.model import documents, paths
from trimtab.model.canonical import Json
from trimtab.model.problems import DocumentsRefused
from trimtab_store.files.yaml_core import load_yaml
from trimtab_store.templates import Template, Templates, built_in
from trimtab_store.templates.bodies import segments_of
from trimtab_store.templates.parameters import NUMERIC, Bound, Parameter

LIBRARY: Final = Templates()
ALL: Final = list(LIBRARY)
EXAMPLES: Final = Path(__file__).parents[3] / "examples" / "fleet" / "base"
LEAST_APART: Final = 3
"""Two templates differ in so many fields, or in every field that they have."""
CONFUSED: Final = {"ratio", "pct", "bps", "ms", "s", "h", "usd", "MB", "factor"}
"""Units that are not merely a count of something."""

every = pytest.mark.parametrize("template", ALL, ids=lambda one: one.name)


def made(template: Template, **given: object) -> dict[str, Any]:
    return dict(LIBRARY.new(template.name, None, {**template.examples(), **given}).documents)


def example(category: str, name: str) -> Any:
    found: Any = load_yaml((EXAMPLES / f"{category}.yaml").read_bytes(), name=category)
    return found[category][name]


def test_there_are_more_than_fifty_and_each_is_called_after_its_file() -> None:
    assert len(ALL) > 50
    assert [one.name for one in ALL] == sorted(built_in.files())
    assert all(one.description and one.tags and one.origin == "built in" for one in ALL)


def test_a_file_stands_in_the_folder_of_its_category() -> None:
    folders = {Path(str(file)).parent.name: set[str]() for file in built_in.files().values()}
    for name, file in built_in.files().items():
        folders[Path(str(file)).parent.name].add(LIBRARY[name].category)
    assert all(found == {folder} for folder, found in folders.items())


@every
def test_a_default_instance_is_valid(template: Template) -> None:
    found = made(template)
    assert found
    for path, value in found.items():
        kind = documents.KNOWN.type_of(path)
        if kind is None:
            assert path.endswith(".labels.mode"), path
        else:
            assert categories.check(kind, value, path) == []


@every
def test_every_parameter_says_its_type_and_what_it_is(template: Template) -> None:
    for name in (*template.required, *template.optional, *template.customizable):
        parameter = template.parameters[name]
        assert parameter.kind != "any", name
        assert parameter.description, name
        assert parameter.kind not in NUMERIC or parameter.unit, name
        assert name not in template.required or parameter.example is not None, name


@every
def test_a_number_is_refused_below_and_above_its_bounds_and_taken_at_them(template: Template) -> None:
    numbers = [template.parameters[name] for name in template.open if template.parameters[name].kind in NUMERIC]
    for one in numbers:
        assert any(bound.sign in {">", ">="} for bound in one.bounds), one.name
        assert one.kind == "amount" or any(bound.sign in {"<", "<="} for bound in one.bounds), one.name
        for bound in one.bounds:
            at, beyond = edge(one, bound)
            assert not {"range", "unit"} & rules(template, one.name, at), (one.name, at)
            assert {"range", "unit"} & rules(template, one.name, beyond), (one.name, beyond)


def edge(one: Parameter, bound: Bound) -> tuple[Json, Json]:
    """The last value that keeps a bound, and the first that does not."""
    limit, step = float(bound.limit), 1 if one.kind == "integer" else 1e-6
    if bound.sign in {">", ">="}:
        step = -step
    inside, outside = (limit, limit + step) if "=" in bound.sign else (limit - step, limit)
    return (int(inside), int(outside)) if one.kind == "integer" else (round(inside, 9), round(outside, 9))


def rules(template: Template, name: str, value: Json) -> set[str]:
    """What one parameter is refused for."""
    try:
        template.instance({**template.examples(), name: value})
    except DocumentsRefused as refused:
        return {one.rule for one in refused.problems if one.path == name}
    return set()


@every
def test_what_keeps_the_bounds_of_the_template_keeps_those_of_its_documents(template: Template) -> None:
    for name in template.open:
        for bound in template.parameters[name].bounds:
            at, _ = edge(template.parameters[name], bound)
            assert beyond_documents(template, name, at) <= {"condition"}, name


def beyond_documents(template: Template, name: str, value: Json) -> set[str]:
    """What an instance is refused for, its documents included, if one parameter has this value."""
    try:
        template.instance({**template.examples(), name: value}, check=categories.check)
    except DocumentsRefused as refused:
        return {one.rule for one in refused.problems}
    return set()


@every
def test_units_and_secrets_are_those_of_the_fields(template: Template) -> None:
    for name, kind, place in fields(template):
        parameter = template.parameters[name]
        assert parameter.secret == categories.is_secret(kind, place), name
        unit = categories.unit_of(kind, place)
        if unit in CONFUSED or (unit is not None and parameter.unit in CONFUSED):
            assert parameter.unit == unit, (name, place)


def fields(template: Template) -> list[tuple[str, str, tuple[str, ...]]]:
    """Parameter, type of the document and place in it, of each that stands alone in a document of a known type."""
    found: list[tuple[str, str, tuple[str, ...]]] = []

    def walk(kind: str, value: Any, above: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for key, inner in cast("dict[str, Any]", value).items():
                walk(kind, inner, (*above, key))
        elif isinstance(value, str) and (whole := re.fullmatch(r"<([a-z0-9_]+)>", value)):
            found.append((whole[1], kind, above))

    listed: Any = template.definition["documents"]
    for path, value in listed.items():
        kind = documents.KNOWN.type_of(paths.join(segments_of(path)))
        if kind is not None:
            walk(kind, value, ())
    return found


def test_no_two_say_the_same_with_other_names() -> None:
    close = [
        (one.name, other.name, fields_apart)
        for one, other in combinations(ALL, 2)
        if (fields_apart := apart(one, other)) < LEAST_APART and fields_apart < len(substance(one))
    ]
    assert close == []


@pytest.mark.parametrize("name", ["market_maker", "mean_reversion", "correlation_arbitrage"])
def test_a_worked_strategy_is_made_exactly(name: str) -> None:
    found = made(LIBRARY[f"strategy_{name}"], id=name)[f"strategy.{name}"]
    assert found == example("strategy", name)


@pytest.mark.parametrize(
    ("template", "name"), [("bot_rsi_bollinger_paper", "rsi-paper"), ("bot_scalper_paper", "scalper")]
)
def test_a_worked_bot_is_made_exactly(template: str, name: str) -> None:
    found, wanted = made(LIBRARY[template], id=name, environment="base")[f"bot.{name}"], example("bot", name)
    assert found == wanted


def test_the_worked_live_bot_is_made_exactly() -> None:
    found = made(LIBRARY["bot_rsi_bollinger_live"], id="rsi-live")
    assert found["fleet.bots.rsi-live.labels.mode"] == "live"
    bot = found["bot.rsi-live"]
    assert bot["broker"] == {"type": "binance_live", "initial_balance": 50000, "commission": 0.001}
    assert bot["risk_management"] == {
        "position_size": 0.05,
        "max_open_trades": 1,
        "stop_loss_pct": 3.0,
        "take_profit_pct": 6.0,
        "max_daily_trades": 5,
        "max_daily_loss": 100,
        "max_drawdown_pct": 10.0,
        "risk_per_trade": 0.01,
        "position_sizing": "kelly_criterion",
    }


def test_the_standard_strategy_has_the_usual_parameters() -> None:
    found = made(LIBRARY["strategy_standard"], id="x")["strategy.x"]["parameters"]
    wanted = example("template", "strategy")["defaults"]
    assert found == wanted
    assert found == STRATEGY_DEFAULTS


@pytest.mark.parametrize("provider", providers.PROVIDERS)
def test_every_provider_of_data_has_a_template_with_its_limits(provider: str) -> None:
    found = made(LIBRARY[f"data_{provider}"])[f"data.{provider}"]
    limits = providers.RATE_LIMITS.get(provider)
    if limits is not None:
        wanted = limits.model_dump(exclude_none=True)
        assert {name: found["rate_limit"].get(name) for name in wanted} == wanted
        assert "requests_per_minute" in rules_above(provider, limits.requests_per_minute or 0)


def rules_above(provider: str, limit: int) -> list[str]:
    """What is refused when a request more than the provider allows is asked for."""
    with pytest.raises(DocumentsRefused) as refused:
        LIBRARY.new(f"data_{provider}", None, {"requests_per_minute": limit + 1})
    return [one.path for one in refused.value.problems]


def test_sources_are_asked_in_the_order_of_their_rules() -> None:
    failover, found = made(LIBRARY["data_failover"])["data.failover"], made(LIBRARY["data_rules"])["data.rules"]
    for asset, rule in providers.RULES.items():
        assert found[asset] == rule.model_dump(mode="json")
        assert failover[asset] == [rule.primary, *rule.fallbacks]


@pytest.mark.parametrize("exchange", providers.EXCHANGE_LIMITS)
def test_an_exchange_has_its_worked_limits(exchange: str) -> None:
    found = made(LIBRARY[f"exchange_limits_{exchange}"])[f"risk.exchange_limits.{exchange}"]
    assert categories.ExchangeLimits.model_validate(found) == providers.EXCHANGE_LIMITS[exchange]


def test_paper_and_live_bots_cover_every_broker() -> None:
    bots = {one.name: made(one, id="x") for one in LIBRARY.find(category="bot")}
    brokers = {found["bot.x"]["broker"]["type"] for found in bots.values()}
    assert brokers == {"binance_live", "binance_paper", "ibkr_live", "ibkr_paper"}
    for name, found in bots.items():
        live = found["bot.x"]["broker"]["type"].endswith("_live")
        tags = LIBRARY[name].tags
        assert (live, not live) == ("live" in tags, "paper" in tags), name
        assert found.get("fleet.bots.x.labels.mode") == ("live" if live else None), name
        assert not live or "max_daily_loss" in found["bot.x"]["risk_management"], name


@pytest.mark.parametrize("size", ["development", "production"])
def test_a_system_has_the_size_of_its_environment(size: str) -> None:
    found = made(LIBRARY[f"system_{size}"])["system"]
    seen = (
        found["log_level"], found["database"]["pool_size"], found["database"]["max_overflow"], found["api"]["workers"],
        found["orchestrator"]["max_concurrent_strategies"], found["orchestrator"]["strategy_timeout"],
        found["orchestrator"]["health_check_interval"], *found["performance"].values(),
        found["cache_max_size_mb"], found["max_concurrent_requests"], found["database"].get("ssl_mode"),
    )  # fmt: skip
    assert (
        seen
        == {
            "development": ("INFO", 5, 10, 4, 10, 300, 30, 100, 1000, 2048, 128, 5, None),
            "production": ("WARNING", 20, 40, 12, 50, 180, 15, 50, 5000, 8192, 1024, 20, "require"),
        }[size]
    )


def test_each_risk_profile_risks_more_than_the_one_before() -> None:
    profiles = [made(LIBRARY[f"risk_{name}"])["risk.global"] for name in ("conservative", "moderate", "aggressive")]
    for field in ("max_portfolio_risk", "max_position_size", "max_strategy_drawdown", "max_leverage", "max_daily_loss"):
        values = [found[field] for found in profiles]
        assert values == sorted(set(values)), field
    assert profiles[1] == categories.RiskLimits().model_dump(mode="python", exclude={"min_liquidity"}) | {
        "min_liquidity": 5000
    }


def test_every_class_of_latency_has_a_breaker_of_its_own() -> None:
    found = [made(one)["circuit_breaker.config"] for one in LIBRARY.find(category="circuit_breaker")]
    assert len({one["latency_threshold_ms"] for one in found}) == len(found) == 5
    usual = made(LIBRARY["circuit_breaker_standard"])["circuit_breaker.config"]
    model = categories.CircuitBreaker(latency_threshold_ms=200, error_rate_threshold=0.05)
    assert usual == model.model_dump()


@pytest.mark.parametrize(("size", "position", "loss"), [("development", 0.01, 100), ("production", 0.05, 5000)])
def test_trading_has_the_limits_of_its_environment(size: str, position: float, loss: int) -> None:
    assert made(LIBRARY[f"trading_{size}"]) == {"trading": {"max_position_size": position, "max_daily_loss": loss}}


def test_the_usual_breaker_begins_with_the_usual_values() -> None:
    assert made(LIBRARY["circuit_breaker_standard"])["circuit_breaker.config"] == {
        "latency_threshold_ms": 200,
        "error_rate_threshold": 0.05,
        "failure_threshold": 5,
        "recovery_timeout_secs": 60,
        "half_open_max_requests": 3,
    }


def test_the_moderate_profile_is_what_the_categories_begin_with() -> None:
    found = made(LIBRARY["risk_moderate"])
    for path, model in (
        ("risk.global", categories.RiskLimits()),
        ("risk.position_sizing", categories.PositionSizing()),
        ("risk.circuit_breakers", categories.RiskCircuitBreakers()),
    ):
        assert type(model).model_validate(found[path]) == model
        assert set(found[path]) == set(type(model).model_fields)
