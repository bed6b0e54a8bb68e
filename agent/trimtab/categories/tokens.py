"""Tokens, by their address."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from trimtab.categories.base import Category, Free, always
from trimtab.categories.trader import PriorityFee, SlippageBps, TokenOverride, Trader
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


class TradedToken(Token):
    """A token with what an order in it starts from: the trader's override for it, else its own, else the default."""

    slippage_bps: SlippageBps
    priority_fee: PriorityFee | None

    @classmethod
    def of(cls, token: Token, trader: Trader) -> TradedToken:
        """Both have been validated; nothing is validated again."""
        said = trader.token_overrides.get(token.address) or TokenOverride()
        own = trader.default_slippage_bps if token.custom_slippage_bps is None else token.custom_slippage_bps
        return cls.model_construct(
            token.model_fields_set,
            **dict(token),
            slippage_bps=own if said.slippage_bps is None else said.slippage_bps,
            priority_fee=trader.default_priority_fee if said.priority_fee is None else said.priority_fee,
        )
