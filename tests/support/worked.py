"""Worked documents that several tests compare with."""

from __future__ import annotations

from typing import Any

STRATEGY_DEFAULTS: dict[str, Any] = {
    "position_size": 0.02,
    "max_positions": 5,
    "leverage": 2.0,
    "timeframe": "5m",
    "lookback_period": 20,
    "stop_loss": 0.02,
    "take_profit": 0.04,
    "max_drawdown": 0.15,
    "order_type": "limit",
    "slippage_tolerance": 0.001,
}
"""What the template of a strategy begins with."""
STRATEGIES: dict[str, dict[str, Any]] = {
    "market_maker": {
        "enabled": True,
        "exchange": ("hyperliquid",),
        "symbols": ("BTC-USD", "ETH-USD"),
        "parameters": {
            "size": 1000,
            "symbol": "BTC-USD",
            "perc_from_lh": 0.35,
            "close_seconds": 2820,
            "trade_pause_mins": 15,
            "max_lh": 1250,
            "timeframe": "5m",
            "num_bars": 180,
            "max_risk": 1100,
            "sl_perc": 0.1,
            "exit_perc": 0.004,
            "max_tr": 550,
            "quartile": 0.33,
            "time_limit": 120,
            "sleep": 30,
        },
    },
    "mean_reversion": {
        "enabled": True,
        "exchange": ("hyperliquid",),
        "symbols": ("BTC-USD", "ETH-USD", "SOL-USD"),
        "parameters": {
            "lookback_period": 20,
            "deviation_threshold": 2.0,
            "position_size": 0.015,
            "max_positions": 3,
            "stop_loss": 0.025,
            "take_profit": 0.03,
            "timeframe": "15m",
        },
    },
    "correlation_arbitrage": {
        "enabled": False,
        "exchange": ("hyperliquid", "phemex"),
        "symbol_pairs": (("BTC-USD", "BTC/USDT"),),
        "parameters": {
            "correlation_window": 100,
            "min_correlation": 0.8,
            "divergence_threshold": 0.02,
            "position_size": 0.01,
            "max_positions": 2,
            "profit_target": 0.005,
            "timeframe": "5m",
        },
    },
}
"""The worked strategies of SPEC §3.7, as they are read."""
_SIGNALS: dict[str, Any] = {
    "rsi_period": 14,
    "rsi_oversold": 30,
    "bollinger_period": 20,
    "bollinger_deviations": 2.0,
}
_STOP: dict[str, Any] = {"atr_period": 14, "atr_multiplier": 2.0}
BOTS: dict[str, dict[str, Any]] = {
    "rsi-paper": {
        "broker.initial_balance": 10_000,
        "strategy.entry_logic.params": _SIGNALS,
        "strategy.exit_logic.params": _STOP,
        "risk_management.stop_loss_pct": 5,
        "risk_management.take_profit_pct": 10,
        "risk_management.max_daily_trades": 10,
        "risk_management.max_drawdown_pct": 20,
    },
    "rsi-live": {
        "broker.initial_balance": 50_000,
        "strategy.entry_logic.params": _SIGNALS,
        "strategy.exit_logic.params": _STOP,
        "risk_management.stop_loss_pct": 3,
        "risk_management.take_profit_pct": 6,
        "risk_management.max_daily_trades": 5,
        "risk_management.max_daily_loss": 100,
        "risk_management.max_drawdown_pct": 10,
        "risk_management.position_sizing": "kelly_criterion",
        "risk_management.risk_per_trade": 0.01,
    },
    "scalper": {
        "symbol": "BTCUSDT",
        "timeframe": "5m",
        "broker.initial_balance": 25_000,
        "strategy.entry_logic.params": {**_SIGNALS, "cooldown_bars": 3},
        "strategy.exit_logic.params": {**_STOP, "trailing_multiplier": 3.0},
        "risk_management.position_size": 0.05,
        "risk_management.max_open_trades": 2,
        "risk_management.stop_loss_pct": 2,
        "risk_management.take_profit_pct": 4,
        "risk_management.max_daily_trades": 20,
    },
}
"""The worked bots of SPEC §3.7, field by field, as they are read; the broker's type is that of the mode."""
