"""YAML that every reader reads alike, those of YAML 1.1 included.

Strings stand bare only if they cannot be anything but a string to anybody; all others are in double quotes with the
escapes that JSON and YAML share. Floats keep a point, for `1e+22` is a string to YAML 1.1.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from trimtab.model import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trimtab.model.canonical import Json

_BARE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
# Words that stand for a boolean or null in YAML 1.1 or 1.2, in any case.
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# A reader must find the colon of a bare key within 1,024 characters; longer keys are announced by "? ".
_MAX_KEY: Final = 512


def dump_yaml(value: Json) -> str:
    """The text that `load_yaml` reads back as exactly this value, mapping order included.

    Raises `ValueRefused` for what is not JSON within the limits of `canonical`. A text of more than 16 MiB is written,
    but `load_yaml` does not take it back.
    """
    canonical.encode(value)
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Json) -> Iterator[str]:
    """The lines of a value that starts a line of its own, without indentation."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _entry(key, child)
    elif isinstance(value, list | tuple) and value:
        for child in value:
            yield from _element(child)
    else:
        yield _scalar(value)


def _entry(key: str, child: Json) -> Iterator[str]:
    head = f"{_string(key)}:"
    if len(head) > _MAX_KEY:
        yield f"? {head[:-1]}"
        head = ":"
    if _is_block(child):
        yield head
        yield from (f"  {line}" for line in _lines(child))
    else:
        yield f"{head} {_scalar(child)}"


def _element(child: Json) -> Iterator[str]:
    indent = "- "
    for line in _lines(child):
        yield indent + line
        indent = "  "


def _is_block(value: Json) -> bool:
    return isinstance(value, dict | list | tuple) and bool(value)


def _scalar(value: Json) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    return json.dumps(value)


def _float(value: float) -> str:
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    return text if "." in mantissa else f"{mantissa}.0{e}{exponent}"


def _string(text: str) -> str:
    if _BARE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return "".join(_escaped(character) for character in json.dumps(text, ensure_ascii=False))


def _escaped(character: str) -> str:
    """Invisible characters, bidirectional controls and line ends of YAML 1.1 as escapes; JSON has escaped the rest."""
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - the basic plane
