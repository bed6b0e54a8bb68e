r"""Paths: where a value sits.

    path     = segment *( "." segment )
    segment  = bare / quoted
    bare     = 1*( letter / digit / "_" / "-" / "/" / ":" / "@" / "+" / "$" / "#" / "%" / "~" )     ASCII
    quoted   = DQUOTE 1*( any character, with \" for a quote and \\ for a backslash ) DQUOTE

A segment is written bare where it can be, so every path has one canonical text; that text is the key everywhere.
Control characters, bidirectional controls and lone surrogates are refused. Limits: 32 segments, 255 bytes a segment,
1,024 bytes a path (UTF-8).
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache
from typing import Final, TypeAlias

from trimtab.model.errors import PathError

Segments: TypeAlias = "tuple[str, ...]"

MAX_SEGMENTS: Final = 32
MAX_SEGMENT_BYTES: Final = 255
MAX_PATH_BYTES: Final = 1024

_BARE: Final = frozenset(string.ascii_letters + string.digits + "_-/:@+$#%~")
_BARE_SEGMENT: Final = re.compile(r"[A-Za-z0-9_\-/:@+$#%~]+")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_\-/:@+$#%~]+(?:\.[A-Za-z0-9_\-/:@+$#%~]+)*")
_GRAMMAR: Final = (
    'Segments are joined by dots; write a segment with other characters in double quotes, as in data."a.b"'
)
# Cc control, Cf format (bidirectional controls among them), Cs surrogates, Zl and Zp line separators
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def split(text: str) -> Segments:
    """The segments of a path text; raises `PathError` naming the place that is outside the grammar."""
    if len(text) <= MAX_SEGMENT_BYTES and _PLAIN.fullmatch(text):  # the common case, decided in one pass
        plain = tuple(text.split("."))
        if len(plain) <= MAX_SEGMENTS:
            return plain
    segments: list[str] = []
    position = 0
    while True:
        read = _quoted if text[position : position + 1] == '"' else _bare
        segment, position = read(text, position)
        segments.append(segment)
        if position == len(text):
            break
        if text[position] != ".":
            raise _error(text, f"unexpected {_name(text[position])} at character {position + 1}")
        position += 1
    _check_limits(text, segments)
    return tuple(segments)


# Small on purpose: what a cache holds is visited by every garbage collection. It serves the few paths in daily use.
parse = lru_cache(maxsize=2048)(split)
"""`split`, remembered for the paths in daily use."""


def join(segments: tuple[str, ...] | list[str]) -> str:
    """The canonical text of segments; raises `PathError` for a segment that no path can hold."""
    text = ".".join(write(segment) for segment in segments)
    if not segments:
        raise PathError("An empty path is refused", "a path has at least one segment", _GRAMMAR)
    _check_limits(text, segments)
    return text


def canonical(text: str) -> str:
    """The one spelling of a path: `a."b"` becomes `a.b`."""
    segments = parse(text)
    return join(segments) if '"' in text else text


def is_bare(segment: str) -> bool:
    """Whether a segment is written as it is, without quotes (its length is not checked)."""
    return (segment.isascii() and segment.isidentifier()) or _BARE_SEGMENT.fullmatch(segment) is not None


def write(segment: str) -> str:
    """One segment as it stands in a path: bare if possible, else quoted."""
    if is_bare(segment):
        return segment
    if not segment:
        raise PathError("An empty segment is refused", "every segment has at least one character", _GRAMMAR)
    for character in segment:
        if unicodedata.category(character) in _REFUSED_CATEGORIES:
            raise PathError("This path is refused", f"it holds the character {_name(character)}", "Remove it")
    escaped = segment.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parents(text: str) -> tuple[str, ...]:
    """Every proper ancestor of a canonical path, nearest first: `a.b.c` → `a.b`, `a`."""
    if '"' not in text:
        found: list[str] = []
        cut = text.rfind(".")
        while cut != -1:
            found.append(text[:cut])
            cut = text.rfind(".", 0, cut)
        return tuple(found)
    segments = parse(text)
    return tuple(join(segments[:length]) for length in range(len(segments) - 1, 0, -1))


def parent(text: str) -> str:
    """The nearest ancestor of a canonical path, or the empty string for a category."""
    if '"' not in text:
        return text[: max(0, text.rfind("."))]
    above = parents(text)
    return above[0] if above else ""


def last(text: str) -> str:
    """The last segment of a canonical path, unquoted."""
    return parse(text)[-1] if '"' in text else text[text.rfind(".") + 1 :]


def child(parent_text: str, segment: str) -> str:
    """The canonical path of `segment` below a canonical path (the empty string is the root)."""
    return f"{parent_text}.{write(segment)}" if parent_text else write(segment)


def is_below(text: str, ancestor: str) -> bool:
    """Whether a canonical path lies strictly below another."""
    return len(text) > len(ancestor) and text.startswith(ancestor) and text[len(ancestor)] == "."


def _bare(text: str, start: int) -> tuple[str, int]:
    end = start
    while end < len(text) and text[end] in _BARE:
        end += 1
    if end == start:
        found = _name(text[start]) if start < len(text) else "the end"
        raise _error(text, f"expected a segment at character {start + 1}, found {found}")
    return text[start:end], end


def _quoted(text: str, start: int) -> tuple[str, int]:
    characters: list[str] = []
    position = start + 1
    while position < len(text):
        character = text[position]
        if character == '"':
            segment = "".join(characters)
            write(segment)
            return segment, position + 1
        if character == "\\":
            position += 1
            character = text[position : position + 1]
            if character not in {'"', "\\"}:
                raise _error(text, f'only \\" and \\\\ may be escaped, see character {position}')
        characters.append(character)
        position += 1
    raise _error(text, f"the quote at character {start + 1} is never closed")


def _check_limits(text: str, segments: tuple[str, ...] | list[str]) -> None:
    if len(segments) > MAX_SEGMENTS:
        raise _error(text, f"it has {len(segments)} segments, at most {MAX_SEGMENTS} are allowed")
    if len(text) * 4 > MAX_SEGMENT_BYTES:
        if len(text.encode()) > MAX_PATH_BYTES:
            raise _error(text, f"it is longer than {MAX_PATH_BYTES} bytes")
        if any(len(segment.encode()) > MAX_SEGMENT_BYTES for segment in segments):
            raise _error(text, f"a segment is longer than {MAX_SEGMENT_BYTES} bytes")


def _error(text: str, why: str) -> PathError:
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:80])
    return PathError(f"The path {shown!r} is refused" if text else "An empty path is refused", why, _GRAMMAR)


def _name(character: str) -> str:
    return repr(character) if character.isprintable() else f"U+{ord(character):04X}"
