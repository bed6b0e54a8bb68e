"""The example fleet, from its files through a real store to the typed access of agents on paper and live."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.integration.conftest import KEY
from tests.support.servers import Database
from trimtab import Agent
from trimtab.categories import ExchangeLimits, Optimizer, StrategyParameters
from trimtab.model.errors import PathNotFound
from trimtab.model.problems import DocumentsRefused
from trimtab_store.store import Store

SOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
BONK = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"


@pytest.fixture
def fleet(fleet_database: Database) -> Iterator[Store]:
    with Store.connect(fleet_database.login("trimtab_writer"), signing_key=KEY) as made:
        yield made


def agent_of(database: Database, bot: str, environment: str = "production") -> Agent:
    return Agent.connect(
        environment=environment,
        labels={"bot": bot},
        trust=KEY.trust(),
        database_url=database.login("trimtab_agent"),
    )


@pytest.mark.parametrize(
    ("environment", "bot", "mode", "leverage", "broker"),
    [
        ("production", "mm-btc", "paper", 3.0, "binance_paper"),
        ("production", "mr-eth", "live", 2.0, "binance_live"),
        ("development", "mr-eth", "paper", 3.0, "binance_paper"),
    ],
)
def test_every_worked_example_reads_back_through_the_typed_access(
    fleet_database: Database, environment: str, bot: str, mode: str, leverage: float, broker: str
) -> None:
    with agent_of(fleet_database, bot, environment) as config:
        assert (config.trading_mode(), config.risk_limits().max_leverage) == (mode, leverage)
        maker, reversion = config.strategy("market_maker"), config.strategy("mean_reversion")
        assert (maker.exchange, maker.symbols) == (("hyperliquid",), ("BTC-USD", "ETH-USD"))
        assert (maker.parameters["close_seconds"], maker.parameters["quartile"]) == (2820, 0.33)
        assert (reversion.symbols[2], reversion.parameters["deviation_threshold"]) == ("SOL-USD", 2.0)
        arbitrage = config.strategy("correlation_arbitrage")
        assert (arbitrage.enabled, arbitrage.symbol_pairs) == (False, (("BTC-USD", "BTC/USDT"),))
        paper, live = config.bot("rsi-paper"), config.bot("rsi-live")
        assert (paper.broker.type, paper.broker.initial_balance) == ("binance_paper", Decimal(10000))
        assert (live.broker.type, live.broker.initial_balance) == (broker, Decimal(50000))
        assert (live.risk_management.max_daily_loss, live.risk_management.risk_per_trade) == (Decimal(100), 0.01)
        assert (paper.environment, paper.risk_management.stop_loss_pct) == (environment, 5.0)
        if mode == "live":
            with pytest.raises(PathNotFound):
                config.bot("scalper")
        else:
            assert config.bot("scalper").strategy.exit_logic.params["trailing_multiplier"] == 3.0
        assert config.token(USDC).slippage_bps == 10
        assert config.token(SOL).slippage_bps == (50 if mode == "live" else 100)
        assert config.token(SOL).max_order_size == Decimal(500)
        assert config.exchange("hyperliquid").testnet is (environment != "production")
        assert config.data_source("binance").rate_limit.requests_per_minute == 1200
        assert (config.circuit_breaker().failure_threshold, config.mev().timeout_ms) == (5, 1000)
        assert config.system().environment == environment
        assert config.risk_parameters().max_positions == (10 if environment == "production" else 5)
        assert config.bind("risk.exchange_limits.phemex", ExchangeLimits).current.max_open_orders == 15
        usual = config.bind("strategy.mean_reversion.parameters", StrategyParameters).current
        assert (usual.position_size, usual.leverage, usual.timeframe) == (0.015, 2.0, "15m")
        grid = config.bind("optimizer.market_maker_grid", Optimizer).current
        assert grid.model_extra is not None
        assert (grid.model_extra["method"], grid.model_extra["ranges"]["quartile"]) == ("grid", (0.25, 0.4))
        assert config.refused == ()


def test_a_bot_goes_live_without_a_restart(fleet_database: Database, fleet: Store) -> None:
    with agent_of(fleet_database, "mm-btc") as config:
        assert (config.trading_mode(), config.bot("rsi-live").broker.type) == ("paper", "binance_paper")
        with fleet.edit("production", author="ada", reason="released") as edit:
            edit.set("fleet.bots.mm-btc.labels.mode", "live")
        assert config.wait_for(edit.committed.revision)
        assert (config.trading_mode(), config.bot("rsi-live").broker.type) == ("live", "binance_live")
        assert (config.risk_limits().max_leverage, config.token(SOL).slippage_bps) == (2.0, 50)


def test_what_a_writer_says_in_its_own_words_is_read_in_those_of_the_models(
    fleet_database: Database, fleet: Store
) -> None:
    with agent_of(fleet_database, "mr-eth") as config:
        assert config.strategy("mean_reversion").parameters["max_positions"] == 3
        with fleet.edit("production", author="ada") as edit:
            edit.update_risk_limit("maxDailyLoss", 0.05)
            edit.add_token({"address": BONK, "symbol": "BONK", "decimals": 5, "minOrderSize": Decimal("0.00001")})
            edit.set_strategy_parameter("mean_reversion", "max_positions", 2)
            edit.update({"trader": {"default_priority_fee": 20000}, "logging.level": "ERROR"})
        assert config.wait_for(edit.committed.revision)
        assert config.risk_limits().max_daily_loss == 0.05
        assert config.strategy("mean_reversion").parameters["max_positions"] == 2
        token = config.token(BONK)
        assert (token.min_order_size, token.slippage_bps, token.priority_fee) == (Decimal("0.00001"), 50, 20000)
        assert config["logging.level"] == "ERROR"


def edit_wrongly(fleet: Store) -> None:
    with fleet.edit("production", author="ada") as edit:
        edit.update_risk_limit("max_levrage", 2)
        edit.update_risk_limit("max_daily_loss", 5)
        edit.add_token({"address": BONK, "symbol": "BONK"})


def test_what_no_model_takes_is_not_committed(fleet: Store) -> None:
    before = fleet.queries.get("risk.global", "production")
    with pytest.raises(DocumentsRefused) as refused:
        edit_wrongly(fleet)
    found = {(one.path, one.rule) for one in refused.value.problems}
    assert found == {
        ("risk.global.max_levrage", "unknown-field"),
        ("risk.global.max_daily_loss", "unit"),
        (f"token.{BONK}.decimals", "required"),
    }
    assert fleet.queries.get("risk.global", "production") == before
