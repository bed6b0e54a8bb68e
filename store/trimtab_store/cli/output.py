"""What the command line prints: JSON for programs, tables for people, nothing that moves a terminal's cursor."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trimtab.model.errors import TrimtabError

# Cc control, Cf format (bidirectional controls among them), Cs surrogates, Co private use, Cn unassigned, Zl and Zp
_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BASIC_PLANE: Final = 0xFFFF
_UNFOLDED: Final = 1_000_000
"""The width of a table that no person looks at: programs want one row on one line."""


def harmless(text: str) -> str:
    """One line that a terminal can only show: controls, line ends and bidirectional marks are written out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written_out(c) if unicodedata.category(c) in _ESCAPED else c for c in text)


def console(*, stderr: bool = False) -> Console:
    """A console for people; colours only where someone looks, and lines are folded only there."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _UNFOLDED
    return Console(file=stream, highlight=False, markup=False, emoji=False, width=width)


def print_json(value: object) -> None:
    """One JSON document on one line, ASCII only, keys as given."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, allow_nan=False) + "\n")
    sys.stdout.flush()


def print_lines(lines: Iterable[str]) -> None:
    """Plain lines, made harmless."""
    for line in lines:
        sys.stdout.write(harmless(line) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people; cells are made harmless and never read as markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[Text(harmless(str(cell))) for cell in row])
    console().print(table)


def print_error(error: TrimtabError, *, as_json: bool) -> None:
    """An error on standard error: one paragraph, or one JSON object."""
    if as_json:
        sys.stderr.write(json.dumps({"error": error.to_dict()}, ensure_ascii=True) + "\n")
    else:
        sys.stderr.write(f"trimtab: {harmless(str(error))}\n")
    sys.stderr.flush()


def say(line: str) -> None:
    """A line of progress on standard error."""
    sys.stderr.write(f"{harmless(line)}\n")
    sys.stderr.flush()


def shown(value: object) -> str:
    """A JSON value as a person reads it: one line, every string in quotes."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - of anything
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _written_out(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number <= _BASIC_PLANE else f"\\U{number:08x}"
