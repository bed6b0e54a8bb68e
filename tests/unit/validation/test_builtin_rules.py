"""The built-in rules, at, below and above what they permit, and what they read to know it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.validation.asking import ask, said
from trimtab.model import paths
from trimtab.model.resolution import ABSENT
from trimtab_store.validation.builtin import BUILT_IN_RULES
from trimtab_store.validation.rules import Rule

RULES = {rule.name: rule for rule in BUILT_IN_RULES}
Tree = dict[str, Any]

FLEET: Tree = {
    "exchange": {"hyperliquid": {"credentials": {"api_key": "SECURE:hl"}}, "binance": {"credentials": {"key": "k"}}},
    "risk": {
        "global": {"max_leverage": 3.0, "max_position_size": 0.1, "max_strategy_drawdown": 0.15},
        "parameters": {"max_position_size": "10", "daily_loss_limit": "100"},
    },
    "strategy": {
        "mm": {"enabled": True, "exchange": "hyperliquid", "parameters": {"leverage": 2.0}},
        "arb": {"enabled": False, "exchange": ["hyperliquid", "binance"], "parameters": {"leverage": 3}},
    },
    "bot": {"one": {"bot_id": "one", "broker": {"type": "binance_live"}}},
    "fleet": {"bots": {"one": {"labels": {"mode": "live"}}, "two": {"labels": {"mode": "live", "strategy": "mm"}}}},
}
ONE = {"bot": "one", "mode": "live"}
TWO = {"bot": "two", "mode": "live", "strategy": "mm"}
REMOVED = object()


def with_(tree: Tree, changes: dict[str, Any]) -> Tree:
    """A tree with some paths set or removed."""
    made = copy.deepcopy(tree)
    for path, value in changes.items():
        *above, last = paths.parse(path)
        here = made
        for segment in above:
            here = here.setdefault(segment, {})
        if value is REMOVED:
            del here[last]
        else:
            here[last] = value
    return made


def told(name: str, changes: dict[str, Any], labels: dict[str, str] | None = None, **how: Any) -> list[str]:
    how.setdefault("old", FLEET)
    old = how.pop("old")
    return said(ask(RULES[name], old, with_(old, changes), labels, **how))


@pytest.mark.parametrize("rule", BUILT_IN_RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("labels", [{}, ONE, TWO])
def test_a_fleet_in_order_is_in_order(rule: Rule, labels: dict[str, str]) -> None:
    if labels or rule.name != "live-broker":
        assert ask(rule, {}, FLEET, labels, moved=True) == []


def test_names_are_unique_and_every_rule_is_asked_for_something() -> None:
    assert len(RULES) == len(BUILT_IN_RULES)


# strategy-exchange


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"strategy.mm.exchange": "binance"}, []),
        ({"strategy.mm.exchange": ["binance", "hyperliquid"]}, []),
        ({"strategy.mm.exchange": []}, []),
        ({"strategy.mm.name": "x"}, []),
        (
            {"strategy.mm.exchange": "binanse"},
            ["refuse strategy.mm.exchange: there is no exchange binanse: exchange.binanse is not configured"],
        ),
        (
            {"strategy.mm.exchange": ["hyperliquid", "a.b"]},
            ['refuse strategy.mm.exchange: there is no exchange a.b: exchange."a.b" is not configured'],
        ),
        (
            {"strategy.arb.exchange": ["phemex"]},
            ["warn strategy.arb.exchange: there is no exchange phemex: exchange.phemex is not configured"],
        ),
        ({"strategy.mm.exchange": "phemex", "exchange.phemex.testnet": True}, []),
        ({"exchange.hyperliquid.testnet": True}, []),
        (
            {"exchange.hyperliquid": REMOVED},
            [
                "refuse strategy.mm.exchange: there is no exchange hyperliquid: exchange.hyperliquid is not configured",
                "warn strategy.arb.exchange: there is no exchange hyperliquid: exchange.hyperliquid is not configured",
            ],
        ),
        ({"exchange.hyperliquid": REMOVED, "strategy": REMOVED}, []),
        (
            {"strategy.arb.enabled": True, "exchange.binance": REMOVED},
            ["refuse strategy.arb.exchange: there is no exchange binance: exchange.binance is not configured"],
        ),
    ],
)
def test_the_exchanges_of_a_strategy_exist(changes: dict[str, Any], expected: list[str]) -> None:
    assert sorted(told("strategy-exchange", changes)) == expected


def test_a_misspelt_exchange_is_told_its_nearest_name() -> None:
    new = with_(FLEET, {"strategy.mm.exchange": ["hyperliquid", "hyperlquid"]})
    assert ask(RULES["strategy-exchange"], FLEET, new)[0].remedy == "Did you mean hyperliquid?"


# strategy-risk


@pytest.mark.parametrize(
    ("parameter", "below", "at", "above", "limit"),
    [
        ("leverage", 2.9, 3, 3.01, "max_leverage"),
        ("position_size", 0.05, 0.1, 0.1001, "max_position_size"),
        ("position_size", "0.05", "0.1", "0.10000000000000000001", "max_position_size"),
        ("max_drawdown", 0.1, 0.15, 0.16, "max_strategy_drawdown"),
        ("max_risk", 0.2, 0.25, 0.26, "max_portfolio_risk"),  # the default: the limits do not say
    ],
)
def test_a_strategy_risks_at_most_the_global_limit(parameter: str, below: Any, at: Any, above: Any, limit: str) -> None:
    place = f"strategy.mm.parameters.{parameter}"
    assert told("strategy-risk", {place: below}) == []
    assert told("strategy-risk", {place: at}) == []
    (problem,) = told("strategy-risk", {place: above})
    assert problem.startswith(f"refuse {place}: it is more than risk.global.{limit}")
    assert told("strategy-risk", {place: above, "strategy.mm.enabled": False})[0].startswith(f"warn {place}")


def test_a_strategy_that_was_not_looked_at_closely_is_when_it_is_enabled() -> None:
    old = with_(FLEET, {"strategy.arb.parameters.leverage": 9})
    assert told("strategy-risk", {"strategy.arb.enabled": True}, old=old)[0].startswith("refuse")


@pytest.mark.parametrize("amount", [1.01, 1100, "1100"])
def test_a_risk_that_is_an_amount_is_not_compared_with_a_share(amount: Any) -> None:
    assert told("strategy-risk", {"strategy.mm.parameters.max_risk": amount}) == []


@pytest.mark.parametrize("value", [True, None, "many", "NaN", [9], {"a": 9}])
def test_what_is_no_number_is_left_to_the_schema(value: Any) -> None:
    assert told("strategy-risk", {"strategy.mm.parameters.leverage": value}) == []


def test_a_global_limit_is_lowered_in_any_case_and_warns_of_the_strategies_that_exceed_it() -> None:
    assert told("strategy-risk", {"risk.global.max_leverage": 3}) == []
    assert told("strategy-risk", {"risk.global.max_leverage": 2}) == [
        "warn strategy.arb.parameters.leverage: it is more than risk.global.max_leverage, which is 2"
    ]
    assert told("strategy-risk", {"risk.global.max_leverage": 1.9})[1] == (
        "warn strategy.mm.parameters.leverage: it is more than risk.global.max_leverage, which is 1.9"
    )
    assert told("strategy-risk", {"risk.global.max_leverage": 1, "strategy.mm.parameters.leverage": 1})[1:] == []


def test_without_global_limits_nothing_is_compared() -> None:
    assert told("strategy-risk", {"risk.global": REMOVED, "strategy.mm.parameters.leverage": 99}) == []


def test_the_first_global_limits_are_compared_with_what_strategies_risk() -> None:
    old = with_(FLEET, {"risk.global": REMOVED, "strategy.mm.parameters.leverage": 4})
    assert told("strategy-risk", {"risk.global": {"max_leverage": 4}}, old=old) == []
    assert told("strategy-risk", {"risk.global": {"min_liquidity": 1}}, old=old)[0].startswith("warn strategy.mm")


def test_a_limit_that_is_taken_away_falls_back_to_its_default() -> None:
    old = with_(FLEET, {"risk.global.max_leverage": 5, "strategy.mm.parameters.leverage": 4})
    assert told("strategy-risk", {"risk.global.max_leverage": REMOVED}, old=old)[0].startswith("warn strategy.mm")


# live-broker


@pytest.mark.parametrize(
    ("labels", "modes", "refused"),
    [
        ({"bot": "one", "mode": "live"}, {"one": "live"}, False),
        ({"bot": "one", "mode": "paper"}, {"one": "paper"}, True),
        ({"bot": "one"}, {}, True),
        ({"bot": "two", "mode": "paper"}, {"one": "live"}, False),  # its own reader is looked at instead
        ({"bot": "two", "mode": "paper"}, {}, True),  # nobody said that bot one is live
        ({"mode": "live"}, {}, False),
        ({}, {}, True),
    ],
)
@pytest.mark.parametrize("broker", ["binance_live", "ibkr_live"])
def test_a_live_broker_is_for_live_bots(
    broker: str, labels: dict[str, str], modes: dict[str, str], *, refused: bool
) -> None:
    bots = {name: {"labels": {"mode": mode}} for name, mode in modes.items()}
    old: Tree = {"fleet": {"bots": bots}, "bot": {"one": {"broker": {"type": "binance_paper"}}}}
    found = told("live-broker", {"bot.one.broker.type": broker}, labels, old=old)
    assert [one.split(":")[0] for one in found] == (["refuse bot.one.broker.type"] if refused else [])
    assert told("live-broker", {"bot.one.broker.type": "ibkr_paper"}, labels, old=old) == []


@pytest.mark.parametrize("mode", ["Live", "real", "papr", ""])
def test_a_bot_is_paper_or_live_and_nothing_else(mode: str) -> None:
    (line,) = told("bot-mode", {"fleet.bots.one.labels.mode": mode})
    assert line == "refuse fleet.bots.one.labels.mode: a bot is paper or live"
    for good in ("paper", "live", REMOVED):
        assert told("bot-mode", {"fleet.bots.one.labels.mode": good}) == []
    assert told("bot-mode", {"fleet.bots.one.labels.region": mode}) == []


def test_a_bot_with_a_live_broker_does_not_go_back_to_paper_alone() -> None:
    paper = {"bot": "one", "mode": "paper"}
    (problem,) = told("live-broker", {"fleet.bots.one.labels.mode": "paper"}, paper, moved=True)
    assert (
        problem == "refuse bot.one.broker.type: a live broker is for a bot whose mode is live, and this one's is paper"
    )
    changes = {"fleet.bots.one.labels.mode": "paper", "bot.one.broker.type": "binance_paper"}
    assert told("live-broker", changes, paper, moved=True) == []


def test_a_bot_whose_name_needs_quotes_is_found() -> None:
    old: Tree = {"fleet": {"bots": {"a.b": {"labels": {"mode": "paper"}}}}, "bot": {"a.b": {"broker": {}}}}
    found = told("live-broker", {'bot."a.b".broker.type': "ibkr_live"}, {"bot": "a.b", "mode": "paper"}, old=old)
    assert found[0].startswith('refuse bot."a.b".broker.type')


# live-limits


@pytest.mark.parametrize("document", ["risk.global", "risk.parameters"])
def test_live_mode_needs_its_limits(document: str) -> None:
    assert told("live-limits", {document: REMOVED}, {"mode": "paper"}) == []
    assert told("live-limits", {document: {"max_leverage": 1}}, ONE) == []
    expected = [f"refuse {document}: live mode needs these limits, and none are set"]
    assert told("live-limits", {document: REMOVED}, ONE) == expected
    assert told("live-limits", {document: {}}, ONE) == expected


def test_a_bot_does_not_go_live_without_limits() -> None:
    bare = {"fleet": {"bots": {"one": {"labels": {"mode": "paper"}}}}}
    switch = {"fleet.bots.one.labels.mode": "live"}
    assert len(told("live-limits", switch, ONE, old=bare, moved=True)) == 2
    limits = {"risk": FLEET["risk"]}
    assert told("live-limits", {**switch, **limits}, ONE, old=bare, moved=True) == []


# live-credentials


@pytest.mark.parametrize(
    ("credentials", "enough"),
    [
        ({"api_key": "k"}, True),
        ({"api_key": "SECURE:binance"}, True),
        ({"api_key": {"secret": 1}}, True),
        ("SECURE:binance", True),
        ({}, False),
        ({"api_key": ""}, False),
        ({"api_key": None}, False),
        (None, False),
        ("", False),
    ],
)
@pytest.mark.parametrize(("labels", "exchange"), [(ONE, "binance"), (TWO, "hyperliquid")])
def test_live_mode_needs_credentials_where_it_trades(
    labels: dict[str, str], exchange: str, credentials: Any, *, enough: bool
) -> None:
    change = {f"exchange.{exchange}.credentials": credentials}
    user = "bot.one" if labels is ONE else "strategy.mm"
    why = f"{user} trades live on {exchange}, which has no credentials"
    expected = [] if enough else [f"refuse exchange.{exchange}.credentials: {why}"]
    assert told("live-credentials", change, labels) == expected
    assert told("live-credentials", change, {**labels, "mode": "paper"}) == []
    assert told("live-credentials", {**change, f"exchange.{exchange}.testnet": True}, labels) == []


@pytest.mark.parametrize(
    ("changes", "labels", "count"),
    [
        ({"strategy.mm.exchange": "phemex", "exchange.phemex.fees": {}}, TWO, 1),
        ({"strategy.mm.exchange": "phemex", "exchange.phemex.testnet": True}, TWO, 0),
        ({"strategy.mm.exchange": "phemex", "exchange.phemex.fees": {}}, ONE, 0),
        ({"strategy.arb.exchange": "phemex", "exchange.phemex.fees": {}}, TWO, 0),
        ({"bot.one.broker.type": "ibkr_live"}, ONE, 1),
        ({"bot.one.broker.type": "ibkr_paper"}, ONE, 0),
        ({"bot.one.broker.type": "ibkr_live"}, TWO, 0),
        ({"exchange.hyperliquid": REMOVED}, TWO, 1),
        ({"exchange.hyperliquid": REMOVED}, ONE, 0),
        ({"exchange.hyperliquid.fees.maker": 0.001}, TWO, 0),
    ],
)
def test_only_where_a_live_bot_trades_are_credentials_asked_for(
    changes: dict[str, Any], labels: dict[str, str], count: int
) -> None:
    assert len(told("live-credentials", changes, labels)) == count


@pytest.mark.parametrize("moved", [True, False])
@pytest.mark.parametrize("labels", [{"strategy": "mm"}, {}])
def test_a_bot_does_not_go_live_without_credentials(labels: dict[str, str], *, moved: bool) -> None:
    """By its strategy, and by any that is enabled where it names none."""
    old = with_(FLEET, {"exchange.hyperliquid.credentials": REMOVED, "fleet.bots.three.labels": {"mode": "paper"}})
    switch = {"fleet.bots.three.labels": {"mode": "live", **labels}}
    target = {"bot": "three", "mode": "live", **labels}
    (problem,) = told("live-credentials", switch, target, old=old, moved=moved)
    assert problem.startswith("refuse exchange.hyperliquid.credentials: strategy.mm trades live on hyperliquid")


def test_a_bot_with_a_broker_of_its_own_runs_no_strategies() -> None:
    old = with_(FLEET, {"exchange.hyperliquid.credentials": REMOVED, "fleet.bots.one.labels.mode": "paper"})
    assert told("live-credentials", {"fleet.bots.one.labels.mode": "live"}, ONE, old=old, moved=True) == []


# dependencies


CIRCLE = "dependencies: it depends on itself:"
META: Tree = with_(
    FLEET,
    {
        "meta.strategy.mm.dependencies": ["risk.global", "exchange.hyperliquid"],
        "meta.risk.global.owner": "risk",
        "data": {"symbols": {"patterns": []}},
    },
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"meta.strategy.mm.owner": "me"}, []),
        ({"meta.strategy.mm.dependencies": ["risk.global"]}, []),
        ({"meta.strategy.mm.dependencies": []}, []),
        (
            {"meta.strategy.arb.dependencies": ["exchange.phemex", "risk.global"]},
            ["refuse meta.strategy.arb.dependencies: there is no exchange.phemex"],
        ),
        ({"meta.strategy.arb.dependencies": ["exchange.phemex"], "exchange.phemex.testnet": True}, []),
        (
            {"meta.strategy.arb.dependencies": ["a..b"]},
            ["refuse meta.strategy.arb.dependencies: 'a..b' is no path of a document"],
        ),
        (
            {"meta.strategy.arb.dependencies": ["meta.strategy.mm"]},
            ["refuse meta.strategy.arb.dependencies: 'meta.strategy.mm' is no path of a document"],
        ),
        ({"exchange.hyperliquid": REMOVED}, ["refuse exchange.hyperliquid: strategy.mm depends on it"]),
        ({"risk.global": REMOVED}, ["refuse risk.global: strategy.mm depends on it"]),
        ({"exchange.binance": REMOVED}, []),
        ({"exchange.hyperliquid.credentials": {}}, []),
        ({"exchange.hyperliquid": REMOVED, "strategy.mm": REMOVED}, []),
        ({"exchange.hyperliquid": REMOVED, "meta.strategy.mm": REMOVED}, []),
        ({"exchange.hyperliquid": REMOVED, "meta.strategy.mm.dependencies": ["risk.global"]}, []),
        (
            {"exchange.hyperliquid": REMOVED, "meta.strategy.mm.dependencies": ["exchange.hyperliquid"]},
            ["refuse meta.strategy.mm.dependencies: there is no exchange.hyperliquid"],
        ),
        (
            {"meta.strategy.mm.dependencies": ["strategy.mm"]},
            ["refuse meta.strategy.mm.dependencies: it depends on itself: strategy.mm → strategy.mm"],
        ),
        (
            {"meta.risk.global.dependencies": ["strategy.mm"]},
            ["refuse meta.risk.global.dependencies: it depends on itself: risk.global → strategy.mm → risk.global"],
        ),
        (
            {
                "meta.risk.global.dependencies": ["data.symbols"],
                "meta.data.symbols.dependencies": ["exchange.binance", "strategy.mm"],
            },
            [
                f"refuse meta.data.symbols.{CIRCLE} data.symbols → strategy.mm → risk.global → data.symbols",
                f"refuse meta.risk.global.{CIRCLE} risk.global → data.symbols → strategy.mm → risk.global",
            ],
        ),
        (
            {"meta.risk.global.dependencies": ["data.symbols"], "meta.strategy.arb.dependencies": ["strategy.mm"]},
            [],
        ),
    ],
)
def test_dependencies_exist_in_no_circle_and_are_kept(changes: dict[str, Any], expected: list[str]) -> None:
    assert sorted(told("dependencies", changes, old=META)) == expected


def test_a_circle_elsewhere_ends_no_search() -> None:
    circle = {"meta.risk.global.dependencies": ["data.symbols"], "meta.data.symbols.dependencies": ["risk.global"]}
    assert told("dependencies", {"meta.strategy.arb.dependencies": ["risk.global"]}, old=with_(META, circle)) == []


# what they read


@pytest.mark.parametrize(
    ("name", "document", "before", "after", "expected"),
    [
        ("dependencies", "strategy.mm", {"a": 1}, {"a": 2}, ()),
        ("dependencies", "strategy.mm", ABSENT, {"a": 2}, ()),
        ("dependencies", "meta.strategy.mm", {"owner": "a"}, {"owner": "b"}, ()),
        ("strategy-risk", "strategy.mm", {"name": "a"}, {"name": "b"}, ()),
        ("strategy-risk", "strategy.mm", ABSENT, {"parameters": {"leverage": 2}}, ("risk.global",)),
        ("strategy-risk", "risk.global", {"max_leverage": 2}, {"max_leverage": 3}, ()),
        ("strategy-risk", "risk.global", {"min_liquidity": 2}, {"min_liquidity": 3}, ()),
        ("strategy-exchange", "strategy.mm", ABSENT, {"exchange": ["a"]}, ("exchange.a",)),
        ("strategy-exchange", "exchange.a", {"testnet": True}, {"testnet": False}, ()),
        ("live-credentials", "exchange.a", {"credentials": {"k": "1"}}, {"credentials": {"k": "2"}}, ()),
        ("live-broker", "bot.a", ABSENT, {"broker": {"type": "ibkr_live"}}, ()),
    ],
)
def test_an_ordinary_change_reads_little(
    name: str, document: str, before: Any, after: Any, expected: tuple[str, ...]
) -> None:
    assert RULES[name].watches(document)
    assert RULES[name].reads_also(document, before, after) == expected


@pytest.mark.parametrize(
    "document", ["token.abc", "system", "logging", "data.binance", "optimizer.x", "monitoring.config"]
)
def test_documents_that_no_rule_is_about_concern_only_those_that_depend_on_them(document: str) -> None:
    assert [rule.name for rule in BUILT_IN_RULES if rule.watches(document)] == ["dependencies"]
