from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.worked import STRATEGIES, STRATEGY_DEFAULTS
from trimtab.model import labels as labels_of
from trimtab.model import resolution, states
from trimtab.model.errors import UnavailableError
from trimtab.model.resolution import ABSENT
from trimtab.model.states import State
from trimtab.model.structure import Forest
from trimtab.model.values import thaw
from trimtab_store.files import FileRefused, FleetTree, read_tree

EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet"
ENVIRONMENTS = ("base", "development", "testing", "staging", "production")
BOTS = ("mm-btc", "mr-eth", "arb-btc")
# SPEC §3.2, §3.5, §3.6
RISK = {
    "global": {
        "max_portfolio_risk": 0.25,
        "max_position_size": 0.10,
        "max_strategy_drawdown": 0.15,
        "max_leverage": 3.0,
        "max_correlation": 0.7,
        "min_liquidity": 5000,
        "max_daily_loss": 0.08,
        "position_timeout": 7200,
    },
    "position_sizing": {
        "base_size": 0.02,
        "max_size": 0.05,
        "volatility_adjustment": True,
        "correlation_adjustment": True,
        "kelly_fraction": 0.25,
    },
    "circuit_breakers": {"loss_threshold": 0.10, "profit_target": 0.20, "timeout_period": 300},
    "exchange_limits": {
        "hyperliquid": {"max_open_orders": 20, "max_position_value": 50000, "rate_limit_per_second": 10},
        "phemex": {"max_open_orders": 15, "max_position_value": 30000, "rate_limit_per_second": 5},
    },
}
CIRCUIT_BREAKER = {
    "latency_threshold_ms": 200,
    "error_rate_threshold": 0.05,
    "failure_threshold": 5,
    "recovery_timeout_secs": 60,
    "half_open_max_requests": 3,
}
# SPEC §3.7
SCHEDULE = {
    "enabled": False,
    "timezone": "UTC",
    "trading_hours": {"start": "00:00", "end": "23:59"},
    "exclude_weekends": False,
}
RSI = {"rsi_period": 14, "rsi_oversold": 30, "bollinger_period": 20, "bollinger_deviations": 2.0}
# SPEC §3.8: path → (development, production)
SYSTEM: dict[str, tuple[Any, Any]] = {
    "environment": ("development", "production"),
    "log_level": ("INFO", "WARNING"),
    "database.port": (5432, 5432),
    "database.pool_size": (5, 20),
    "database.max_overflow": (10, 40),
    "database.ssl_mode": (ABSENT, "require"),
    "redis.port": (6379, 6379),
    "api.port": (8000, 8000),
    "api.workers": (4, 12),
    "orchestrator.max_concurrent_strategies": (10, 50),
    "orchestrator.strategy_timeout": (300, 180),
    "orchestrator.health_check_interval": (30, 15),
    "performance.max_latency_ms": (100, 50),
    "performance.throughput_target": (1000, 5000),
    "performance.memory_limit_mb": (2048, 8192),
    "cache_max_size_mb": (128, 1024),
    "max_concurrent_requests": (5, 20),
}


@pytest.fixture(scope="module")
def example() -> FleetTree:
    return read_tree(EXAMPLE)


def state_of(tree: FleetTree, environment: str) -> State:
    lineage = tree.forest.lineage(environment)
    items = [item for one in tree.environments if one.name in lineage.environments for item in one.items()]
    return states.build(lineage, items)


def read(tree: FleetTree, environment: str, path: str, **labels: str) -> Any:
    state = state_of(tree, environment)
    value = resolution.resolve_at(state, labels_of.effective(state, labels), path)
    return ABSENT if value is ABSENT else thaw(value)  # type: ignore[arg-type]  # ABSENT is the only Absent


def test_the_example_has_every_environment_parents_first(example: FleetTree) -> None:
    assert [one.name for one in example.environments] == list(ENVIRONMENTS)
    assert [one.parent for one in example.environments] == [None, "base", "base", "base", "base"]
    dimensions = ("region", "strategy", "mode", "node", "bot")
    assert [one.dimensions for one in example.environments] == [dimensions, None, None, None, None]
    assert all(one.layers[""].values for one in example.environments)


def test_the_example_has_its_categories_and_overlays(example: FleetTree) -> None:
    base, production = example.environments[0], example.environments[-1]
    categories = (
        "bot circuit_breaker data exchange fleet guard logging meta mev monitoring notifications optimizer override "
        "risk rule schema security strategy system template token trader trading"
    )
    assert sorted(base.layers[""].values) == categories.split()
    assert sorted(base.layers) == ["", "mode=live", "mode=paper"]
    overlays = ["", "bot=arb-btc", "bot=mm-btc", "mode=live", "mode=live,region=ny4", "region=ld4", "region=ny4"]
    assert sorted(production.layers) == overlays
    assert production.layers["mode=live"].hidden == ("bot.scalper",)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *[(f"risk.{name}", document) for name, document in RISK.items()],
        ("circuit_breaker.config", CIRCUIT_BREAKER),
        ("monitoring.config.alert_thresholds", {"error_rate": 0.05, "response_time": 1000, "memory_usage": 0.8}),
        ("monitoring.config.health_check_interval", 30),
        ("logging.max_file_size", "100MB"),
        ("logging.backup_count", 10),
        ("security.session_timeout", 3600),
        ("security.max_login_attempts", 5),
        ("trader.default_slippage_bps", 100),
        ("template.strategy.defaults", STRATEGY_DEFAULTS),
        ("strategy.market_maker.parameters", STRATEGIES["market_maker"]["parameters"]),
        ("strategy.market_maker.exchange", "hyperliquid"),
        ("strategy.market_maker.symbols", ["BTC-USD", "ETH-USD"]),
        ("strategy.market_maker.enabled", True),
        ("strategy.market_maker.schedule", SCHEDULE),
        ("strategy.mean_reversion.parameters", STRATEGIES["mean_reversion"]["parameters"]),
        ("strategy.mean_reversion.exchange", "hyperliquid"),
        ("strategy.mean_reversion.symbols", ["BTC-USD", "ETH-USD", "SOL-USD"]),
        ("strategy.mean_reversion.enabled", True),
        ("strategy.correlation_arbitrage.parameters", STRATEGIES["correlation_arbitrage"]["parameters"]),
        ("strategy.correlation_arbitrage.exchange", ["hyperliquid", "phemex"]),
        ("strategy.correlation_arbitrage.symbol_pairs", [["BTC-USD", "BTC/USDT"]]),
        ("strategy.correlation_arbitrage.enabled", False),
        ("bot.rsi-paper.broker", {"type": "binance_paper", "initial_balance": 10000, "commission": 0.001}),
        ("bot.rsi-paper.strategy.entry_logic.params", RSI),
        ("bot.rsi-paper.strategy.exit_logic.params", {"atr_period": 14, "atr_multiplier": 2.0}),
        ("bot.scalper.broker", {"type": "binance_paper", "initial_balance": 25000, "commission": 0.001}),
        ("bot.scalper.symbol", "BTCUSDT"),
        ("bot.scalper.timeframe", "5m"),
        ("bot.scalper.strategy.entry_logic.params", {**RSI, "cooldown_bars": 3}),
        (
            "bot.scalper.strategy.exit_logic.params",
            {"atr_period": 14, "atr_multiplier": 2.0, "trailing_multiplier": 3.0},
        ),
    ],
)
def test_the_example_has_the_numbers_of_the_specification(example: FleetTree, path: str, expected: Any) -> None:
    assert read(example, "base", path) == expected


@pytest.mark.parametrize(
    ("bot", "limits"),
    [
        (
            "rsi-paper",
            {"stop_loss_pct": 5.0, "take_profit_pct": 10.0, "max_daily_trades": 10, "max_drawdown_pct": 20.0},
        ),
        (
            "rsi-live",
            {
                "stop_loss_pct": 3.0,
                "take_profit_pct": 6.0,
                "max_daily_trades": 5,
                "max_daily_loss": 100,
                "max_drawdown_pct": 10.0,
                "position_sizing": "kelly_criterion",
                "risk_per_trade": 0.01,
            },
        ),
        (
            "scalper",
            {
                "position_size": 0.05,
                "max_open_trades": 2,
                "stop_loss_pct": 2.0,
                "take_profit_pct": 4.0,
                "max_daily_trades": 20,
            },
        ),
    ],
)
def test_the_worked_bots_keep_their_limits_and_rules(example: FleetTree, bot: str, limits: dict[str, Any]) -> None:
    for environment in ENVIRONMENTS:
        document = read(example, environment, f"bot.{bot}")
        risk = document["risk_management"]
        assert limits.items() <= risk.items()
        assert risk["position_size"] * risk["max_open_trades"] <= 1
        assert risk["take_profit_pct"] >= risk["stop_loss_pct"]
        assert (document["bot_id"], document["environment"]) == (bot, environment)


@pytest.mark.parametrize(("path", "expected"), SYSTEM.items())
def test_development_and_production_differ_as_specified(
    example: FleetTree, path: str, expected: tuple[Any, Any]
) -> None:
    assert tuple(read(example, name, f"system.{path}") for name in ("development", "production")) == expected


def test_trading_limits_are_those_of_the_specification(example: FleetTree) -> None:
    assert read(example, "development", "trading") == {"max_position_size": 0.01, "max_daily_loss": 100}
    assert read(example, "production", "trading") == {"max_position_size": 0.05, "max_daily_loss": 5000}


def test_a_live_broker_exists_only_where_the_mode_is_live(example: FleetTree) -> None:
    brokers = {
        (environment, bot): read(example, environment, "bot.rsi-live.broker.type", bot=bot)
        for environment in ENVIRONMENTS
        for bot in BOTS
    }
    live = {place for place, broker in brokers.items() if broker == "binance_live"}
    assert live == {("production", "mr-eth"), ("production", "arb-btc")}
    assert read(example, "production", "bot.rsi-live.broker", bot="mr-eth") == {
        "type": "binance_live",
        "initial_balance": 50000,
        "commission": 0.001,
    }


@pytest.mark.parametrize("region", ["ny4", "ld4", "fra2"])
def test_one_path_reads_differently_for_the_three_bots_in_every_region(example: FleetTree, region: str) -> None:
    found = [read(example, "production", "risk.global.max_leverage", bot=bot, region=region) for bot in BOTS]
    expected = {"ny4": [2.5, 1.8, 1.5], "ld4": [2.25, 2.0, 1.5], "fra2": [3.0, 2.0, 1.5]}
    assert found == expected[region]


def test_labels_decide_what_a_bot_reads_elsewhere_too(example: FleetTree) -> None:
    assert read(example, "production", "strategy.market_maker.parameters.size", bot="mm-btc") == 500
    assert read(example, "production", "notifications.trade_notifications", bot="mm-btc") is False
    assert read(example, "production", "bot.scalper", bot="mr-eth") is ABSENT
    devnet = "token.4zMMC9srt5Ri5X14GAgXhaHii3GnPAERYPJgZJDncDU"
    assert read(example, "production", devnet) is ABSENT
    assert read(example, "staging", devnet)["symbol"] == "USDC-DEV"


def test_every_bot_trades_on_paper_outside_production(example: FleetTree) -> None:
    modes = {
        environment: [labels_of.effective(state_of(example, environment), {"bot": bot})["mode"] for bot in BOTS]
        for environment in ENVIRONMENTS
    }
    paper = ["paper", "paper", "paper"]
    assert modes == dict.fromkeys(ENVIRONMENTS, paper) | {"production": ["paper", "live", "live"]}


def test_no_two_layers_of_the_example_conflict(example: FleetTree) -> None:
    for environment in ENVIRONMENTS:
        state = state_of(example, environment)
        for item in state.items():
            resolution.check_conflicts(state, item.environment, item.layer, item.path)


def test_the_example_holds_references_where_secrets_belong(example: FleetTree) -> None:
    words = {"password", "api_key", "api_secret", "secret", "telegram_token", "smtp_password", "credentials"}
    found = [item for one in example.environments for item in one.items() if words & {*item.path.split(".")}]
    assert {item.path.split(".")[1] for item in found} == {"hyperliquid", "phemex", "binance"}
    assert all(item.content.startswith(b'"SECURE:') for item in found)


def test_each_file_is_told_to_the_caller_once() -> None:
    seen: list[Path] = []
    read_tree(EXAMPLE, on_file=seen.append)
    assert sorted(seen) == sorted(EXAMPLE.rglob("*.yaml"))


GOOD = {
    "fleet.yaml": "environments:\n- name: base\n  dimensions: [region, mode, bot]\n- {name: paper-eu, parent: base}\n",
    "base/risk.yaml": "risk: {global: {max_leverage: 3.0}, parts: []}\n",
    "base/common.hide.yaml": '- data.suffixes.".L"\n- risk.old\n',
    "base/overlays/mode=live,region=ny4.yaml": "risk: {global: {max_leverage: 1.5}}\n",
    "base/overlays/mode=live.hide.yaml": "- risk.parts\n",
    "base/overlays/bot=a%2Fb.yaml": 'risk: {".L": 1}\n',
    "base/README.md": "not configuration\n",
    "base/risk.yaml~": "what an editor keeps\n",
    "base/#risk.yaml#": "what another keeps\n",
    "paper-eu/.keep": "",
}


def write(directory: Path, files: dict[str, str | None]) -> Path:
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
    return directory


def test_a_tree_is_read_layer_by_layer(tmp_path: Path) -> None:
    tree = read_tree(write(tmp_path, {**GOOD}))
    base, child = tree.environments
    assert (base.name, base.parent, base.dimensions) == ("base", None, ("region", "mode", "bot"))
    assert (child.name, child.parent, child.dimensions, child.layers) == ("paper-eu", "base", None, {})
    assert [(item.layer, item.path, item.content) for item in base.items()] == [
        ("", "risk.global.max_leverage", b"3.0"),
        ("", "risk.parts", b"[]"),
        ("", 'data.suffixes.".L"', b""),
        ("", "risk.old", b""),
        ("bot=a/b", 'risk.".L"', b"1"),
        ("mode=live", "risk.parts", b""),
        ("mode=live,region=ny4", "risk.global.max_leverage", b"1.5"),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fleet.json", '{"environments": [{"name": "base"}, {"name": "eu", "parent": "base"}]}'),
        ("fleet.toml", '[[environments]]\nname = "base"\n[[environments]]\nname = "eu"\nparent = "base"\n'),
        ("fleet.hcl", 'environments = [{ name = "base" }, { name = "eu", parent = "base" }]\n'),
    ],
)
def test_environments_are_declared_in_any_format_but_only_once(tmp_path: Path, name: str, text: str) -> None:
    tree = read_tree(write(tmp_path, {name: text, "base/.keep": "", "eu/.keep": ""}))
    assert (tree.declared, [(one.name, one.parent) for one in tree.environments]) == (
        True,
        [("base", None), ("eu", "base")],
    )
    write(tmp_path, {"fleet.yaml": "environments: [{name: base}]"})
    with pytest.raises(FileRefused, match="declares the environments, too"):
        read_tree(tmp_path)


def test_directories_alone_are_environments_that_inherit_from_base_unless_the_store_knows_better(
    tmp_path: Path,
) -> None:
    write(tmp_path, {f"{name}/.keep": "" for name in ("production", "canary", "base", "local")})
    alone = read_tree(tmp_path)
    assert (alone.declared, alone.local is not None) == (False, True)
    assert [(one.name, one.parent) for one in alone.environments] == [
        ("base", None),
        ("canary", "base"),
        ("production", "base"),
    ]
    known = Forest({"root": None, "production": "root", "canary": "production"}, {"root": ("mode", "bot")})
    told = read_tree(tmp_path, known=known)
    assert [(one.name, one.parent) for one in told.environments] == [
        ("base", None),
        ("production", "root"),
        ("canary", "production"),
    ]
    assert told.forest.lineage("canary").dimensions == ("mode", "bot")


@pytest.mark.parametrize(
    ("files", "rule", "named"),
    [
        ({"local/a.yaml": "a: {b: 1}"}, "empty", "neither fleet.yaml nor the directory"),
        ({"Production/a.yaml": "a: {b: 1}"}, "structure", "Production"),
        ({"base/.keep": "", "notes.txt": ""}, "unknown-file", "notes.txt"),
        ({"base/.keep": "", "local/overlays/mode=live.yaml": "a: {b: 1}"}, "unknown-file", "none belongs here"),
    ],
)
def test_a_tree_without_a_fleet_file_must_fit_all_the_same(
    tmp_path: Path, files: dict[str, str | None], rule: str, named: str
) -> None:
    with pytest.raises(FileRefused) as caught:
        read_tree(write(tmp_path, files))
    assert (caught.value.rule, named in str(caught.value)) == (rule, True), caught.value


def test_a_layer_is_made_of_files_of_any_format_that_say_different_paths(tmp_path: Path) -> None:
    files: dict[str, str | None] = {
        "base/risk.yml": "risk: {global: {max_leverage: 3.0}, parts: {}}\n",
        "base/more.json": '{"risk": {"global": {"max_correlation": 0.7}, "parts": {"a": 1}}, "mev": {"a": []}}',
        "base/last.toml": "[risk.global]\nmin_liquidity = 5000\n",
        "base/block.hcl": 'risk "parts" {\n  b = 2\n}\n',
        "local/mine.yaml": "risk: {global: {max_leverage: 1.0}}\n",
    }
    tree = read_tree(write(tmp_path, files))
    assert [(item.path, item.content) for item in sorted(tree.environments[0].items())] == [
        ("mev.a", b"[]"),
        ("risk.global.max_correlation", b"0.7"),
        ("risk.global.max_leverage", b"3.0"),
        ("risk.global.min_liquidity", b"5000"),
        ("risk.parts.a", b"1"),
        ("risk.parts.b", b"2"),
    ]
    assert tree.environments[0].layers[""].values["risk"] == {
        "parts": {"a": 1, "b": 2},
        "global": {"max_leverage": 3.0, "max_correlation": 0.7, "min_liquidity": 5000},
    }
    assert tree.local is not None
    assert tree.local.layers[""].values == {"risk": {"global": {"max_leverage": 1.0}}}


@pytest.mark.parametrize(
    ("file", "text", "rule", "named"),
    [
        ("fleet.yaml", "{}", "shape", "environments"),
        ("fleet.yaml", "environments: [base]", "shape", "entry 1"),
        ("fleet.yaml", "environments: [{name: base, parnet: x}]", "unknown-key", "Did you mean parent?"),
        ("fleet.yaml", "environments: [{parent: base}]", "shape", "name and parent are strings"),
        ("fleet.yaml", "environments: [{name: base, dimensions: [mode, 1]}]", "shape", "list of strings"),
        ("fleet.yaml", "environments: [{name: base, dimensions: [mode, mode]}]", "structure", "dimensions"),
        ("fleet.yaml", "environments: [{name: base}, {name: base}]", "duplicate", "base"),
        ("fleet.yaml", "environments: [{name: base, parent: root}]", "parent", "the parent root of base"),
        (
            "fleet.yaml",
            "environments: [{name: a, parent: base}, {name: base}]",
            "parent",
            "Declare the parent above it",
        ),
        ("fleet.yaml", "environments: [{name: Base}]", "structure", "Base"),
        ("bse/risk.yaml", "risk: {a: 1}", "unknown-file", "Did you mean base?"),
        ("notes.txt", "", "unknown-file", "notes.txt"),
        ("base/risk.txt", "risk: {a: 1}", "unknown-file", ".yaml, .yml, .json, .toml, .hcl or .env"),
        ("base/mode=live.yaml", "risk: {a: 1}", "unknown-file", "Move it to overlays/"),
        ("base/live.hide.yaml", "- risk.a", "unknown-file", "common.hide.yaml"),
        ("base/overlays/mode=live.env", "A=1", "format", "names no layer"),
        ("base/sizes.toml", "risk.parts.a = 1", "duplicate", "risk.parts"),
        ("base/tail.json", '{"risk": {"global": {"max_leverage": {}}}}', "duplicate", "risk.global.max_leverage"),
        ("base/more/risk.yaml", "risk: {a: 1}", "unknown-file", "more is refused"),
        ("base/more/risk.yaml", "risk: {a: 1}", "unknown-file", "a directory, and only overlays/ is one here"),
        ("base/overlays/more/risk.yaml", "risk: {a: 1}", "unknown-file", "a directory, and none belongs here"),
        ("base/risk.yaml", "[1]", "shape", "a list"),
        ("base/risk.yaml", "{}", "empty", "no values"),
        ("base/risk.yaml", "risk:", "category", "nothing"),
        ("base/risk.yaml", "risk: {}", "category", "an empty mapping"),
        ("base/risk.yaml", "risk: 1", "category", "a number"),
        ("base/risk.yaml", "risk: {a: 1, a: 2}", "duplicate-key", "line 1, column 14"),
        ("base/risk.yaml", 'risk: {"": 1}', "path", "empty segment"),
        ("base/risk.yaml", f"risk: {{{'k' * 300}: 1}}", "path", "255"),
        ("base/risk.yaml", f"risk: {{a: {'x' * 70_000}}}", "value", "risk.a"),
        ("base/fleet.yaml", "fleet: {bots: {a: {labels: {region: ny4}}}}", "layer", "fleet.bots.a.labels.region"),
        ("base/fleet.yaml", "fleet: {bots: {a: {labels: {mode: 1}}}}", "value", "fleet.bots.a.labels.mode"),
        ("base/overlays/mode=live.yaml", "fleet: {bots: {a: {labels: {mode: live}}}}", "layer", "mode=live"),
        ("base/overlays/mod=live.yaml", "risk: {a: 1}", "layer", "Did you mean mode?"),
        ("base/overlays/live.yaml", "risk: {a: 1}", "layer", "dimension=label"),
        ("base/overlays/common.yaml", "risk: {a: 1}", "selector", "no overlay"),
        (
            "base/overlays/region=ny4,mode=live.yaml",
            "risk: {a: 1}",
            "selector",
            "Rename it to mode=live,region=ny4.yaml",
        ),
        (
            "base/overlays/region=ny4,mode=paper.hide.yaml",
            "- risk.a",
            "selector",
            "Rename it to mode=paper,region=ny4.hide.yaml",
        ),
        ("base/overlays/mode=live.hide.yaml", "risk: {a: 1}", "shape", "a mapping"),
        ("base/overlays/mode=live.hide.yaml", "[]", "shape", "an empty list"),
        ("base/overlays/mode=live.hide.yaml", "- 1", "shape", "a number"),
        ("base/overlays/mode=live.hide.yaml", "- risk..a", "path", "risk..a"),
        ("base/overlays/mode=live.hide.yaml", '- risk.a\n- risk."a"', "duplicate", "risk.a"),
        ("base/overlays/mode=live.hide.yaml", "- fleet.bots.a.labels.mode", "layer", "fleet.bots.a.labels.mode"),
        ("base/common.hide.yaml", "- risk.parts", "hidden", "risk.parts"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, file: str, text: str, rule: str, named: str
) -> None:
    write(tmp_path, {**GOOD, file: text})
    with pytest.raises(FileRefused) as caught:
        read_tree(tmp_path)
    assert caught.value.rule == rule
    assert named in str(caught.value)
    assert caught.value.name.startswith(str(tmp_path / Path(file).parts[0]))
    assert caught.value.remedy


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD})
    write(tmp_path, {"paper-eu/.keep": None})
    (tmp_path / "paper-eu").rmdir()
    with pytest.raises(UnavailableError, match="No such file or directory"):
        read_tree(tmp_path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD})
    os.mkfifo(tmp_path / "base" / "mev.yaml")
    with pytest.raises(FileRefused, match="not a regular file"):
        read_tree(tmp_path)
