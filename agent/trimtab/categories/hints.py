"""Hints: numbers that would fit if they were meant in another unit, and numbers that are written as texts."""

from __future__ import annotations

import difflib
import re
from typing import Any, Final

from trimtab.categories.fields import Place

_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_WRITTEN: Final = frozenset({"amount", "usd"})
"""Units whose numbers may be texts."""
_QUOTED: Final = re.compile(r"'([^']*)'")
_LARGEST: Final = 1e15
"""Nobody mistook the unit of a number beyond."""
_LONGEST: Final = 40
_PERCENT: Final = 100
_FEW: Final = 100
"""Fewer milliseconds than these may have been meant as seconds."""
_MANY: Final = 1_000
"""More seconds than these may have been meant as milliseconds."""


def of_number(value: Any, place: Place) -> str:
    """What to say of a number that would fit in another unit; empty if none comes to mind."""
    if not isinstance(value, int | float) or abs(value) > _LARGEST:
        return ""
    if place.unit == "ratio" and value > 1:
        meant = f", {value:g} % is {value / 100:g}" if value <= _PERCENT and _fits(value / 100, place) else ""
        return f"{value:g} is no ratio: ratios are fractions of 1{meant}"
    if place.unit == "bps" and 0 < value < 1:
        return f"{value:g} are no basis points: as a fraction it would be {value * 10_000:g} basis points"
    if place.unit == "ms" and 0 < value < _FEW and _fits(value * 1000, place):
        return f"these are milliseconds: {value:g} s is {value * 1000:g} ms"
    if place.unit == "s" and value >= _MANY and _fits(value / 1000, place):
        return f"these are seconds: {value:g} ms is {value / 1000:g} s"
    return ""


def _fits(value: float, place: Place) -> bool:
    bounds: dict[str, float] = {**place.bounds}
    return bounds.get("ge", value) <= value <= bounds.get("le", value) and bounds.get(
        "gt", value - 1
    ) < value < bounds.get("lt", value + 1)


def of_writing(value: Any, place: Place) -> str:
    """What to write for a number that came as a text, or as a fraction where whole ones are needed."""
    if isinstance(value, str):
        return _of_text(value.strip(), place)
    if not isinstance(value, float) or abs(value) > _LARGEST or place.unit is None:
        return ""
    if 0 < value < 1 and place.unit == "bps":
        return f"Basis points are meant: as a fraction it would be {value * 10_000:g} of them"
    if 0 < value < 1 and place.unit == "ms":
        return f"Milliseconds are meant: {value:g} s is {value * 1000:g} ms"
    return f"Write {value:.0f}" if value.is_integer() else ""


def _of_text(text: str, place: Place) -> str:
    if len(text) > _LONGEST:
        return ""
    if text.endswith("%") and _is_number(text[:-1]):
        percent = float(text[:-1])
        return f"Write {percent / 100 if place.unit == 'ratio' else percent:g}"
    return f"Write {text} without quotes" if _is_number(text) and place.unit not in _WRITTEN else ""


def of_word(value: Any, expected: str) -> str:
    """Which of some words, in single quotes, another one was most likely meant to be."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return ""
    words = {word.lower(): word for word in _QUOTED.findall(expected)}
    written = value.strip().lower().replace("-", "_").replace(" ", "_")
    close = difflib.get_close_matches(written, words, n=1)
    return f"Did you mean {words[close[0]]}?" if close else ""


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None
