"""Typed access beside the least that a method can do, for whatever reads: `config.risk_limits()`."""

from __future__ import annotations

from functools import partial

from benchmarks import timing
from benchmarks.report import Section
from trimtab.model.canonical import Json
from trimtab.reading import Reading

TOKEN = "So11111111111111111111111111111111111111112"  # noqa: S105 - an address
DOCUMENTS: dict[str, Json] = {
    "risk.global.max_leverage": 2.0,
    "strategy.mm.enabled": True,
    f"token.{TOKEN}.address": TOKEN,
    f"token.{TOKEN}.symbol": "SOL",
    f"token.{TOKEN}.decimals": 9,
    "trader.default_slippage_bps": 50,
}
"""What has to be there, leaf by leaf."""
PLAIN = "a method that returns an attribute"
OURS = "config.risk_limits()"


class Holder:
    """What a bot would write by hand around values that never change."""

    def __init__(self, value: object) -> None:
        self._value = value
        self._named = {"mm": value}

    def plain(self) -> object:
        return self._value

    def named(self, name: str) -> object:
        return self._named[name]


def section(config: Reading, where: str, rounds: int) -> Section:
    holder = Holder(config.risk_limits())
    if config.risk_limits() != holder.plain() or config.token(TOKEN).slippage_bps != 50:
        raise AssertionError("they do not read the same")
    found = timing.interleave(
        {
            PLAIN: timing.call_loop(holder.plain),
            OURS: timing.call_loop(config.risk_limits),
            "a method that returns what a dict holds": timing.call_loop(partial(holder.named, "mm")),
            'config.strategy("mm")': timing.call_loop(partial(config.strategy, "mm")),
            "config.token(address), with the trader's defaults": timing.call_loop(partial(config.token, TOKEN)),
            "config.trading_mode()": timing.call_loop(config.trading_mode),
        },
        rounds,
    )
    return Section(f"Typed access, {where}", timing.rows(found, PLAIN, {OURS: 2.0}))
