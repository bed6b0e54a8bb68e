"""What SPEC §3 says where nobody said anything, and what is called usual for required fields."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.support.worked import STRATEGY_DEFAULTS
from tests.unit.categories.samples import PATHS, sample
from trimtab import categories
from trimtab.categories import MODELS, Token, TradedToken, Trader, providers
from trimtab.categories.strategies import StrategyParameters

DEFAULTS: dict[str, dict[str, Any]] = {
    "trader": {"default_slippage_bps": 100},
    "risk_limits": {
        "max_portfolio_risk": 0.25,
        "max_position_size": 0.10,
        "max_strategy_drawdown": 0.15,
        "max_leverage": 3.0,
        "max_correlation": 0.7,
        "min_liquidity": Decimal(5000),
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
    "risk_circuit_breakers": {"loss_threshold": 0.10, "profit_target": 0.20, "timeout_period": 300},
    "circuit_breaker": {"failure_threshold": 5, "recovery_timeout_secs": 60, "half_open_max_requests": 3},
    "monitoring": {
        "alert_thresholds.error_rate": 0.05,
        "alert_thresholds.response_time": 1000,
        "alert_thresholds.memory_usage": 0.8,
        "health_check_interval": 30,
        "alert_webhook_url": None,
    },
    "logging": {"max_file_size": "100MB", "backup_count": 10},
    "security": {"session_timeout": 3600, "max_login_attempts": 5},
    "strategy": {
        "enabled": False,
        "schedule.timezone": "UTC",
        "schedule.trading_hours.start": "00:00",
        "schedule.trading_hours.end": "23:59",
        "schedule.exclude_weekends": False,
        "parameters": {},
    },
    "bot": {
        "version": "1.0.0",
        "broker.commission": 0.001,
        "risk_management.max_open_trades": 1,
        "risk_management.max_daily_trades": 10,
        "risk_management.max_drawdown_pct": 20,
    },
    "system": {
        "log_level": "INFO",
        "database.port": 5432,
        "database.pool_size": 5,
        "database.max_overflow": 10,
        "database.ssl_mode": None,
        "redis.port": 6379,
        "api.port": 8000,
        "api.workers": 4,
        "orchestrator.max_concurrent_strategies": 10,
        "orchestrator.strategy_timeout": 300,
        "orchestrator.health_check_interval": 30,
        "performance.max_latency_ms": 100,
        "performance.throughput_target": 1000,
        "performance.memory_limit_mb": 2048,
        "cache_max_size_mb": 128,
        "max_concurrent_requests": 5,
    },
    "data_source": {"retry_interval": 60, "caching.max_age_hours": 24, "api_key": None},
}


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, fields in DEFAULTS.items() for field in fields])
def test_a_field_that_nobody_set_has_its_default(kind: str, field: str) -> None:
    found: Any = MODELS[kind].model_validate(sample(kind))
    for segment in field.split("."):
        found = getattr(found, segment)
    assert found == DEFAULTS[kind][field]


def test_a_required_field_may_have_a_usual_value_that_the_schema_and_the_refusal_name() -> None:
    fields: Any = categories.json_schema("circuit_breaker")["properties"]
    assert (fields["latency_threshold_ms"]["default"], fields["error_rate_threshold"]["default"]) == (200, 0.05)
    remedies = {one.path: one.remedy for one in categories.check("circuit_breaker", {}, PATHS["circuit_breaker"])}
    assert remedies == {
        "circuit_breaker.config.latency_threshold_ms": "200 is usual",
        "circuit_breaker.config.error_rate_threshold": "0.05 is usual",
    }


def test_what_the_template_of_a_strategy_begins_with() -> None:
    assert StrategyParameters().model_dump() == STRATEGY_DEFAULTS


def test_a_token_is_traded_as_the_override_says_then_itself_then_the_trader() -> None:
    address = "So11111111111111111111111111111111111111112"
    plain = Token(address=address, symbol="SOL", decimals=9)
    own = Token(address=address, symbol="SOL", decimals=9, custom_slippage_bps=20)
    trader = Trader(default_slippage_bps=100, default_priority_fee=5000)
    override = Trader.model_validate({"token_overrides": {address: {"slippage_bps": 7}}, "default_priority_fee": 6000})
    found = [TradedToken.of(token, said) for token in (plain, own) for said in (trader, override)]
    assert [(one.slippage_bps, one.priority_fee) for one in found] == [(100, 5000), (7, 6000), (20, 5000), (7, 6000)]
    assert found[0].symbol == "SOL"
    assert found[0].decimals == 9


def test_what_the_providers_allow() -> None:
    limits = {name: one.requests_per_minute for name, one in providers.RATE_LIMITS.items()}
    assert limits == {
        "binance": 1200,
        "yahoo": 100,
        "polygon": 300,
        "finnhub": 60,
        "alpha_vantage": 5,
        "newsapi": 100,
        "openweather": 60,
        "fred": 120,
        "stocktwits": 200,
        "gnews": 10,
        "reddit": 60,
    }
    found = providers.RATE_LIMITS
    assert (found["binance"].burst_limit, found["yahoo"].burst_limit) == (100, 20)
    assert (found["polygon"].backoff_factor, found["finnhub"].max_retries) == (1.5, 3)
    assert {name: (one.primary, *one.fallbacks) for name, one in providers.RULES.items()} == {
        "crypto": ("binance", "coingecko", "alpha_vantage"),
        "stock_intraday": ("fmp", "alpaca", "alpha_vantage", "polygon"),
        "stock_daily": ("yahoo", "alpaca", "tiingo", "fmp"),
    }
    assert {name: (one.min_interval, one.max_interval) for name, one in providers.RULES.items()} == {
        "crypto": ("1m", "1M"),
        "stock_intraday": ("1m", "4h"),
        "stock_daily": ("1d", "1M"),
    }
    assert dict(providers.LOOKBACK_BARS) == {"crypto": 1000, "stock_daily": 252}
    hyperliquid, phemex = providers.EXCHANGE_LIMITS["hyperliquid"], providers.EXCHANGE_LIMITS["phemex"]
    assert hyperliquid.model_dump() == {
        "max_open_orders": 20, "max_position_value": Decimal(50000), "rate_limit_per_second": 10,
    }  # fmt: skip
    assert phemex.model_dump() == {
        "max_open_orders": 15, "max_position_value": Decimal(30000), "rate_limit_per_second": 5,
    }  # fmt: skip
    assert set(limits) <= set(providers.PROVIDERS)
