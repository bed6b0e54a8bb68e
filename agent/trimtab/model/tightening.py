"""Tightening: whether a new value of a limit lets a bot do less than the old one.

Read from names, for limits are called alike everywhere: `max_leverage`, `daily_loss_limit`, `min_liquidity`,
`enabled`. What no word tells the direction of is not judged.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final, Literal, TypeAlias

from trimtab.model import paths
from trimtab.model.values import Value

Direction: TypeAlias = Literal["down", "up"]

_UP: Final = frozenset({"min", "minimum", "cooldown", "pause"})
_DOWN: Final = frozenset(
    {"max", "maximum", "limit", "size", "leverage", "exposure", "loss", "drawdown", "slippage", "risk"}
    | {"positions", "trades", "orders", "fraction"}
)
_SWITCH: Final = "enabled"
_GUARDS: Final = frozenset({"protection", "breaker", "stop", "validation"})
"""A switch with one of these in its name is tighter when it is on."""


def direction(path: str) -> Direction | None:
    """Where the value at a canonical path moves when it is tightened; None where its name does not tell."""
    words = paths.parse(path)[-1].lower().split("_")
    if _SWITCH in words:
        return "up" if _GUARDS.intersection(words) else "down"
    if _UP.intersection(words[:1]):
        return "up"
    return "down" if _DOWN.intersection(words) else None


def tightens(path: str, old: Value, new: Value) -> bool:
    """Whether `new` is as tight as `old` or tighter; False where nothing tells."""
    if type(old) is type(new) and old == new:
        return True
    before, after = _number(old), _number(new)
    if before is None or after is None or isinstance(old, bool) is not isinstance(new, bool):
        return False
    where = direction(path)
    return where is not None and (after <= before if where == "down" else after >= before)


def _number(value: Value) -> Decimal | None:
    """A number, an exact amount written as text, or a switch as 0 or 1."""
    if not isinstance(value, bool | int | float | str):
        return None
    try:
        found = Decimal(str(int(value)) if isinstance(value, bool) else str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
