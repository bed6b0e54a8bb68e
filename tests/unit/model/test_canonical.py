from __future__ import annotations

import json
from decimal import Decimal
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_strategies import json_values
from trimtab.model import canonical
from trimtab.model.errors import ValueRefused


class Level(IntEnum):
    HIGH = 1


def _deep(levels: int) -> str:
    return "[" * levels + "]" * levels


REFUSED_TEXTS = {
    "NaN": (b"NaN", "The number NaN is refused: JSON has no NaN"),
    "Infinity": (b"[Infinity]", "JSON has no NaN and no Infinity"),
    "minus Infinity": (b"-Infinity", "JSON has no NaN and no Infinity"),
    "a duplicate key": (b'{"a": 1, "b": {"c": 1, "c": 2}}', "The key 'c' stands twice"),
    "a duplicate key in other spelling": (b'{"a": 1, "\\u0061": 2}', "The key 'a' stands twice"),
    "a lone surrogate": (b'"\\ud800"', "This is not JSON"),
    "a surrogate in raw UTF-8": (b'"\xed\xa0\x80"', "This is not JSON"),
    "U+0000 in a string": (b'["a\\u0000b"]', "it holds the character U+0000"),
    "U+0000 in a key": (b'{"a\\u0000b": 1}', "This key is refused: it holds the character U+0000"),
    "33 levels": (_deep(33).encode(), "nested deeper than 32 levels"),
    "200 levels": (_deep(200).encode(), "nested deeper than 32 levels"),
    "2,000 levels": (_deep(2000).encode(), "nested deeper than 32 levels"),
    "1,000,000 levels": (_deep(1_000_000).encode(), "nested deeper than 32 levels"),
    "one above 64 bits": (b"9223372036854775808", "it does not fit in 64 bits. Write it as a string"),
    "one below 64 bits": (b"-9223372036854775809", "does not fit in 64 bits"),
    "5,000 digits": (b"9" * 5000, "does not fit in 64 bits"),
    "a number that would be rounded": (b"0.1000000000000000055", "would come back as another number. Write it as"),
    "an integer-like real that would be rounded": (b"9007199254740993.0", "would come back as another number"),
    "a number too large for a double": (b"1e400", "would come back as another number"),
    "a number too small for a double": (b"1e-400", "would come back as another number"),
    "an absurd exponent": (b"1e99999999999999999999", "would come back as another number"),
    "an absurd negative exponent": (b"1e-99999999999999999999", "would come back as another number"),
    "a thousand decimals": (b"0." + b"1" * 1000, "would come back as another number"),
    "text after the value": (b"1 2", "This is not JSON"),
    "no value": (b"", "This is not JSON"),
    "a bare word": (b"live", "This is not JSON"),
    "a leading zero": (b"007", "This is not JSON"),
    "bytes that are no UTF-8": (b'"\xff"', "This is not JSON"),
    "a byte order mark": (b"\xef\xbb\xbf1", "This is not JSON"),
    "a raw line feed in a string": (b'"a\nb"', "This is not JSON"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED_TEXTS.values(), ids=REFUSED_TEXTS.keys())
def test_a_text_without_one_exact_form_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        canonical.decode(text)
    assert said in str(refused.value)
    assert refused.value.exit_code == 4
    assert refused.value.remedy


REFUSED_VALUES: dict[str, tuple[Any, str]] = {
    "NaN": (float("nan"), "JSON has no NaN and no Infinity"),
    "Infinity": ([float("inf")], "JSON has no NaN and no Infinity"),
    "an integer of 65 bits": ({"a": 2**64}, "does not fit in 64 bits"),
    "an integer that Python does not write out": ([-(10**100_000)], "of 332193 bits is refused"),
    "a lone surrogate": ("\ud800", "holds a lone surrogate"),
    "a lone surrogate in a key": ({"\udfff": 1}, "This key is refused: it holds a lone surrogate"),
    "U+0000": (["\x00"], "holds the character U+0000"),
    "a key that is no string": ({1: 2}, "The key 1 is refused: keys are strings"),
    "bytes": (b"x", "A bytes is refused"),
    "a set": ({1}, "A set is refused"),
    "a decimal": (Decimal(1), "A Decimal is refused"),
    "an enum": (Level.HIGH, "A Level is refused"),
    "33 levels": (json.loads(_deep(33)), "nested deeper than 32 levels"),
}


@pytest.mark.parametrize(("value", "said"), REFUSED_VALUES.values(), ids=REFUSED_VALUES.keys())
def test_a_value_without_one_exact_form_is_refused(value: Any, said: str) -> None:
    with pytest.raises(ValueRefused) as refused:
        canonical.encode(value)
    assert said in str(refused.value)


def test_a_value_that_holds_itself_is_refused_and_does_not_exhaust_the_stack() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueRefused, match="nested deeper"):
        canonical.encode(endless)


ACCEPTED = {
    b"1.0": b"1.0",
    b"1e2": b"100.0",
    b"1.10": b"1.1",
    b"-0": b"0",
    b"-0.0": b"-0.0",
    b"5e-324": b"5e-324",
    b"9223372036854775807": b"9223372036854775807",
    b"-9223372036854775808": b"-9223372036854775808",
    b' { "b" : [ ] , "a" : null } ': b'{"a":null,"b":[]}',
    b'"\\u00fc\\/"': '"ü/"'.encode(),
    '{"é": 1, "z": 2, "Z": 3, "😀": 4, "\uffee": 5}'.encode(): '{"Z":3,"z":2,"é":1,"\uffee":5,"😀":4}'.encode(),
    _deep(32).encode(): _deep(32).encode(),
}


@pytest.mark.parametrize(("text", "expected"), ACCEPTED.items())
def test_a_text_has_one_canonical_spelling(text: bytes, expected: bytes) -> None:
    assert canonical.encode(canonical.decode(text)) == expected


@given(json_values)
def test_what_is_encoded_comes_back_as_the_same_value_and_the_same_bytes(value: Any) -> None:
    text = canonical.encode(value)
    assert repr(canonical.decode(text)) == repr(_sorted(value))
    assert canonical.encode(canonical.decode(text)) == text
    assert repr(canonical.trusted(text)) == repr(_sorted(value))
    assert b"\n" not in text


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_either_keeps_its_exact_value_or_is_refused(number: Decimal) -> None:
    literal = f"{number}".replace("E", "e")
    try:
        value = canonical.decode(literal.encode())
    except ValueRefused:
        return
    assert isinstance(value, int | float)
    assert Decimal(repr(value)) == number


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_a_value_or_a_refusal(text: bytes) -> None:
    try:
        value = canonical.decode(text)
    except ValueRefused:
        return
    assert canonical.decode(canonical.encode(value)) == value


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return [_sorted(element) for element in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value
