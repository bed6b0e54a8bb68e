"""Trader and trading: what every order starts from, and what one environment may risk in all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeAlias

from immutables import Map
from pydantic import Field

from trimtab.categories.base import Category, Part, Table
from trimtab.categories.units import Bps, Count, Ratio, Usd

SlippageBps: TypeAlias = Annotated[Bps, Field(ge=1, le=1_000)]
PriorityFee: TypeAlias = Annotated[Count, Field(ge=1_000, le=1_000_000)]


class TokenOverride(Part):
    """What the trader does otherwise for one token. It goes before what the token says itself."""

    slippage_bps: SlippageBps | None = None
    priority_fee: PriorityFee | None = None


class Trader(Category):
    """`trader`. The mode, paper or live, is a label of the bot and stands nowhere else."""

    found_elsewhere: ClassVar[Mapping[str, str]] = {
        "mode": "The mode is a label of each bot: set fleet.bots.<bot>.labels.mode to paper or live"
    }

    default_slippage_bps: SlippageBps = 100
    default_priority_fee: PriorityFee | None = None
    token_overrides: Table[TokenOverride] = Map()


class Trading(Category):
    """`trading`: usual are 0.01 of the portfolio and 100 USD a day in development, 0.05 and 5,000 in production."""

    max_position_size: Ratio | None = None
    max_daily_loss: Usd | None = None
