"""`${NAME}` and `${NAME:-default}` in the strings of files, after they were read.

    ${NAME}            what the variable says; refused where it is not set
    ${NAME:-default}   the default where it is not set or empty; a default is plain text up to the brace
    $${                a plain ${

A value that is one reference and nothing else takes the type that YAML would give the text: `5` is a number, `true` a
boolean, nothing at all is null (`texts` keeps the text, for a field that takes nothing but text). What a variable says
is not looked at again, so it can neither refer to another one nor bring structure with it, and no message shows it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trimtab.model import paths
from trimtab.model.canonical import MAX_ITEM_BYTES, Json
from trimtab.model.errors import ValueRefused
from trimtab_store.files.errors import FileRefused, shown
from trimtab_store.files.yaml_core import plain_scalar

_REFERENCE: Final = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<broken>\$\{)"
)
_CHARACTER: Final = re.compile("[\0\ud800-\udfff]")


@dataclass(slots=True)
class Interpolation:
    """Replaces references with what `variables` say.

    `used` tells by path which variables a value came from, `texts` what stood there before it became another type.
    """

    variables: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    used: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    texts: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    def value(self, value: Json, path: str, file: str) -> Json:
        """A value with every reference in its strings replaced; the value itself where there is none."""
        return self._replaced_in(value, path, file) if _holds_reference(value) else value

    def _replaced_in(self, value: Json, path: str, file: str) -> Json:
        if isinstance(value, str):
            return self._text(value, path, file) if "${" in value else value
        if isinstance(value, dict):
            return {key: self._replaced_in(child, paths.child(path, key), file) for key, child in value.items()}
        if isinstance(value, list):
            return [self._replaced_in(child, path, file) for child in value]
        return value

    def text(self, text: str, path: str, file: str, line: int | None = None) -> str:
        """A text with its references replaced by texts; raises `FileRefused`."""
        if "${" not in text:
            return text
        parts: list[str] = []
        position = length = 0
        for found in _REFERENCE.finditer(text):
            parts += [text[position : found.start()], self._replaced(found, path, file, line)]
            position = found.end()
            length += len(parts[-1]) + len(parts[-2])
            if length > MAX_ITEM_BYTES:
                why = f"what replaces the references at {shown(path, 200)} is longer than {MAX_ITEM_BYTES} bytes"
                raise FileRefused(file, "size", why, "Use fewer of them", line=line)
        return "".join([*parts, text[position:]])

    def _text(self, text: str, path: str, file: str) -> Json:
        replaced = self.text(text, path, file)
        only = _REFERENCE.fullmatch(text)
        if only is None or only["name"] is None:
            return replaced
        found = typed(replaced, path, file, only["name"])
        if not isinstance(found, str):
            self.texts[path] = replaced
        return found

    def _replaced(self, found: re.Match[str], path: str, file: str, line: int | None) -> str:
        name, default = found["name"], found["default"]
        if found["broken"]:
            why = f"the value at {shown(path, 200)} holds ${{ that begins no reference"
            raise FileRefused(
                file, "reference", why, "Write ${NAME}, ${NAME:-default}, or $${ for a plain ${", line=line
            )
        if name is None:
            return "${"
        if default is not None and "${" in default:
            why = f"the default of {name} at {shown(path, 200)} holds a reference itself"
            raise FileRefused(file, "reference", why, "Write the default out", line=line)
        said = self.variables.get(name)
        if said is None and default is None:
            why = f"the variable {name} at {shown(path, 200)} is not set"
            raise FileRefused(file, "undefined", why, f"Set {name}, or write ${{{name}:-default}}", line=line)
        self.used[path] = (*self.used.get(path, ()), name)
        if said and _CHARACTER.search(said):
            why = f"what the variable {name} says at {shown(path, 200)} is not text"
            raise FileRefused(file, "character", why, f"Set {name} to UTF-8 without U+0000", line=line)
        return said or default or ""


def typed(text: str, path: str, file: str, variable: str, line: int | None = None) -> Json:
    """The value that YAML would read the text as, were it written there; no message shows the text."""
    try:
        return plain_scalar(text)
    except ValueRefused:
        why = f"what the variable {variable} says at {shown(path, 200)} is a number that cannot be kept exactly"
        remedy = "Make it shorter, or use the reference within a longer text"
    raise FileRefused(file, "number", why, remedy, line=line)  # outside of `except`: its cause would show the text


def _holds_reference(value: Json) -> bool:
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any(map(_holds_reference, value.values()))
    return isinstance(value, list) and any(map(_holds_reference, value))
