"""Converting one value in an upgrade: exact, or refused with `ValueError` or `TypeError`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from trimtab.model import canonical
from trimtab.model.canonical import Json

Convert: TypeAlias = Callable[[Json], Json]
_TYPES: Final = ("string", "number", "integer")


def times(factor: Json) -> Convert:
    """A number times a number, as exact as it is written; an amount in text stays text."""
    by = _number(factor)

    def converted(value: Json) -> Json:
        product = (_number(value) * by).normalize()
        if isinstance(value, str):
            return f"{product:f}"
        if isinstance(value, int) and product == product.to_integral_value():
            return int(product)
        return _exactly(product)

    return converted


def as_type(kind: Json) -> Convert:
    """The same as another type: string, number or integer."""
    if kind not in _TYPES:
        raise ValueError(kind)

    def converted(value: Json) -> Json:
        if kind == "string":
            if isinstance(value, list | dict) or value is None:
                raise TypeError(value)
            return value if isinstance(value, str) else canonical.encode(value).decode()
        number = _number(value)
        if kind == "integer" and number != number.to_integral_value():
            raise ValueError(value)
        return int(number) if kind == "integer" or isinstance(value, int) else _exactly(number)

    return converted


def word_for_word(values: Json) -> Convert:
    """One word for another; a word that is not listed stays."""
    if not isinstance(values, dict):
        raise TypeError(values)

    def converted(value: Json) -> Json:
        return values.get(value, value) if isinstance(value, str) else value

    return converted


def _number(value: Json) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(value)
    found = Decimal(str(value))
    if not found.is_finite():
        raise ValueError(value)
    return found


def _exactly(number: Decimal) -> float:
    """A number as JSON has it; raises `ValueError` where that would be another one."""
    found = float(number)
    if Decimal(repr(found)) != number:
        raise ValueError(number)
    return found


WAYS: Final[Mapping[str, Callable[[Json], Convert]]] = {"factor": times, "type": as_type, "values": word_for_word}
"""What a step may say beside `convert`."""
