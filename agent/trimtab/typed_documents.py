"""The bindings behind typed access, each made when it is first asked for: pydantic is not imported before."""

from __future__ import annotations

import weakref
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from trimtab.model import documents, paths
from trimtab.model.errors import UsageError

if TYPE_CHECKING:
    from trimtab.binding import Binding
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
        Token,
        TradedToken,
        Trader,
    )

T = TypeVar("T")
FIXED: Final = {
    "risk_parameters": "risk.parameters",
    "risk_limits": "risk.global",
    "circuit_breaker": "circuit_breaker.config",
    "mev": "mev.protection",
    "monitoring": "monitoring.config",
    "system": "system",
    "trader": "trader",
}
"""Type → path of the documents that there is one of."""
_TRADER: Final = "trader"
NAMED: Final = {
    "token": ("tokens", "token"),
    "strategy": ("strategies", "strategy"),
    "bot": ("bots", "bot"),
    "data_source": ("data_sources", "data"),
    "exchange": ("exchanges", "exchange"),
}
"""Type → where its bindings are kept, and the category of the documents that there are many of."""


class Binds(Protocol):
    """What typed access needs of a reader."""

    def __contains__(self, path: str) -> bool: ...

    def bind(self, path: str, kind: type[T]) -> Binding[T]:
        """A typed, live view."""
        ...


class TypedDocuments:
    """The bindings of one reader. It does not keep its reader alive."""

    __slots__ = ("__weakref__", "_reader", *FIXED, *(kept for kept, _ in NAMED.values()), "traded")

    risk_parameters: Binding[RiskParameters]
    risk_limits: Binding[RiskLimits]
    circuit_breaker: Binding[CircuitBreaker]
    mev: Binding[Mev]
    monitoring: Binding[Monitoring]
    system: Binding[System]
    trader: Binding[Trader]
    tokens: dict[str, Binding[Token]]
    strategies: dict[str, Binding[Strategy]]
    bots: dict[str, Binding[Bot]]
    data_sources: dict[str, Binding[DataSource]]
    exchanges: dict[str, Binding[Exchange]]
    traded: dict[str, tuple[Token, Trader, TradedToken]]
    """Tokens as they were last asked for, and what they were made of."""

    def __init__(self, reader: object) -> None:
        """`reader` is what `Binds` says once it is made; here it may still be in the making."""
        self._reader = weakref.ref(cast("Binds", reader))
        for kind in FIXED:
            setattr(self, kind, _Unbound(self, kind))
        setattr(self, _TRADER, _UnboundTrader(self, _TRADER))
        for kind, (kept, category) in NAMED.items():
            setattr(self, kept, _Named(self, kind, category))
        self.traded = {}

    def there(self, path: str) -> bool:
        """Whether anything resolves at a path."""
        reader = self._reader()
        return reader is not None and path in reader

    def bind(self, kind: str, path: str) -> Binding[Any]:
        """The binding of a document."""
        from trimtab.categories import MODELS  # noqa: PLC0415 - brings pydantic, at first need

        reader = self._reader()
        assert reader is not None, "only its reader asks"
        return reader.bind(path, MODELS[kind])


class _Unbound:
    """Takes the place of a binding until it is first read."""

    __slots__ = ("_documents", "_kind")
    _bell = False

    def __init__(self, documents: TypedDocuments, kind: str) -> None:
        self._documents = weakref.ref(documents)
        self._kind = kind

    def _newest(self) -> Any:
        """Bind, and read."""
        held = self._documents()
        assert held is not None, "only they ask"
        bound = held.bind(self._kind, FIXED[self._kind])
        setattr(held, self._kind, bound)
        return bound.current


class _UnboundTrader(_Unbound):
    """The same for the trader, whose defaults hold where nobody said anything."""

    __slots__ = ()

    def _newest(self) -> Any:
        held = self._documents()
        assert held is not None, "only they ask"
        return super()._newest() if held.there(FIXED[_TRADER]) else _default_trader()


@cache
def _default_trader() -> Trader:
    from trimtab.categories import Trader  # noqa: PLC0415 - brings pydantic, at first need

    return Trader()


class _Named(dict[str, "Binding[Any]"]):
    """Bindings by name, made when they are first asked for; a name that there is nothing of is asked for again."""

    __slots__ = ("_category", "_documents", "_kind")

    def __init__(self, documents: TypedDocuments, kind: str, category: str) -> None:
        super().__init__()
        self._documents = weakref.ref(documents)
        self._kind, self._category = kind, category

    def __missing__(self, name: str) -> Binding[Any]:
        path = paths.join((self._category, name))
        if documents.KNOWN.type_of(path) != self._kind:
            raise UsageError(f"{path} is no {self._kind.replace('_', ' ')}", "the name stands for another document", "")
        held = cast("TypedDocuments", self._documents())
        bound = self[name] = held.bind(self._kind, path)
        return bound
