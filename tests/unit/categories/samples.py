"""One valid document of each type, at its path, with every required field and not much more."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final, cast

from trimtab import categories
from trimtab.model.canonical import Json
from trimtab.model.problems import Problem

SOL: Final = "So11111111111111111111111111111111111111112"
PATHS: Final[Mapping[str, str]] = {
    "trader": "trader",
    "trading": "trading",
    "risk_parameters": "risk.parameters",
    "risk_limits": "risk.global",
    "risk_limit": "risk.limits.portfolio",
    "position_sizing": "risk.position_sizing",
    "risk_circuit_breakers": "risk.circuit_breakers",
    "exchange_limits": "risk.exchange_limits.hyperliquid",
    "mev": "mev.protection",
    "token": f"token.{SOL}",
    "circuit_breaker": "circuit_breaker.config",
    "monitoring": "monitoring.config",
    "logging": "logging",
    "security": "security",
    "notifications": "notifications",
    "strategy": "strategy.mm",
    "bot": "bot.rsi",
    "optimizer": "optimizer.grid",
    "system": "system",
    "exchange": "exchange.hyperliquid",
    "data_source": "data.binance",
    "data_failover": "data.failover",
    "data_symbols": "data.symbols",
    "data_rules": "data.rules",
    "fleet_bot": "fleet.bots.mm-btc",
    "schema": "schema.mm",
    "rule": "rule.leverage",
    "template": "template.mm",
    "guard": "guard.config",
    "override": "override.config",
    "meta": "meta.risk.global",
}
_REQUIRED: Final[Mapping[str, dict[str, Json]]] = {
    "risk_parameters": {"max_position_size": 1000, "daily_loss_limit": 500},
    "mev": {"min_priority_fee": 1000, "max_priority_fee": 1000000},
    "token": {"address": SOL, "symbol": "SOL", "decimals": 9},
    "circuit_breaker": {"latency_threshold_ms": 200, "error_rate_threshold": 0.05},
    "bot": {
        "bot_id": "rsi",
        "broker": {"type": "binance_paper"},
        "symbol": "BTCUSDT",
        "timeframe": "5m",
    },
    "data_rules": {"crypto": {"primary": "binance"}},
    "schema": {"documents": "strategy_params.*", "version": 1, "text": "{}"},
    "rule": {"documents": "risk.global", "cel": "true", "message": "never"},
    "template": {"name": "mm", "category": "strategy", "documents": {"strategy.mm": {}}},
}


def sample(kind: str) -> dict[str, Json]:
    """A fresh valid document."""
    return deepcopy(_REQUIRED.get(kind, {}))


def with_field(kind: str, field: str, value: Json) -> dict[str, Json]:
    """The same with one field, `a.b` for one inside, set."""
    document: dict[str, Any] = sample(kind)
    *above, last = field.split(".")
    here = document
    for segment in above:
        here = cast("dict[str, Any]", here.setdefault(segment, {}))
    here[last] = value
    return document


def check(kind: str, document: Json) -> list[Problem]:
    """What is wrong with a document at its usual path."""
    return categories.check(kind, document, PATHS[kind])
