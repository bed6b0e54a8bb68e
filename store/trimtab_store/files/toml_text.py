"""TOML files, cut down to what JSON can say.

tomllib builds the values. What it takes and we do not is found before it, token by token, with its place: dates and
times, numbers that would come back as others, nesting and dotted keys deeper than a value may be (tomllib takes a time
that grows with the square of a dotted key's length).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Final

from trimtab.model import canonical
from trimtab.model.canonical import MAX_DEPTH, Json
from trimtab.model.errors import ValueRefused
from trimtab_store.files.errors import FileRefused, shown
from trimtab_store.files.text import characters, place_of

MAX_TOML_BYTES: Final = 2 * 1024 * 1024
"""tomllib takes some four seconds for a MiB of long headers."""

_TOKEN: Final = re.compile(
    r'(?P<string>"""(?:[^\\]|\\[\s\S])*?"{3,5}|\'\'\'[\s\S]*?\'{3,5}|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|\'[^\'\n]*\')'
    r"|(?P<skipped>[ \t]+|#[^\n]*)|(?P<newline>\r?\n)|(?P<word>[A-Za-z0-9_+:-]+)|(?P<mark>[\[\]{}=,.])"
)
_VALUE: Final = re.compile(r"[A-Za-z0-9_+:.-]+")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\d{2}:\d{2}")
_INTEGER: Final = re.compile(r"[+-]?[0-9_]+")
_BASED: Final = re.compile(r"0[xob][0-9a-fA-F_]+")
_MAX_BASED: Final = 80
_WHERE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def load_toml(text: str | bytes, *, name: str) -> Json:
    """The value of a TOML file of at most 2 MiB; raises `FileRefused` with line, column, rule and remedy."""
    if len(text) > MAX_TOML_BYTES:
        why = f"it is larger than {MAX_TOML_BYTES // 2**20} MiB"
        raise FileRefused(name, "size", why, "Split it into several files, or write it as YAML or JSON")
    found = characters(text, name)
    for start, token in _values(found, name):
        _check_value(found, start, token, name)
    try:
        value: Json = tomllib.loads(found)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(str(error), name) from error
    except (RecursionError, ValueError) as error:  # neither is left by the check of the tokens, as far as we know
        raise FileRefused(name, "syntax", "it is more than a reader of TOML takes", "Write it plainly") from error
    try:
        canonical.encode(value)
    except ValueRefused as error:
        raise FileRefused(name, "value", f"{error.what}: {error.why}", error.remedy) from error
    return value


def _values(text: str, name: str) -> Iterator[tuple[int, str]]:
    """The bare words that stand as values, with their places; refuses what is too deep on the way."""
    opened: list[str] = []
    dots, position, awaits, begins = 0, 0, False, True
    while position < len(text):
        if awaits and (bare := _VALUE.match(text, position)):
            yield position, bare[0]
            position, awaits = bare.end(), False
            continue
        token = _TOKEN.match(text, position)
        if token is None:
            return  # tomllib stops here, too, and says what is wrong
        kind, mark = token.lastgroup, token[0]
        if kind == "mark":
            if mark in "[{" and len(opened) >= MAX_DEPTH:
                raise _too_deep(text, position, name)
            dots = dots + 1 if mark == "." else 0
            if dots >= MAX_DEPTH:
                raise _too_deep(text, position, name)
            awaits = _after(mark, opened, awaits=awaits, begins=begins)
        elif kind in {"string", "newline"}:
            awaits = awaits and kind == "newline"
            dots = 0 if kind == "newline" else dots
        begins = kind == "newline" or (begins and (kind == "skipped" or mark == "["))
        position = token.end()


def _after(mark: str, opened: list[str], *, awaits: bool, begins: bool) -> bool:
    """Whether a value may follow a mark; `opened` holds `h` for the bracket of a header, else the bracket itself."""
    if mark == "[":
        opened.append("h" if begins and not awaits and not _within_value(opened) else "[")
        return opened[-1] == "["
    if mark == "{":
        opened.append("{")
        return False
    if mark in "]}":
        if opened:
            opened.pop()
        return False
    return mark == "=" or (mark == "," and bool(opened) and opened[-1] == "[")


def _within_value(opened: list[str]) -> bool:
    return any(bracket != "h" for bracket in opened)


def _check_value(text: str, start: int, word: str, name: str) -> None:
    if word[0] not in "+-.0123456789in":
        return
    if _DATE.match(word):
        why = f"{shown(word, 40)} is a date or time, and JSON has none"
        raise _at(text, start, name, "date", why, "Put it in quotes")
    try:
        if word.lstrip("+-") in {"inf", "nan"}:
            canonical.encode(float(word))
        elif _INTEGER.fullmatch(word):
            canonical.integer(word.replace("_", ""))
        elif _BASED.fullmatch(word):
            canonical.integer(str(int(word, 0)) if len(word) <= _MAX_BASED and word[-1] != "_" else "9" * _MAX_BASED)
        elif word[0] not in "in":
            _check_real(word)
    except ValueRefused as error:
        why = f"{error.what}: {error.why}"
        raise _at(text, start, name, "number", why, error.remedy) from error


def _check_real(word: str) -> None:
    try:
        canonical.real(word)
    except ValueError:
        return  # no number at all: tomllib says so


def _too_deep(text: str, position: int, name: str) -> FileRefused:
    return _at(text, position, name, "depth", f"values are nested deeper than {MAX_DEPTH} levels here", "Flatten it")


def _at(text: str, position: int, name: str, rule: str, why: str, remedy: str) -> FileRefused:
    line, column = place_of(text, position)
    return FileRefused(name, rule, why, remedy, line=line, column=column)


def _syntax(message: str, name: str) -> FileRefused:
    where = _WHERE.search(message)
    why = message[: where.start()] if where else message
    line, column = (int(where[1]), int(where[2])) if where and where[1] else (None, None)
    twice = "overwrite" in why or "twice" in why or "mutate" in why or "Duplicate" in why
    rule = "duplicate-key" if twice else "syntax"
    remedy = "Remove one of the two" if twice else "Strings need quotes; a table begins with [its.name]"
    return FileRefused(name, rule, shown(why, 200), remedy, line=line, column=column)
