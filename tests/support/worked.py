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
