"""What the guards go by: the defaults, and what `guard.config` says instead."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Self

from trimtab.model import resolution
from trimtab.model.resolution import Absent
from trimtab.model.states import State
from trimtab.model.values import Document, Value

CONFIG: Final = "guard.config"
REMEDY: Final = "Look at `trimtab impact`; if it is meant, repeat it with --force REASON"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How much may go at once.

    A share of `max_removed_share` of the items, where there are at least `min_items`; and `max_risk_factor` is by how
    much a limit may be loosened.
    """

    max_removed_share: float = 0.5
    max_risk_factor: float = 5.0
    min_items: int = 5

    @classmethod
    def of(cls, before: State) -> Self:
        """Those of a line before the change that is judged; what is no number there counts as not said."""
        config = resolution.resolve_at(before, {}, CONFIG)
        said = config if isinstance(config, Document) else Document({})
        share = _number(said.get("max_removed_share"), cls().max_removed_share)
        factor = _number(said.get("max_risk_factor"), cls().max_risk_factor)
        least = _number(said.get("min_items"), cls().min_items)
        return cls(min(1.0, max(0.0, share)), max(1.0, factor), max(1, int(least)))


def _number(value: Value, default: float) -> float:
    found = number(value)
    return default if found is None else float(found)


def number(value: Value | Absent) -> Decimal | None:
    """A number, an exact amount written as text included; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
