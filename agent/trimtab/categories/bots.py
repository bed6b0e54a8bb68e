"""Bots. The nested shape is canonical; the flat one, with everything at the top, is accepted and respelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from trimtab.categories.base import Category, Free, Part, always
from trimtab.categories.operations import BotLogging, BotNotifications
from trimtab.categories.units import Amount, AnyRatio, Count, Pct, PositiveAmount, Ratio, Semver, Text, Words
from trimtab.model.values import EMPTY

BrokerType: TypeAlias = Literal["binance_live", "binance_paper", "ibkr_live", "ibkr_paper"]
Timeframe: TypeAlias = Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]
_ROUNDING: Final = 1e-9


class Broker(Part):
    """Where a bot trades; a `_live` broker is for bots in live mode only."""

    type: BrokerType
    initial_balance: PositiveAmount | None = None
    commission: Annotated[AnyRatio, Field(ge=0, le=0.1)] = 0.001


class Logic(Part):
    """How positions are entered, or left."""

    name: Text | None = None
    params: Free = always(EMPTY)


class BotStrategy(Part):
    """What a bot trades by; `params` are those that entry and exit share."""

    type: Text | None = None
    entry_logic: Logic = always(Logic())
    exit_logic: Logic = always(Logic())
    params: Free = always(EMPTY)


class RiskManagement(Part):
    """What a bot may risk; `_pct` fields are percent, the others fractions of the balance."""

    position_size: Annotated[AnyRatio, Field(gt=0, le=1)] | None = None
    max_open_trades: Annotated[Count, Field(ge=1, le=10)] = 1
    stop_loss_pct: Annotated[Pct, Field(gt=0, le=50)] | None = None
    take_profit_pct: Annotated[Pct, Field(gt=0, le=100)] | None = None
    max_daily_trades: Annotated[Count, Field(ge=1, le=100)] = 10
    max_daily_loss: Amount | None = None
    max_drawdown_pct: Annotated[Pct, Field(gt=0, le=50)] = 20
    risk_per_trade: Ratio | None = None
    position_sizing: Text | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        size, stop, take = self.position_size, self.stop_loss_pct, self.take_profit_pct
        if size is not None and size * self.max_open_trades > 1 + _ROUNDING:
            raise PydanticCustomError(
                "exposure",
                "{size} of the balance in each of {trades} open trades is more than there is",
                {"at": "position_size", "size": size, "trades": self.max_open_trades},
            )
        if stop is not None and take is not None and take < stop:
            raise PydanticCustomError(
                "order", "must be at least stop_loss_pct, which is {least}", {"at": "take_profit_pct", "least": stop}
            )
        return self


def _flat() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {
        "broker_type": ("broker", "type"),
        "initial_balance": ("broker", "initial_balance"),
        "commission": ("broker", "commission"),
        "strategy_type": ("strategy", "type"),
        "strategy_params": ("strategy", "params"),
        "entry_logic": ("strategy", "entry_logic"),
        "exit_logic": ("strategy", "exit_logic"),
        "log_level": ("logging", "level"),
    }
    for part, model in (
        ("risk_management", RiskManagement),
        ("notifications", BotNotifications),
        ("logging", BotLogging),
    ):
        found.update({name: (part, name) for name in model.model_fields if name != "level"})
        found.update({name: (part, *segments) for name, segments in model.other_spellings.items()})
    return found


class Bot(Category):
    """`bot.<id>`."""

    bot_id: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=50)]
    environment: Text | None = None
    version: Semver = "1.0.0"
    description: Words = ""
    broker: Broker
    symbol: Annotated[str, StringConstraints(strict=True, min_length=2, max_length=20)]
    timeframe: Timeframe
    strategy: BotStrategy = always(BotStrategy())
    risk_management: RiskManagement = RiskManagement()
    notifications: BotNotifications = BotNotifications()
    logging: BotLogging = BotLogging()

    other_spellings: ClassVar[Mapping[str, tuple[str, ...]]] = _flat()
