"""Homes: where a part of a bot's file stands, if a built-in category holds it.

    {"at": ["exchange", "name"], "path": "strategy.mm.exchange"}
    {"at": [], "path": "strategy.mm.parameters"}
    {"at": ["dry_run"], "path": "fleet.bots.mm.labels.mode", "when": {"paper": true, "live": false}}

The first is the value itself, the second an object whose fields go to that place, the third stands for a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, TypeGuard, cast

from trimtab.model import canonical, paths

if TYPE_CHECKING:
    from trimtab.model.canonical import Json

Segments: TypeAlias = "tuple[str, ...]"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One part of a file, the document field that holds it, and the layer that it is written to."""

    at: Segments
    path: str
    layer: str = ""
    keys: tuple[str, ...] | None = None
    """Only these fields of the object at `at` go there; None for all of it."""
    when: Mapping[str, Json] | None = None
    """What stands in the file for each text at the path; None for the value itself."""

    @property
    def place(self) -> str:
        """What a person calls it."""
        if self.keys is not None:
            return ", ".join(paths.join((*self.at, key)) for key in self.keys)
        return paths.join(self.at)

    def value(self, content: Json) -> Json:
        """What is stored at the path."""
        found = at(content, self.at)
        if self.keys is not None:
            return {key: cast("dict[str, Json]", found)[key] for key in self.keys}
        if self.when is None:
            return found
        return next(text for text, one in self.when.items() if one is found)

    def to_json(self) -> Json:
        """As it is stored beside what is left of the file."""
        found: dict[str, Json] = {"at": list(self.at), "path": self.path}
        if self.when is not None:
            found["when"] = dict(self.when)
        if self.layer:
            found["layer"] = self.layer
        return found


def is_id(value: object) -> TypeGuard[str]:
    """Whether a value can name a document."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def at(content: Json, place: Segments) -> Json:
    """What stands at a place; raises `KeyError` if nothing does."""
    for name in place:
        if not isinstance(content, dict):
            raise KeyError(name)
        content = content[name]
    return content


def has(content: Json, place: Segments) -> bool:
    """Whether something stands at a place."""
    try:
        at(content, place)
    except KeyError:
        return False
    return True


def without(content: dict[str, Json], homes: tuple[Home, ...]) -> dict[str, Json]:
    """What is left once every home has taken its part; objects that are left with nothing go too."""
    left = content
    for home in homes:
        for place in [(*home.at, key) for key in home.keys] if home.keys is not None else [home.at]:
            left = _removed(left, place)
    return left


def _removed(content: dict[str, Json], place: Segments) -> dict[str, Json]:
    name, *below = place
    rest = {key: value for key, value in content.items() if key != name}
    if below:
        inner = _removed(cast("dict[str, Json]", content[name]), tuple(below))
        if inner:
            rest[name] = inner
    return rest


def same(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON, types included: 1 is neither 1.0 nor true. Order of keys is no matter."""
    return canonical.encode(one) == canonical.encode(other)
