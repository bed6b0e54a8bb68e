"""From the bytes of a file to characters that every reader understands alike."""

from __future__ import annotations

import re
from typing import Final

from trimtab_store.files.errors import FileRefused

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
"""A file holds at most what one change may hold."""

UTF8_MARK: Final = b"\xef\xbb\xbf"
FOREIGN_MARKS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
# The printable characters of YAML without NEL, LS and PS, which end a line for 1.1 and not for 1.2.
_REFUSED: Final = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LINE_ENDS: Final = frozenset("\x85\u2028\u2029")


def characters(text: str | bytes, name: str) -> str:
    """The text without a byte order mark; refuses other encodings, other sizes and characters that are not text."""
    if isinstance(text, str):
        size = len(text.encode("utf-8", "surrogatepass")) if len(text) <= MAX_FILE_BYTES else len(text)
    else:
        size = len(text)
    if size > MAX_FILE_BYTES:
        why = f"it is larger than {MAX_FILE_BYTES // 2**20} MiB"
        raise FileRefused(name, "size", why, "Split it into several files")
    decoded = (_decoded(text, name) if isinstance(text, bytes) else text).removeprefix("\ufeff")
    found = _REFUSED.search(decoded)
    if found:
        raise _character(decoded, found.start(), name)
    return decoded


def place_of(text: str, position: int) -> tuple[int, int]:
    """Line and column of a position, both from 1."""
    return text.count("\n", 0, position) + 1, position - (text.rfind("\n", 0, position) + 1) + 1


def _decoded(text: bytes, name: str) -> str:
    if text.startswith(FOREIGN_MARKS):
        why = "its byte order mark says UTF-16 or UTF-32"
        raise FileRefused(name, "encoding", why, "Save it as UTF-8")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        before = text[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].removeprefix(UTF8_MARK).decode("utf-8")) + 1
        why = f"the byte 0x{text[error.start]:02x} is not UTF-8"
        raise FileRefused(name, "encoding", why, "Save it as UTF-8", line=line, column=column) from error


def _character(text: str, position: int, name: str) -> FileRefused:
    character = text[position]
    line, column = place_of(text, position)
    escape = character.encode("unicode_escape").decode()
    if "\ud800" <= character <= "\udfff":
        rule, remedy = "character", "Write valid Unicode; this is half of a surrogate pair"
    elif character == "\x00":
        rule, remedy = "nul", "Remove it, or save the file as UTF-8 if it is UTF-16"
    elif character in _LINE_ENDS:
        rule, remedy = "line-end", f"Write it as {escape} in a string in double quotes; readers differ on it"
    else:
        rule, remedy = "character", f"Remove it, or write it as {escape} in a string in double quotes"
    why = f"it holds the character U+{ord(character):04X}, which does not stand bare in a file"
    return FileRefused(name, rule, why, remedy, line=line, column=column)
