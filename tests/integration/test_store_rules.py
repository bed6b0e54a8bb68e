"""Rules on a real store: across documents, layers and environments, and when a label moves a bot."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.conftest import ConnectStore
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab_store.store import Store

PAPER = {"bot_id": "one", "symbol": "BTCUSDT", "timeframe": "5m", "broker": {"type": "binance_paper"}}
LIMITS = {"max_leverage": 3.0}
PARAMETERS = {"max_position_size": "10", "daily_loss_limit": "100"}
STRATEGY = {"enabled": True, "exchange": "hyperliquid", "parameters": {"leverage": 2.0}}
KEYS = {"api_key": "SECURE:binance"}


@pytest.fixture
def ruled(connect_store: ConnectStore) -> Store:
    """A store with base ← production in which every built-in rule holds, one strategy, and a bot on paper."""
    made = connect_store(rules=None)
    made.create_environment("base", author="test", dimensions=["mode", "strategy", "region", "node", "bot"])
    made.create_environment("production", parent="base", author="test")
    with made.edit("base", author="test") as edit:
        edit.set("exchange.hyperliquid", {"credentials": {"api_key": "SECURE:hyperliquid"}})
        edit.set("strategy.mm", STRATEGY)
        edit.set("bot.one", PAPER)
        edit.set("fleet.bots.one.labels.mode", "paper")
    return made


def change(store: Store, values: dict[str, Any], environment: str = "base", layer: str = "") -> None:
    """Set paths; `None` hides one, `...` removes it."""
    with store.edit(environment, author="test", reason="a test", force="a test") as edit:
        for path, value in values.items():
            if value is None:
                edit.hide(path, layer)
            elif value is ...:
                edit.unset(path, layer)
            else:
                edit.set(path, value, layer)


def refused(store: Store, values: dict[str, Any], environment: str = "base", layer: str = "") -> list[Problem]:
    with pytest.raises(DocumentsRefused) as error:
        change(store, values, environment, layer)
    return [problem for problem in error.value.problems if problem.severity == "refuse"]


def rules(found: list[Problem]) -> set[tuple[str, str]]:
    return {(problem.path, problem.rule) for problem in found}


def test_a_strategy_needs_its_exchange_in_every_environment_that_sees_it(ruled: Store) -> None:
    (problem,) = refused(ruled, {"strategy.mm.exchange": "hyperlquid"})
    assert (problem.path, problem.rule, problem.environment) == ("strategy.mm.exchange", "strategy-exchange", "base")
    (hidden,) = refused(ruled, {"exchange": None}, "production")
    assert (hidden.environment, hidden.rule) == ("production", "strategy-exchange")
    assert refused(ruled, {"exchange.hyperliquid": ...})
    change(ruled, {"exchange.hyperliquid": ..., "strategy.mm": ...})


def test_a_strategy_risks_no_more_than_the_limits_of_its_environment_allow(ruled: Store) -> None:
    change(ruled, {"risk.global": LIMITS})
    assert rules(refused(ruled, {"strategy.mm.parameters.leverage": 3.1})) == {
        ("strategy.mm.parameters.leverage", "strategy-risk")
    }
    change(ruled, {"strategy.mm.parameters.leverage": 3.0})
    with ruled.edit("production", author="test") as edit:
        edit.set("risk.global.max_leverage", 2.5, "bot=one")  # a limit may always be lowered
    (warning,) = edit.committed.warnings
    assert "strategy.mm.parameters.leverage" in warning
    assert "production, bot=one" in warning
    (exceeding,) = refused(ruled, {"strategy.mm.parameters.leverage": 2.9})
    assert (exceeding.environment, exceeding.labels.get("bot")) == ("production", "one")


def test_a_bot_goes_live_when_everything_is_there_and_not_before(ruled: Store) -> None:
    switch = {"fleet.bots.one.labels.mode": "live"}
    assert rules(refused(ruled, switch, "production")) >= {
        ("risk.global", "live-limits"),
        ("risk.parameters", "live-limits"),
    }
    change(ruled, {"risk.global": LIMITS, "risk.parameters": PARAMETERS})
    change(ruled, {"bot.one.broker.type": "binance_live"}, "production", "mode=live")
    (keys,) = refused(ruled, switch, "production")
    assert (keys.path, keys.rule) == ("exchange.binance.credentials", "live-credentials")
    change(ruled, {"exchange.binance.credentials": KEYS}, "production")
    change(ruled, switch, "production")
    assert ruled.get("bot.one.broker.type", "production", {"bot": "one"}).value == "binance_live"
    assert rules(refused(ruled, {"exchange.binance": ...}, "production")) == {
        ("exchange.binance.credentials", "live-credentials")
    }
    assert rules(refused(ruled, {"risk.parameters": None}, "production")) == {("risk.parameters", "live-limits")}
    change(ruled, {"fleet.bots.one.labels.mode": "paper"}, "production")


def test_a_bot_that_is_new_and_live_needs_the_same(ruled: Store) -> None:
    assert rules(refused(ruled, {"fleet.bots.two.labels": {"mode": "live", "strategy": "mm"}})) >= {
        ("risk.global", "live-limits")
    }
    change(
        ruled,
        {
            "risk.global": LIMITS,
            "risk.parameters": PARAMETERS,
            "fleet.bots.two.labels": {"mode": "live", "strategy": "mm"},
        },
    )
    assert rules(refused(ruled, {"exchange.hyperliquid.credentials": {}})) == {
        ("exchange.hyperliquid.credentials", "live-credentials"),
    }


def test_a_live_broker_is_for_a_live_bot(ruled: Store) -> None:
    live = {"bot.one.broker.type": "binance_live"}
    assert ("bot.one.broker.type", "live-broker") in rules(refused(ruled, live))
    change(ruled, {"risk.global": LIMITS, "risk.parameters": PARAMETERS, "exchange.binance.credentials": KEYS})
    change(ruled, {**live, "fleet.bots.one.labels.mode": "live"})
    assert ("bot.one.broker.type", "live-broker") in rules(refused(ruled, {"fleet.bots.one.labels.mode": "paper"}))
    assert ("bot.one.broker.type", "live-broker") in rules(refused(ruled, {"fleet.bots.one": None}, "production"))
    change(ruled, {"fleet.bots.one.labels.mode": "paper", "bot.one.broker.type": "binance_paper"})


def test_dependencies_hold(ruled: Store) -> None:
    (missing,) = refused(ruled, {"meta.strategy.mm.dependencies": ["risk.global", "exchange.hyperliquid"]})
    assert (missing.path, missing.rule) == ("meta.strategy.mm.dependencies", "dependencies")
    change(ruled, {"risk.global": LIMITS})
    change(ruled, {"meta.strategy.mm.dependencies": ["risk.global", "bot.one"]})
    (needed,) = refused(ruled, {"risk": None}, "production")
    assert (needed.path, needed.environment) == ("risk.global", "production")
    assert rules(refused(ruled, {"meta.bot.one.dependencies": ["strategy.mm"]})) == {
        ("meta.bot.one.dependencies", "dependencies")
    }
    change(ruled, {"risk.global": ..., "meta.strategy.mm.dependencies": ["bot.one"]})


def test_a_users_rule_is_obeyed_where_it_holds_and_judges_what_stands_when_it_comes(ruled: Store) -> None:
    rule = {
        "documents": "strategy.*",
        "cel": "doc.parameters.leverage * 2 <= at('risk.global.max_leverage')",
        "message": "half of the limit at most",
        "environments": ["production"],
    }
    change(ruled, {"risk.global": LIMITS})
    (standing,) = refused(ruled, {"rule.half": rule})
    assert (standing.path, standing.why, standing.environment) == ("strategy.mm", rule["message"], "production")
    change(ruled, {"rule.half": rule, "strategy.mm.parameters.leverage": 1.5})
    (lowered,) = refused(ruled, {"risk.global.max_leverage": 2.9}, "production")
    assert lowered.rule == "half"
    (raised,) = refused(ruled, {"strategy.mm.parameters.leverage": 2})
    assert raised.environment == "production"
    change(ruled, {"rule.half.cel": "doc.parameters.leverage <= at('risk.global.max_leverage')"})
    change(ruled, {"strategy.mm.parameters.leverage": 2})


def test_a_users_rule_that_takes_too_long_refuses_and_is_taken_away_again(ruled: Store) -> None:
    many = f"[{','.join(['1'] * 200)}]"
    cel = f"removed || {many}.all(a, {many}.all(b, {many}.all(c, {many}.all(d, true))))"
    rule = {"documents": "trading", "cel": cel, "message": "never", "severity": "warn"}
    change(ruled, {"rule.slow": rule})  # nothing stands there yet
    (problem,) = refused(ruled, {"trading.max_daily_loss": 100})
    assert "processor time" in problem.why
    change(ruled, {"rule.slow": ...})
    change(ruled, {"trading.max_daily_loss": 100})


def test_a_rule_that_only_warns_is_told_with_the_commit(ruled: Store) -> None:
    rule = {"documents": "trading", "cel": "doc.max_daily_loss < 50", "message": "much", "severity": "warn"}
    change(ruled, {"rule.calm": rule})
    with ruled.edit("base", author="test") as edit:
        edit.set("trading.max_daily_loss", 100)
    assert [warning for warning in edit.committed.warnings if "trading" in warning and "much" in warning]
