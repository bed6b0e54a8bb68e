"""Fields of what others write: each is what it is asked for, exactly, or it is refused.

Everything here raises `TypeError` or `ValueError`; who reads a whole document says what is wrong with it.
"""

from __future__ import annotations

from typing import Any, Final

NUMBERS: Final = range(2**62)
"""What a revision or an epoch can be: no report may drive the store's numbers to where there are no higher ones."""


def string(value: Any) -> str:
    """A string."""
    if type(value) is not str:
        raise TypeError("string")
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise TypeError("flag")
    return value


def number(value: Any) -> int:
    """A whole number of `NUMBERS`."""
    if type(value) is not int or value not in NUMBERS:
        raise ValueError("number")
    return value


def array(value: Any) -> list[Any]:
    """A list, of anything."""
    if type(value) is not list:
        raise TypeError("array")
    return value  # pyright: ignore[reportUnknownVariableType] - of anything
