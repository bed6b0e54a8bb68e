r"""Conditions: what must hold between the parameters of one instance.

    condition = side sign side
    side      = factor *( "*" factor )
    factor    = parameter / number
    sign      = "<=" / "<" / ">=" / ">" / "==" / "!="

`stop_loss <= take_profit`, `position_size * max_open_trades <= 1`. Computed in decimal, as exactly as it is written.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Final, TypeAlias

from trimtab.model.canonical import Json
from trimtab.model.errors import ValueRefused
from trimtab_store.templates.parameters import exact

Factor: TypeAlias = "str | Decimal"
"""The name of a parameter, or a number."""

_SIGNS: Final[Mapping[str, Callable[[Decimal, Decimal], bool]]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}
_LONGEST: Final = 500
_SPLIT: Final = re.compile(r"(<=|>=|==|!=|<|>)")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")
_REMEDY: Final = "Write it as stop_loss <= take_profit, or position_size * max_open_trades <= 1"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `text` as it was written."""

    text: str
    left: tuple[Factor, ...]
    sign: str
    right: tuple[Factor, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that it speaks of, in order."""
        return tuple(dict.fromkeys(one for one in (*self.left, *self.right) if isinstance(one, str)))

    def holds(self, given: Mapping[str, Json]) -> bool:
        """Whether it holds; every parameter of `names` is given, and a number."""
        return _SIGNS[self.sign](_product(self.left, given), _product(self.right, given))


def parse(text: str) -> Condition:
    """The condition that a text says; raises `ValueRefused`."""
    parts = [part.strip() for part in _SPLIT.split(text)] if len(text) <= _LONGEST else []
    if len(parts) != 3:  # noqa: PLR2004 - left, sign, right
        raise ValueRefused(f"The condition {text[:80]!r} is refused", "it does not compare two sides", _REMEDY)
    left, sign, right = parts
    return Condition(text, _factors(left, text), sign, _factors(right, text))


def _factors(side: str, text: str) -> tuple[Factor, ...]:
    return tuple(_factor(word.strip(), text) for word in side.split("*"))


def _factor(word: str, text: str) -> Factor:
    if _NAME.fullmatch(word):
        return word
    if _NUMBER.fullmatch(word):
        return Decimal(word)
    why = f"{word[:40]!r} is neither a parameter nor a number" if word else "a side is empty"
    raise ValueRefused(f"The condition {text[:80]!r} is refused", why, _REMEDY)


def _product(side: tuple[Factor, ...], given: Mapping[str, Json]) -> Decimal:
    return reduce(operator.mul, (exact(given[one]) if isinstance(one, str) else one for one in side))
