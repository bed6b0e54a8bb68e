"""Values as a person types them: JSON, or a bare word that is a string.

A bare word that looks like a number, a boolean or null but is none in JSON (`True`, `1_000`, `.5`, `5%`, `007`) is
refused with both spellings, because guessing would one day guess a limit wrong.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Final

from trimtab.model import canonical
from trimtab.model.canonical import Json
from trimtab.model.errors import UsageError, ValueRefused

WORDS: Final = {
    "true": "true", "yes": "true", "on": "true",
    "false": "false", "no": "false", "off": "false",
    "null": "null", "none": "null", "nil": "null", "undefined": "null",
}  # fmt: skip
"""Words, in lower case, that a reader could take for a boolean or for nothing → what JSON would call it."""

# Digits with separators, a leading plus, a missing or trailing digit, an exponent, a percent sign; or another base.
_NUMBER: Final = re.compile(r"[+-]?(?:\d[\d_,']*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?\s?%?", re.ASCII)
_OTHER_BASE: Final = re.compile(r"[+-]?0(?:[xX][0-9a-fA-F_]+|[oO][0-7_]+|[bB][01_]+)")
_NO_NUMBER: Final = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_THOUSANDS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_PERCENT: Final = Decimal(100)
_SHOWN: Final = 40


def parse_value(text: str, *, string: bool = False, option: str = "--string ") -> Json:
    """The value that a command-line argument means; with `string` it is text whatever it looks like.

    `option` is what a remedy tells to write before a text: nothing where double quotes alone have to do.
    Raises `UsageError` for broken JSON and for look-alikes, `ValueRefused` for JSON that cannot be kept exactly.
    """
    if string:
        canonical.encode(text)
        return text
    bare = text.strip()
    if not bare:
        raise UsageError(
            "An empty value is refused", "it could mean an empty string or nothing", "Write '\"\"' or null"
        )
    if _is_json(text):
        return canonical.decode(text.encode())
    if bare[0] in '{["':
        remedy = f"Mend it, or use {option}" if option else "Mend it"
        raise UsageError(f"The value {_short(text)} is refused", f"it is not JSON: {_fault(text)}", remedy.strip())
    _refuse_look_alikes(text, bare, f"for the text write {option}{_short(text)}")
    canonical.encode(text)
    return text


def _refuse_look_alikes(text: str, bare: str, otherwise: str) -> None:
    if _NO_NUMBER.fullmatch(bare):
        raise ValueRefused(
            f"The value {_short(text)} is refused",
            "JSON has no NaN and no Infinity",
            f"Write null for no value; {otherwise}",
        )
    word = WORDS.get(bare.lower())
    if word is not None:
        raise _look_alike(text, f"write {word}", otherwise)
    if _OTHER_BASE.fullmatch(bare):
        raise _look_alike(text, f"write {int(bare.replace('_', ''), 0)}", otherwise)
    if _NUMBER.fullmatch(bare):
        raise _look_alike(text, _spelling(bare), otherwise)


def _spelling(bare: str) -> str:
    """How a look-alike of a number is written as one. A comma stands between thousands, or before a fraction."""
    written = re.sub(r"[_'%\s]", "", bare)
    if "," in written and _THOUSANDS.fullmatch(written) is None:
        if written.count(",") > 1 or "." in written:
            return f"write [{written}] for a list"
        written = written.replace(",", ".")
    number = Decimal(written.replace(",", ""))
    if bare.endswith("%"):
        return f"write {_plain(number / _PERCENT)} for the ratio, {_plain(number)} for percent"
    if written.count(",") == 1 and "." not in written:
        fraction = _plain(Decimal(written.replace(",", ".")))
        return f"write {_plain(number)} if the comma divides thousands, {fraction} if it begins a fraction"
    return f"write {_plain(number)}"


def _plain(number: Decimal) -> str:
    """A number as JSON writes it, without an exponent where it is of ordinary size."""
    ordinary = abs(number.adjusted()) < _SHOWN
    text = format(number, "f") if ordinary else str(number)
    return text.rstrip("0").rstrip(".") if "." in text and ordinary else text


def _look_alike(text: str, spelling: str, otherwise: str) -> UsageError:
    return UsageError(
        f"The value {_short(text)} is refused",
        "it looks like a number, a boolean or null, and JSON knows no such spelling",
        f"For the value {spelling}; {otherwise}",
    )


def _is_json(text: str) -> bool:
    """Whether this is JSON as far as the grammar goes; what it says is for `canonical.decode` to judge."""
    try:
        text.encode()
        json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except RecursionError:
        return True
    except ValueError:  # lone surrogates are among them
        return False
    return _NO_NUMBER.fullmatch(text.strip()) is None


def _fault(text: str) -> str:
    try:
        canonical.decode(text.encode())
    except ValueRefused as error:
        return error.why
    except UnicodeEncodeError:
        return "it holds a lone surrogate"
    return "it is malformed"


def _short(text: str) -> str:
    return json.dumps(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…", ensure_ascii=True)
