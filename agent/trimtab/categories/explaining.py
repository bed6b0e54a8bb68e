"""Explaining: from what pydantic says to what a person can act on: rule, reason, remedy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import ErrorDetails

from trimtab.categories import hints
from trimtab.categories.fields import Place, snake
from trimtab.model.errors import nearest
from trimtab.model.problems import MASK

_SHOWN: Final = 80
_UNITS: Final[Mapping[str, str]] = {
    "ratio": "a fraction of 1",
    "pct": "percent",
    "bps": "basis points",
    "ms": "milliseconds",
    "s": "seconds",
    "h": "hours",
    "usd": "USD",
    "MB": "MB",
}
MOMENT: Final = "a time with its zone, such as 2026-01-05T09:30:00Z"
_NEEDED: Final[Mapping[str, str]] = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number, or a text such as 1250.50",
    "bool": "true or false",
    "string": "a text",
    "tuple": "a list",
    "list": "a list",
    "dict": "an object",
    "mapping": "an object",
    "model": "an object",
    "datetime": MOMENT,
    "timezone": MOMENT,
}
_LENGTHS: Final = {
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
}
_TYPES: Final = frozenset({"amount", "moment"})
_RANGES: Final = frozenset({"greater_than_equal", "greater_than", "less_than_equal", "less_than"})


@dataclass(frozen=True, slots=True)
class Told:
    """A rule that is broken, why that is so, and what to do."""

    rule: str
    why: str
    remedy: str = ""


def explain(said: ErrorDetails, place: Place, above: Place) -> Told:
    """What an error means. `place` is the field's, `above` what it stands in."""
    kind = said["type"]
    context = said.get("ctx", {})
    if kind in {"missing", "extra_forbidden"}:
        return _of_name(said, place, above)
    if kind in _RANGES:
        return _out_of_range(said["input"], place, context)
    if kind in _LENGTHS:
        return Told("length", _LENGTHS[kind].format(**context))
    if kind == "string_pattern_mismatch":
        return Told("pattern", f"must be {place.said or 'of another form'}")
    if kind == "literal_error":
        return Told("choice", f"must be {context['expected']}", hints.of_word(said["input"], context["expected"]))
    needed = _NEEDED.get(kind.partition("_")[0])
    why = said["msg"] if needed is None else f"must be {needed}"
    rule = "type" if needed is not None or kind in _TYPES else kind.replace("_", "-")
    return Told(rule, why, hints.of_writing(said["input"], place) if rule == "type" else "")


def _of_name(said: ErrorDetails, place: Place, above: Place) -> Told:
    """A field that is missing, or that there is none of."""
    if said["type"] == "missing":
        usual = "" if place.usual is None else f"{json.dumps(place.usual)} is usual"
        return Told("required", f"{above.name} needs it", usual)
    name = snake(str(said["loc"][-1]))
    if name in above.elsewhere:
        return Told("unknown-field", f"{above.name} has no such field", above.elsewhere[name])
    known = nearest(name, above.fields) or f"Known are: {', '.join(sorted(above.fields))}"
    return Told("unknown-field", f"{above.name} has no such field", known)


def shown(value: Any, *, secret: bool) -> str:
    """A value as short JSON; a secret is not shown."""
    if secret:
        return MASK
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):  # whole numbers of thousands of digits, and what is nested as deep
        return "…"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _out_of_range(value: Any, place: Place, context: Mapping[str, Any]) -> Told:
    hint = hints.of_number(value, place)
    if hint:
        return Told("unit", hint)
    unit = _UNITS.get(place.unit or "", "")
    return Told("range", f"must be {_range(place, context)}" + (f" ({unit})" if unit else ""))


def _range(place: Place, context: Mapping[str, Any]) -> str:
    bounds = place.bounds or context
    least, above = bounds.get("ge"), bounds.get("gt")
    most, below = bounds.get("le"), bounds.get("lt")
    parts = [
        f"{words} {_number(bound)}"
        for words, bound in (("at least", least), ("more than", above), ("at most", most), ("less than", below))
        if bound is not None
    ]
    return " and ".join(parts)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
