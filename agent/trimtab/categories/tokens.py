"""Tokens, by their address."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from trimtab.categories.base import Category, Free, always
from trimtab.categories.trader import SlippageBps
from trimtab.categories.units import Address, Amount, Bps, Count, Flag
from trimtab.model.values import EMPTY


class Token(Category):
    """`token.<address>`; order sizes in the token itself, `extensions` are those of Token-2022."""

    address: Address
    symbol: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=10)]
    decimals: Annotated[Count, Field(ge=0, le=18)]
    custom_slippage_bps: SlippageBps | None = None
    transfer_fee_enabled: Flag = False
    transfer_fee_bps: Annotated[Bps, Field(ge=0, le=10_000)] | None = None
    min_order_size: Amount | None = None
    max_order_size: Amount | None = None
    extensions: Free = always(EMPTY)

    @model_validator(mode="after")
    def _sizes_in_order(self) -> Self:
        least, most = self.min_order_size, self.max_order_size
        if least is not None and most is not None and most < least:
            raise PydanticCustomError(
                "order",
                "must be at least min_order_size, which is {least}",
                {"at": "max_order_size", "least": str(least)},
            )
        return self
