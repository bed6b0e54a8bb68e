"""Edits that are made of others: what people say of limits, tokens and strategies, in the words of paths."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trimtab.model import paths
from trimtab.model.errors import UsageError
from trimtab_store.writer import LayerLike

if TYPE_CHECKING:
    from trimtab.categories import Token

_RISK_LIMITS: Final = ("risk", "global")


class ComposedEdits(ABC):
    """What whoever can `set` and `merge` can do, too."""

    @abstractmethod
    def set(self, path: str, value: object, layer: LayerLike = None) -> None:
        """Put a value in the place of everything at and below a path."""

    @abstractmethod
    def merge(self, path: str, value: object, layer: LayerLike = None) -> None:
        """Put the leaves of an object and leave the others alone."""

    def update(self, values: Mapping[str, object], layer: LayerLike = None) -> None:
        """Put values by path; where one is an object, its leaves are put and the others beside them left alone."""
        for path, value in values.items():
            self.merge(path, value, layer)

    def update_risk_limit(self, name: str, value: float | str | Decimal, layer: LayerLike = None) -> None:
        """Put one limit of `risk.global`; an exact amount as text or `Decimal`."""
        self.set(paths.join((*_RISK_LIMITS, name)), exact(value), layer)

    def add_token(self, token: Mapping[str, object] | Token, layer: LayerLike = None) -> None:
        """Put a token under its address, with what is said of it and nothing else; raises `UsageError` without one."""
        said = token if isinstance(token, Mapping) else token.model_dump(mode="json", exclude_unset=True)
        address = said.get("address")
        if not isinstance(address, str) or not address:
            raise UsageError("A token without an address is refused", "tokens stand under it", "Say its address")
        self.set(paths.join(("token", address)), {name: exact(value) for name, value in said.items()}, layer)

    def set_strategy_parameter(self, strategy: str, name: str, value: object, layer: LayerLike = None) -> None:
        """Put one parameter of a strategy."""
        self.set(paths.join(("strategy", strategy, "parameters", name)), exact(value), layer)


def exact(value: object) -> object:
    """A `Decimal` as the text that keeps it exact; anything else as it is."""
    return f"{value:f}" if isinstance(value, Decimal) and value.is_finite() else value
