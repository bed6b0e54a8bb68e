"""Canonical JSON: one byte sequence for one value.

UTF-8, keys sorted by code point, no white space, floats printed shortest. What has no single, exact form is refused:
NaN and Infinity, duplicate keys, lone surrogates, U+0000, nesting deeper than `MAX_DEPTH`, integers beyond 64 bits,
and numbers that would come back as another number. What is hashed is what is stored is what is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, Final, NoReturn, TypeAlias, cast

import orjson

from trimtab.model.errors import ValueRefused

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_DEPTH: Final = 32
MAX_ITEM_BYTES: Final = 64 * 1024
MAX_CHANGE_BYTES: Final = 16 * 1024 * 1024
MAX_SNAPSHOT_BYTES: Final = 1024 * 1024 * 1024

_MIN_INTEGER: Final = -(2**63)
_MAX_INTEGER: Final = 2**63 - 1
# A 64-bit integer and a shortest double both fit in far fewer characters; longer literals are not parsed at all.
_MAX_NUMBER_CHARACTERS: Final = 400
_WRITTEN_BITS: Final = 1_000
_QUOTE: Final = "Write it as a string, in double quotes, to keep it exactly"


def encode(value: object) -> bytes:
    """The canonical bytes of a JSON value.

    Takes None, bool, int, float, str, list, tuple and dict with str keys; raises `ValueRefused` for anything else and
    for every value that has no exact form.
    """
    _check(value, 0)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise ValueRefused("This value is refused", str(error), "Use plain JSON values") from error


def encode_trusted(value: Mapping[str, Json]) -> bytes:
    """`encode` of an object whose values are known to be strings and 64-bit integers: no check, ten times faster."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def decode(text: bytes) -> Json:
    """Parse strictly: every refusal of this module's first paragraph is a `ValueRefused`.

    The text need not be canonical itself (white space and key order are free).
    """
    try:
        orjson.loads(text)  # the strict grammar: UTF-8, no NaN, no lone surrogate, no trailing text, bounded recursion
    except orjson.JSONDecodeError as error:
        with suppress(ValueError):
            _parse(text)  # it knows why, if the reason is one of ours
        raise ValueRefused("This is not JSON", str(error), "Strings need double quotes") from error
    value = _parse(text)
    _check(value, 0)
    return value


def trusted(text: bytes) -> Json:
    """Parse bytes that `encode` made and a signature covers: no second check, several times faster than `decode`."""
    value: Json = orjson.loads(text)
    return value


def _parse(text: bytes) -> Json:
    try:
        value: Json = json.loads(
            text, object_pairs_hook=_unique, parse_int=integer, parse_float=real, parse_constant=_refuse_constant
        )
    except RecursionError as error:
        raise _too_deep() from error
    return value


def integer(literal: str) -> int:
    """The integer that a JSON literal names, refused beyond 64 bits."""
    if len(literal) > _MAX_NUMBER_CHARACTERS or not _MIN_INTEGER <= int(literal) <= _MAX_INTEGER:
        raise ValueRefused(f"The number {_short(literal)} is refused", "it does not fit in 64 bits", _QUOTE)
    return int(literal)


def real(literal: str) -> float:
    """The double that a literal names, refused if that double, printed shortest, is another number."""
    if len(literal) <= _MAX_NUMBER_CHARACTERS:
        number = float(literal)
        try:
            if Decimal(repr(number)) == Decimal(literal):
                return number
        except InvalidOperation:
            pass
    raise ValueRefused(f"The number {_short(literal)} is refused", "it would come back as another number", _QUOTE)


def _check(value: Any, depth: int) -> None:
    kind = cast(
        "type[object]", type(value)
    )  # exact types: a subclass (an enum, a decimal of a library) may print as something else
    if kind is str:
        _check_text(value, "string")
    elif kind is int:
        if not _MIN_INTEGER <= value <= _MAX_INTEGER:
            raise ValueRefused(f"The number {_named(value)} is refused", "it does not fit in 64 bits", _QUOTE)
    elif kind is float:
        if not isfinite(value):
            raise ValueRefused(f"The number {value} is refused", "JSON has no NaN and no Infinity", "Use null")
    elif kind is list or kind is tuple or kind is dict:
        _check_container(value, depth)
    elif kind is not bool and value is not None:
        raise ValueRefused(
            f"A {kind.__name__} is refused",
            "only null, booleans, numbers, strings, lists and objects with string keys are JSON",
            "Convert it first; amounts that must stay exact are written as strings",
        )


def _check_container(value: list[Any] | tuple[Any, ...] | dict[Any, Any], depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise _too_deep()
    if not isinstance(value, dict):
        for element in value:
            _check(element, depth + 1)
        return
    for key, element in value.items():
        if type(key) is not str:
            raise ValueRefused(f"The key {key!r} is refused", "keys are strings", "Quote it")
        _check_text(key, "key")
        _check(element, depth + 1)


def _too_deep() -> ValueRefused:
    return ValueRefused("This value is refused", f"it is nested deeper than {MAX_DEPTH} levels", "Flatten it")


def _check_text(text: str, what: str) -> None:
    if "\x00" in text:
        raise ValueRefused(f"This {what} is refused", "it holds the character U+0000", "Remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueRefused(f"This {what} is refused", "it holds a lone surrogate", "Use valid Unicode") from error


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueRefused(
                    f"The key {_short(key)!r} stands twice", "one of the two would be lost", "Remove one"
                )
            seen.add(key)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueRefused(f"The number {name} is refused", "JSON has no NaN and no Infinity", "Use null")


def _named(number: int) -> str:
    """A number for a message: Python itself refuses to write out one of thousands of digits."""
    bits = number.bit_length()
    return _short(str(number)) if bits < _WRITTEN_BITS else f"of {bits} bits"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"  # noqa: PLR2004 - a line of an error message
