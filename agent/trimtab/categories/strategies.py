"""Strategies and optimizers; what a strategy's own parameters are is its own schema's business."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from trimtab.categories.base import Category, Free, Part, Several, always
from trimtab.categories.units import AnyRatio, Count, Factor, Flag, Ratio, Said, Semver, Text
from trimtab.model.values import EMPTY, freeze

TimeOfDay: TypeAlias = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"),
    Said("a time of day from 00:00 to 23:59"),
]
Zone: TypeAlias = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$"),
    Said("the name of a time zone such as UTC or Europe/Zurich"),
]


class TradingHours(Part):
    """From one time of day to another, in the schedule's time zone."""

    start: TimeOfDay = "00:00"
    end: TimeOfDay = "23:59"


class Schedule(Part):
    """When a strategy trades."""

    enabled: Flag = False
    timezone: Zone = "UTC"
    trading_hours: TradingHours = TradingHours()
    exclude_weekends: Flag = False


class Strategy(Category):
    """`strategy.<id>`. A strategy that does not say that it is enabled is not."""

    name: Text | None = None
    version: Semver = "1.0.0"
    enabled: Flag = False
    exchange: Several = ()
    symbols: tuple[Text, ...] = ()
    symbol_pairs: tuple[Annotated[tuple[Text, ...], Field(min_length=2, max_length=2)], ...] = ()
    parameters: Free = always(EMPTY)
    schedule: Schedule = Schedule()


class StrategyParameters(Part):
    """What the parameters of a strategy usually are, to be bound over `strategy.<id>.parameters`; more are left alone.

    Ratios but for the leverage, a factor. A strategy with parameters of other meanings has a model of its own.
    """

    model_config = ConfigDict(extra="ignore")

    position_size: Annotated[AnyRatio, Field(gt=0, le=1)] = 0.02
    max_positions: Annotated[Count, Field(ge=1, le=100)] = 5
    leverage: Annotated[Factor, Field(gt=0)] = 2.0
    timeframe: Text = "5m"
    lookback_period: Annotated[Count, Field(ge=1)] = 20
    stop_loss: Ratio = 0.02
    take_profit: Annotated[AnyRatio, Field(ge=0)] = 0.04
    max_drawdown: Ratio = 0.15
    order_type: Text = "limit"
    slippage_tolerance: Ratio = 0.001


class Optimizer(Category):
    """`optimizer.<id>`: free, with a schema of its own."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[Any, AfterValidator(freeze)]]  # pyright: ignore[reportIncompatibleVariableOverride] - how pydantic is told
