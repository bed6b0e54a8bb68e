"""JSON as freqtrade reads it: with comments of both kinds, and commas before a closing bracket."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from trimtab_store.files.errors import FileRefused
from trimtab_store.files.json_text import load_json
from trimtab_store.files.text import MAX_FILE_BYTES

if TYPE_CHECKING:
    from trimtab.model.canonical import Json

_MARK: Final = b"\xef\xbb\xbf"
# What is never closed is taken to the end in one go, so that the time is that of the length, whatever stands there.
_STRING: Final = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_COMMENT: Final = re.compile(rf"{_STRING}|//[^\n]*+|/\*.*?(?:\*/|\Z)", re.DOTALL)
_COMMA: Final = re.compile(rf"{_STRING}|,(?=[ \t\r\n]*+[}}\]])", re.DOTALL)
_NOT_A_LINE_END: Final = re.compile(r"[^\n]")
_SHORTEST: Final = len("/**/")


def load(text: bytes, *, name: str) -> Json:
    """The value of such a file, as strict as any other in everything else; raises `FileRefused` with its place.

    What is struck out becomes blanks, so that lines and columns are those of the file.
    """
    if len(text) <= MAX_FILE_BYTES:
        found = text.removeprefix(_MARK).decode("utf-8", "surrogateescape")
        text = _COMMA.sub(_blank, _COMMENT.sub(_blank, found)).encode("utf-8", "surrogateescape")
    try:
        return load_json(text, name=name)
    except FileRefused as error:
        error.__cause__ = None  # the parser's error holds the whole file, and with it every secret
        raise


def _blank(match: re.Match[str]) -> str:
    text = match[0]
    unclosed = text.startswith("/*") and (len(text) < _SHORTEST or not text.endswith("*/"))
    return text if unclosed or text.startswith('"') else _NOT_A_LINE_END.sub(" ", text)
