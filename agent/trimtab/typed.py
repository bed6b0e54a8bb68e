"""Typed access: the built-in documents as their models, under names instead of paths.

    config.risk_limits().max_leverage
    config.token("So111…").slippage_bps

Each call gives the newest value that the model accepted, parsed once for each change, not for each call. What is not
there raises `PathNotFound`, what the model refuses at the first call `ModelRefused`; later refusals keep the last good
value and show in `refused`, as with every binding.
"""
# ruff: noqa: SLF001 - one part with Binding: `current`, without the call of a property

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.categories import (
        Bot,
        CircuitBreaker,
        DataSource,
        Exchange,
        Mev,
        Monitoring,
        RiskLimits,
        RiskParameters,
        Strategy,
        System,
        TradedToken,
        Trader,
    )
    from trimtab.reader import Held
    from trimtab.typed_documents import TypedDocuments

PAPER: Final = "paper"
"""The mode of a bot whose labels name none: nobody trades for real money because something is missing."""
_MODE: Final = "mode"


class TypedAccess:
    """The typed methods of whatever reads an environment."""

    __slots__ = ()

    if TYPE_CHECKING:
        _typed: TypedDocuments

        @property
        def held(self) -> Held:
            """The served view with its name."""
            ...

        @property
        def labels(self) -> Mapping[str, str]:
            """The labels that it is read with."""
            ...

    @property
    def glanced(self) -> Held:
        """The served view with its name, as quick as it is told whether there is news."""
        return self.held

    def risk_parameters(self) -> RiskParameters:
        """`risk.parameters`."""
        bound = self._typed.risk_parameters
        return bound._value if bound._bell else bound._newest()

    def risk_limits(self) -> RiskLimits:
        """`risk.global`."""
        bound = self._typed.risk_limits
        return bound._value if bound._bell else bound._newest()

    def circuit_breaker(self) -> CircuitBreaker:
        """`circuit_breaker.config`."""
        bound = self._typed.circuit_breaker
        return bound._value if bound._bell else bound._newest()

    def mev(self) -> Mev:
        """`mev.protection`."""
        bound = self._typed.mev
        return bound._value if bound._bell else bound._newest()

    def monitoring(self) -> Monitoring:
        """`monitoring.config`."""
        bound = self._typed.monitoring
        return bound._value if bound._bell else bound._newest()

    def system(self) -> System:
        """`system`."""
        bound = self._typed.system
        return bound._value if bound._bell else bound._newest()

    def trader(self) -> Trader:
        """`trader`; its defaults where nobody said anything."""
        bound = self._typed.trader
        return bound._value if bound._bell else bound._newest()

    def token(self, address: str) -> TradedToken:
        """`token.<address>`, with the slippage and the fee that it is traded with: its own, or the trader's."""
        typed = self._typed
        bound, other = typed.tokens[address], typed.trader
        token = bound._value if bound._bell else bound._newest()
        trader = other._value if other._bell else other._newest()
        known = typed.traded.get(address)
        if known is not None and known[0] is token and known[1] is trader:
            return known[2]
        from trimtab.categories import TradedToken  # noqa: PLC0415 - it is imported already

        made = TradedToken.of(token, trader)
        typed.traded[address] = (token, trader, made)
        return made

    def strategy(self, name: str) -> Strategy:
        """`strategy.<name>`."""
        bound = self._typed.strategies[name]
        return bound._value if bound._bell else bound._newest()

    def bot(self, name: str) -> Bot:
        """`bot.<name>`."""
        bound = self._typed.bots[name]
        return bound._value if bound._bell else bound._newest()

    def data_source(self, name: str) -> DataSource:
        """`data.<name>`."""
        bound = self._typed.data_sources[name]
        return bound._value if bound._bell else bound._newest()

    def exchange(self, name: str) -> Exchange:
        """`exchange.<name>`."""
        bound = self._typed.exchanges[name]
        return bound._value if bound._bell else bound._newest()

    def trading_mode(self) -> str:
        """The label `mode`, `paper` where there is none: only `live` means real money. Never withheld."""
        held = self.glanced
        return (self.labels if held.withheld else held.view.labels).get(_MODE, PAPER)
