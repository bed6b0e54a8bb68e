"""TOML that `load_toml` reads back as exactly what was written, but for the order of keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import tomli_w

from trimtab.model import canonical
from trimtab.model.canonical import Json
from trimtab.model.errors import ValueRefused
from trimtab_store.files.toml_text import MAX_TOML_BYTES

_BEYOND_ASCII: Final = re.compile("[^\t\n -~]")


def dump_toml(value: Mapping[str, Json]) -> str:
    """The text of a mapping without null; raises `ValueRefused` for null, and for more than a reader takes."""
    canonical.encode(dict(value))
    if holds_null(value):
        raise ValueRefused("This cannot be written as TOML", "TOML has no null", "Write it as YAML or JSON")
    text = _BEYOND_ASCII.sub(_escaped, tomli_w.dumps(value))
    if len(text.encode()) > MAX_TOML_BYTES:
        why = f"it is larger than {MAX_TOML_BYTES // 2**20} MiB"
        raise ValueRefused("This cannot be written as TOML", why, "Write it as YAML or JSON")
    return text


def holds_null(value: Any) -> bool:
    """Whether a JSON value is null or has one in it."""
    if isinstance(value, Mapping):
        return any(map(holds_null, cast("Mapping[str, Any]", value).values()))
    if isinstance(value, list | tuple):
        return any(map(holds_null, cast("list[Any]", value)))
    return value is None


def _escaped(found: re.Match[str]) -> str:
    """Such characters stand in strings and quoted keys only: what nobody sees is written as an escape."""
    character = found[0]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - the basic plane
