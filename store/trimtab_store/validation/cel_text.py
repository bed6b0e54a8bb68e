"""What can be said of an expression before it runs: which labels and paths it asks for, and itself in doubles.

CEL does not mix whole numbers and doubles, so an expression that does is evaluated again with every number a double;
the numbers that are written in it have to become doubles as well. Texts and comments are left alone, and so is a number
that stands alone between brackets, as an index does.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from trimtab.model import paths
from trimtab.model.errors import PathError

VARIABLES: Final = ("doc", "before", "labels", "environment", "path", "removed")
FUNCTIONS: Final = frozenset(
    {
        "at", "bytes", "contains", "double", "duration", "dyn", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek",
        "getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds", "int",
        "matches", "size", "startsWith", "string", "timestamp", "type", "uint",
    }
)  # fmt: skip
"""What an expression may call, beside `has` and the macros."""
_TYPES: Final = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"})
_MACROS: Final = {"all", "exists", "exists_one", "filter", "map"}
MAX_LENGTH: Final = 4_096

_TOKEN: Final = re.compile(
    r"""
      (?P<text> [bB]?[rR][bB]? (?: \"\"\".*?\"\"\" | '''.*?''' | "[^"\n]*" | '[^'\n]*' )
              | [bB]? (?: \"\"\"(?:\\.|[^\\])*?\"\"\" | '''(?:\\.|[^\\])*?'''
                        | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' ) )
    | (?P<comment> //[^\n]* )
    | (?P<double> (?:[0-9]+\.[0-9]+|\.[0-9]+)(?:[eE][+-]?[0-9]+)? | [0-9]+[eE][+-]?[0-9]+ )
    | (?P<other> 0[xX][0-9a-fA-F]+[uU]? | [0-9]+[uU] )
    | (?P<whole> [0-9]+ )
    | (?P<word> [_a-zA-Z][_a-zA-Z0-9]* )
    | (?P<space> \s+ )
    | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression: its kind, its text, and where it begins."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression, read. `faults` are pairs of a sentence and the next step; with any the rest means nothing."""

    text: str
    in_doubles: str
    labels: frozenset[str]
    reads: tuple[str, ...]
    asks_removed: bool
    faults: tuple[tuple[str, str], ...]


@lru_cache(maxsize=1_024)
def read(text: str) -> Expression:
    """Read an expression, without compiling it."""
    if len(text) > MAX_LENGTH:
        long = (f"it is longer than {MAX_LENGTH} characters", "Divide it into several rules")
        return Expression(text, text, frozenset(), (), asks_removed=False, faults=(long,))
    every = [Token(str(found.lastgroup), found.group(), found.start()) for found in _TOKEN.finditer(text)]
    tokens = [token for token in every if token.kind not in {"space", "comment"}]
    faults: list[tuple[str, str]] = []
    labels = frozenset(_labels(text, tokens, faults))
    reads = tuple(dict.fromkeys(_reads(text, tokens, faults)))
    faults.extend(_unknown(text, tokens))
    asks = any(token.text == "removed" and not _is_field(tokens, at) for at, token in enumerate(tokens))
    return Expression(text, _in_doubles(every), labels, reads, asks, tuple(faults))


def place(text: str, at: int) -> str:
    """Where in a text: `1:5`, line and column."""
    return f"{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"


def _labels(text: str, tokens: list[Token], faults: list[tuple[str, str]]) -> Iterator[str]:
    for at, token in enumerate(tokens):
        if token.text != "labels" or token.kind != "word" or _is_field(tokens, at):
            continue
        sign, name, closing = (_text(tokens, at + step) for step in (1, 2, 3))
        if sign == "." and name.isidentifier():
            yield name
        elif sign == "[" and name[:1] in {"'", '"'} and closing == "]":
            yield name[1:-1]
        else:
            why = f"at {place(text, token.at)}: labels are asked for by name"
            faults.append(
                (why, 'Write labels.region or labels["region"]; has(labels.region) tells whether there is one')
            )


def _reads(text: str, tokens: list[Token], faults: list[tuple[str, str]]) -> Iterator[str]:
    for at, token in enumerate(tokens):
        if token.text != "at" or token.kind != "word" or _is_field(tokens, at) or _text(tokens, at + 1) != "(":
            continue
        named, closing = _text(tokens, at + 2), _text(tokens, at + 3)
        if named[:1] not in {"'", '"'} or closing != ")" or "\\" in named or named[:3] in {"'''", '"""'}:
            faults.append((f"at {place(text, token.at)}: at() takes one path, in quotes", 'Write at("risk.global")'))
            continue
        try:
            if paths.canonical(named[1:-1]) != named[1:-1]:
                faults.append((f"at {place(text, token.at)}: {named} is not canonical", paths.canonical(named[1:-1])))
            yield named[1:-1]
        except PathError as error:
            faults.append((f"at {place(text, token.at)}: {error.what}: {error.why}", error.remedy))


def _unknown(text: str, tokens: list[Token]) -> Iterator[tuple[str, str]]:
    """Names of variables and functions that there are none of."""
    bound = {
        _text(tokens, at + 2)
        for at, token in enumerate(tokens)
        if token.text in _MACROS and _is_field(tokens, at) and _text(tokens, at + 1) == "("
    }
    for at, token in enumerate(tokens):
        if token.kind != "word" or token.text in {"true", "false", "null", "in"}:
            continue
        is_field, calls = _is_field(tokens, at), _text(tokens, at + 1) == "("
        if is_field and (not calls or token.text in _MACROS):
            continue
        known = {*FUNCTIONS, "has"} if calls else {*VARIABLES, *bound, *_TYPES}
        if token.text not in known:
            what = "function" if calls else "variable"
            close = difflib.get_close_matches(token.text, sorted(known), n=1)
            remedy = f"Did you mean {close[0]}?" if close else f"Known are {', '.join(sorted(known))}"
            yield f"at {place(text, token.at)}: there is no {what} {token.text}", remedy


def _is_field(tokens: list[Token], at: int) -> bool:
    return at > 0 and tokens[at - 1].text == "."


def _text(tokens: list[Token], at: int) -> str:
    return tokens[at].text if 0 <= at < len(tokens) else ""


def _in_doubles(every: list[Token]) -> str:
    kept = [token for token in every if token.kind not in {"space", "comment"}]
    order = {id(token): place for place, token in enumerate(kept)}
    written: list[str] = []
    for token in every:
        if token.kind == "whole":
            at = order[id(token)]
            is_index = _text(kept, at - 1) == "[" and _text(kept, at + 1) == "]"
            written.append(token.text if is_index else f"{token.text}.0")
        else:
            written.append(token.text)
    return "".join(written)
