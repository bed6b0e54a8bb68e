"""Risk: limits in base currency, limits as fractions, sizing, breakers, and what each exchange allows."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from immutables import Map
from pydantic import Field

from trimtab.categories.base import Category, Table
from trimtab.categories.units import Amount, Count, Factor, Flag, Number, Pct, Ratio, Seconds, Usd


class RiskParameters(Category):
    """`risk.parameters`: sizes and losses in base currency, distances in percent."""

    max_position_size: Amount
    daily_loss_limit: Amount
    max_positions: Annotated[Count, Field(ge=1, le=100)] | None = None
    max_exposure_per_token: Ratio | None = None
    stop_loss_percentage: Annotated[Pct, Field(ge=0, le=100)] | None = None
    take_profit_percentage: Annotated[Pct, Field(ge=0)] | None = None


class RiskLimits(Category):
    """`risk.global`: fractions, but for leverage (a factor), liquidity (USD) and the timeout (seconds)."""

    max_portfolio_risk: Ratio = 0.25
    max_position_size: Ratio = 0.10
    max_strategy_drawdown: Ratio = 0.15
    max_leverage: Annotated[Factor, Field(gt=0)] = 3.0
    max_correlation: Ratio = 0.7
    min_liquidity: Usd = Decimal(5000)
    max_daily_loss: Ratio = 0.08
    position_timeout: Annotated[Seconds, Field(gt=0)] = 7200


class RiskLimit(Category):
    """`risk.limits.<type>`: position limits for the portfolio, or for each of some tokens."""

    enabled: Flag = True
    max_position_size: Amount | None = None
    max_exposure: Ratio | None = None
    max_positions: Annotated[Count, Field(ge=1, le=100)] | None = None
    max_daily_loss: Amount | None = None
    tokens: Table[Amount] = Map()
    """The largest position in each token, by address."""


class PositionSizing(Category):
    """`risk.position_sizing`: fractions of the portfolio."""

    base_size: Ratio = 0.02
    max_size: Ratio = 0.05
    volatility_adjustment: Flag = True
    correlation_adjustment: Flag = True
    kelly_fraction: Ratio = 0.25


class RiskCircuitBreakers(Category):
    """`risk.circuit_breakers`: fractions, and how long trading rests."""

    loss_threshold: Ratio = 0.10
    profit_target: Ratio = 0.20
    timeout_period: Annotated[Seconds, Field(ge=0)] = 300


class ExchangeLimits(Category):
    """`risk.exchange_limits.<exchange>`; usual values are in `providers.EXCHANGE_LIMITS`."""

    max_open_orders: Annotated[Count, Field(ge=0)] | None = None
    max_position_value: Usd | None = None
    rate_limit_per_second: Annotated[Number, Field(gt=0)] | None = None
