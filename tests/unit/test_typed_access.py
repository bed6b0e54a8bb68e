"""Typed access, over both that give it: an agent in the process, and a reader attached to a sidecar."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.stages import Stage, made_stage
from tests.support.waiting import eventually
from trimtab import categories
from trimtab.model.errors import ModelRefused, PathNotFound, RequirementFailed, UsageError
from trimtab.reading import Reading

SOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
BOT = {
    "bot_id": "rsi",
    "broker": {"type": "binance_paper", "initial_balance": "10000.10"},
    "symbol": "BTCUSDT",
    "timeframe": "5m",
}
DOCUMENTS: dict[str, object] = {
    "risk.parameters": {"max_position_size": "1000.5", "daily_loss_limit": 500},
    "risk.global": {"max_leverage": 2.0},
    "circuit_breaker.config": {"latency_threshold_ms": 200, "error_rate_threshold": 0.05},
    "mev.protection": {"min_priority_fee": 1000, "max_priority_fee": 2000},
    "monitoring.config": {"log_level": "WARNING"},
    "system": {"database": {"host": "db", "password": "open sesame"}},
    f"token.{SOL}": {"address": SOL, "symbol": "SOL", "decimals": 9},
    f"token.{USDC}": {"address": USDC, "symbol": "USDC", "decimals": 6, "custom_slippage_bps": 10},
    "strategy.mm": {"exchange": "hyperliquid", "symbols": ["BTC-USD"], "parameters": {"size": 1000, "bands": [1, 2]}},
    "bot.rsi": BOT,
    "data.binance": {"interval": "5m", "rate_limit": {"requests_per_minute": 1200}},
    "data.failover": {"crypto": ["binance"]},
    "exchange.hyperliquid": {"testnet": True, "credentials": {"key": "hush"}},
}


@pytest.fixture(params=["agent", "attached"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    made = made_stage(request.param, tmp_path / "shared")
    made.commit(DOCUMENTS)
    made.sign()
    yield made
    made.close()


READS: dict[str, Callable[[Reading], object]] = {
    "risk_parameters": lambda config: config.risk_parameters(),
    "risk_limits": lambda config: config.risk_limits(),
    "circuit_breaker": lambda config: config.circuit_breaker(),
    "mev": lambda config: config.mev(),
    "monitoring": lambda config: config.monitoring(),
    "system": lambda config: config.system(),
    "trader": lambda config: config.trader(),
    "token": lambda config: config.token(SOL),
    "strategy": lambda config: config.strategy("mm"),
    "bot": lambda config: config.bot("rsi"),
    "data_source": lambda config: config.data_source("binance"),
    "exchange": lambda config: config.exchange("hyperliquid"),
}


@pytest.mark.parametrize("kind", sorted(READS))
def test_a_document_reads_as_its_model_and_the_same_object_each_time(stage: Stage, kind: str) -> None:
    config = stage.reader()
    found = READS[kind](config)
    assert isinstance(found, categories.MODELS[kind])
    assert READS[kind](config) is found


def test_what_is_said_is_read_and_what_is_not_has_its_default(stage: Stage) -> None:
    config = stage.reader()
    assert (config.risk_limits().max_leverage, config.risk_limits().max_correlation) == (2.0, 0.7)
    assert config.risk_parameters().max_position_size == Decimal("1000.5")
    assert config.bot("rsi").broker.initial_balance == Decimal("10000.10")
    assert config.circuit_breaker().half_open_max_requests == 3
    assert (config.mev().max_priority_fee, config.monitoring().log_level) == (2000, "WARNING")
    assert config.strategy("mm").exchange == ("hyperliquid",)
    assert (config.strategy("mm").parameters["size"], config.strategy("mm").parameters["bands"]) == (1000, (1, 2))
    assert config.data_source("binance").rate_limit.requests_per_minute == 1200
    assert config.exchange("hyperliquid").testnet is True


def test_a_secret_is_shown_only_when_it_is_asked_for(stage: Stage) -> None:
    config = stage.reader()
    password = config.system().database.password
    assert password is not None
    assert password.get_secret_value() == "open sesame"
    assert "sesame" not in repr(config.system())
    assert config.exchange("hyperliquid").credentials["key"].get_secret_value() == "hush"
    assert "hush" not in repr(config.exchange("hyperliquid"))


def test_a_change_is_seen_and_a_refused_one_leaves_the_last_good_value(stage: Stage) -> None:
    config = stage.reader()
    assert config.risk_limits().max_leverage == 2.0
    assert config.strategy("mm").enabled is False
    assert config.wait_for(stage.commit({"risk.global.max_leverage": 1.5, "strategy.mm.enabled": True}), 5)
    assert (config.risk_limits().max_leverage, config.strategy("mm").enabled) == (1.5, True)
    assert config.wait_for(stage.commit({"risk.global.max_leverage": -1}), 5)
    assert config.risk_limits().max_leverage == 1.5
    assert [one.path for one in config.refused] == ["risk.global"]


def test_a_token_falls_back_to_what_the_trader_says(stage: Stage) -> None:
    config = stage.reader()
    assert (config.token(SOL).slippage_bps, config.token(SOL).priority_fee) == (100, None)
    assert (config.token(USDC).slippage_bps, config.token(USDC).symbol) == (10, "USDC")
    trader = {"default_slippage_bps": 50, "default_priority_fee": 5000}
    assert config.wait_for(stage.commit({"trader": trader}), 5)
    assert (config.token(SOL).slippage_bps, config.token(SOL).priority_fee) == (50, 5000)
    assert (config.token(USDC).slippage_bps, config.token(USDC).priority_fee) == (10, 5000)
    assert config.trader().default_slippage_bps == 50
    overrides = {f"trader.token_overrides.{USDC}": {"slippage_bps": 7, "priority_fee": 9000}}
    assert config.wait_for(stage.commit(overrides), 5)
    assert (config.token(USDC).slippage_bps, config.token(USDC).priority_fee) == (7, 9000)
    assert config.wait_for(stage.commit({f"token.{SOL}.custom_slippage_bps": 3}), 5)
    assert config.token(SOL).slippage_bps == 3


def test_what_is_not_there_is_asked_for_again(stage: Stage) -> None:
    config = stage.reader()
    with pytest.raises(PathNotFound, match=r"strategy\.late"):
        config.strategy("late")
    assert config.wait_for(stage.commit({"strategy.late": {"enabled": True}}), 5)
    assert config.strategy("late").enabled is True


def test_a_first_read_of_what_the_model_refuses_says_so(stage: Stage) -> None:
    config = stage.reader()
    assert config.wait_for(stage.commit({"monitoring.config.log_level": "verbose"}), 5)
    with pytest.raises(ModelRefused, match="log_level"):
        config.monitoring()


@pytest.mark.parametrize("name", ["failover", "symbols", "rules"])
def test_a_name_that_stands_for_another_document_is_no_data_source(stage: Stage, name: str) -> None:
    with pytest.raises(UsageError, match=rf"data\.{name} is no data source"):
        stage.reader().data_source(name)


def test_a_bot_is_on_paper_until_its_label_says_that_it_is_live(stage: Stage) -> None:
    config = stage.reader()
    assert config.trading_mode() == "paper"
    assert config.wait_for(stage.commit({"fleet.bots.mm.labels.mode": "live"}), 5)
    assert config.trading_mode() == "live"
    assert config.wait_for(stage.commit({"fleet.bots.mm.labels.mode": "paper"}), 5)
    assert config.trading_mode() == "paper"


@pytest.mark.parametrize("path", ["trader.mode", 'trader."mode"'])
def test_who_looks_for_the_mode_beside_the_trader_is_told_where_it_is(stage: Stage, path: str) -> None:
    config = stage.reader()
    assert config.wait_for(stage.commit({"trader": {"default_slippage_bps": 50}}), 5)
    with pytest.raises(PathNotFound) as told:
        config[path]
    assert told.value.remedy == (
        "It is a label of the bot, read by trading_mode() and set at fleet.bots.<bot>.labels.mode"
    )


def test_while_a_requirement_fails_nothing_is_read_but_the_mode(stage: Stage) -> None:
    stage.commit({"fleet.bots.mm.labels.mode": "paper"})
    config = stage.reader(require={"mode": "paper"})
    assert config.wait_for(2, 5)
    before = {kind: read(config) for kind, read in READS.items() if kind != "mev"}
    stage.commit({"fleet.bots.mm.labels.mode": "live"})
    assert eventually(lambda: "requirement" in config.alarms)
    for kind, read in READS.items():  # mev was never read, trader is nowhere: neither is given
        with pytest.raises(RequirementFailed, match="mode=paper is required"):
            pytest.fail(f"{kind} is read: {read(config)!r}")
    assert config.trading_mode() == "live"
    stage.commit({"fleet.bots.mm.labels.mode": "paper", "risk.global.max_leverage": 1.0})
    assert eventually(lambda: "requirement" not in config.alarms)
    assert config.risk_limits().max_leverage == 1.0
    assert config.mev().min_priority_fee == 1000
    assert {kind: READS[kind](config) for kind in before if kind != "risk_limits"} == {
        kind: value for kind, value in before.items() if kind != "risk_limits"
    }


def test_typed_access_loads_pydantic_only_when_it_is_asked() -> None:
    program = (
        "import sys; from trimtab.typed import TypedAccess; from trimtab.typed_documents import TypedDocuments\n"
        "class Reader(TypedAccess):\n    def __init__(self): self._typed = TypedDocuments(self)\n"
        "Reader(); print('pydantic' in sys.modules, 'trimtab.categories' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False False"
