"""What validating one document of 30 fields costs, beside pydantic and JSON Schema validators alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Literal, cast

import jsonschema_rs
from pydantic import BaseModel, Field

from benchmarks import fixtures, timing
from benchmarks.report import Section, to_json
from trimtab import categories
from trimtab_store.validation.json_schema import compile_schema

PATH = "bot.rsi-live"
DOCUMENT: dict[str, Any] = {
    "bot_id": "rsi-live",
    "environment": "production",
    "version": "1.0.0",
    "description": "RSI and Bollinger entries with an ATR exit",
    "broker": {"type": "binance_live", "initial_balance": 50000, "commission": 0.001},
    "symbol": "BTCUSDT",
    "timeframe": "1h",
    "strategy": {
        "type": "rsi_bollinger",
        "entry_logic": {"name": "rsi_and_bollinger", "params": {"rsi_period": 14, "rsi_oversold": 30}},
        "exit_logic": {"name": "atr_stop", "params": {"atr_period": 14, "atr_multiplier": 2.0}},
    },
    "risk_management": {
        "position_size": 0.05,
        "max_open_trades": 1,
        "stop_loss_pct": 3.0,
        "take_profit_pct": 6.0,
        "max_daily_trades": 5,
        "max_daily_loss": 100,
        "max_drawdown_pct": 10.0,
        "risk_per_trade": 0.01,
        "position_sizing": "kelly_criterion",
    },
    "notifications": {"telegram_enabled": True, "trade_notifications": True, "error_notifications": True},
    "logging": {"level": "INFO", "log_file": "logs/rsi-live.log"},
}
FIELDS = 30
WRONG: dict[str, Any] = {**DOCUMENT, "timeframe": "1H", "risk_managment": {}, "version": "one"}
CAMEL: dict[str, Any] = {**{k: v for k, v in DOCUMENT.items() if k != "bot_id"}, "botId": "rsi-live"}


class Broker(BaseModel):
    type: Literal["binance_live", "binance_paper", "ibkr_live", "ibkr_paper"]
    initial_balance: float = Field(gt=0)
    commission: float = Field(0.001, ge=0, le=0.1)


class Logic(BaseModel):
    name: str
    params: dict[str, Any]


class Strategy(BaseModel):
    type: str
    entry_logic: Logic
    exit_logic: Logic


class Risk(BaseModel):
    position_size: float = Field(gt=0, le=1)
    max_open_trades: int = Field(1, ge=1, le=10)
    stop_loss_pct: float = Field(gt=0, le=50)
    take_profit_pct: float = Field(gt=0, le=100)
    max_daily_trades: int = Field(10, ge=1, le=100)
    max_daily_loss: float = Field(ge=0)
    max_drawdown_pct: float = Field(20, gt=0, le=50)
    risk_per_trade: float = Field(ge=0, le=1)
    position_sizing: str


class Notifications(BaseModel):
    telegram_enabled: bool = False
    trade_notifications: bool = True
    error_notifications: bool = True


class Logging(BaseModel):
    level: str = "INFO"
    log_file: str


class Bare(BaseModel):
    """The same document as somebody writes it who wants its types and bounds and nothing else."""

    bot_id: str = Field(min_length=1, max_length=50)
    environment: str
    version: str
    description: str
    broker: Broker
    symbol: str = Field(min_length=2, max_length=20)
    timeframe: Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]
    strategy: Strategy
    risk_management: Risk
    notifications: Notifications
    logging: Logging


def leaves(value: Any) -> int:
    return sum(map(leaves, cast("dict[str, Any]", value).values())) if isinstance(value, dict) else 1


def built_in(rounds: int) -> list[Section]:
    """Both limits at once: beside pydantic, and beside the fastest validator of JSON Schema."""
    bare, fast, ours = "bare pydantic", "jsonschema-rs with our schema", "categories.check"
    calls: dict[str, Callable[[], object]] = {
        bare: partial(Bare.model_validate, DOCUMENT),
        ours: partial(categories.check, "bot", DOCUMENT, PATH),
        "categories.check, camelCase: a second look": partial(categories.check, "bot", CAMEL, PATH),
        "our model alone": partial(categories.Bot.model_validate, DOCUMENT),
        fast: partial(jsonschema_rs.validator_for(schema()).is_valid, DOCUMENT),
        "jsonschema with our schema": partial(slow_validator(schema()).is_valid, DOCUMENT),
        "categories.check of a wrong document, three problems explained": partial(categories.check, "bot", WRONG, PATH),
    }
    if (
        leaves(DOCUMENT) != FIELDS
        or categories.check("bot", DOCUMENT, PATH)
        or categories.check("bot", CAMEL, PATH)
        or len(categories.check("bot", WRONG, PATH)) != 3
    ):
        raise AssertionError("these are not the documents")
    found = timing.interleave({name: timing.call_loop(call) for name, call in calls.items()}, rounds)
    beside = {name: found[name] for name in (fast, ours)}
    return [
        Section("A document of a built-in category, 30 fields", timing.rows(found, bare, {ours: 3.0})),
        Section("The same run beside jsonschema-rs", timing.rows(beside, fast, {ours: 3.0})),
    ]


def of_users(rounds: int) -> Section:
    bare, ours = "bare jsonschema-rs", "a user's schema, checked by us"
    fast = jsonschema_rs.validator_for(schema())
    calls: dict[str, Callable[[], object]] = {
        bare: partial(fast.is_valid, DOCUMENT),
        ours: partial(compile_schema(json.dumps(schema())).check, DOCUMENT, PATH),
        "jsonschema": partial(slow_validator(schema()).is_valid, DOCUMENT),
    }
    found = timing.interleave({name: timing.call_loop(call) for name, call in calls.items()}, rounds)
    return Section("The same by JSON Schema, as users' own documents are", timing.rows(found, bare, {ours: 3.0}))


def schema() -> dict[str, Any]:
    return dict(categories.json_schema("bot"))


def slow_validator(of: dict[str, Any]) -> Any:
    """The one that most people use; it comes without types."""
    return import_module("jsonschema").Draft202012Validator(of)


def main() -> int:
    rounds = 5 if fixtures.quick() else 100
    sys.stdout.write(to_json([*built_in(rounds), of_users(rounds)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
