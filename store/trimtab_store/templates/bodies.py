r"""Bodies: what a template's documents are made from, with `<name>` where the value of a parameter goes.

    stop_loss_pct: <stop_loss_pct>      the value itself, of whatever type; left out if an optional one is not given
    log_file: logs/<id>.log             its text inside other text
    bot.<id>:                           a segment of a path; inside one, that is quoted: bot."eu-<id>"
    note: "<<b> is bold"                `<<` stands for `<`

An object of which everything is left out is left out as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

from trimtab.model import paths
from trimtab.model.canonical import Json

Given: TypeAlias = Mapping[str, Json]


class _Left(Enum):
    OUT = "left out"


Made: TypeAlias = "Json | Literal[_Left.OUT]"
Make: TypeAlias = Callable[[Given], Made]
_PLACE: Final = re.compile(r"<<|<([a-z][a-z0-9_]*)>")
_SEGMENT: Final = re.compile(r"(?:(?<=\.)|^)(<[a-z][a-z0-9_]*>)(?=\.|$)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a parameter stands: `alone` as a whole value, or inside a text or path, or in a key, where none may."""

    name: str
    alone: bool
    where: str
    key: bool = False


class Body:
    """One document of a template: its path and value, ready to be filled in."""

    def __init__(self, path: str, value: Json) -> None:
        """Raises `PathError` for a path that cannot be one."""
        self.path = path
        self._segments = tuple(_text(segment) for segment in segments_of(path))
        self._make = _compiled(value)

    def fill(self, given: Given) -> tuple[str, Json] | None:
        """The canonical path and the document, nothing of which is shared; None if all of it is left out."""
        value = self._make(given)
        if value is _Left.OUT:
            return None
        return paths.join([segment(given) for segment in self._segments]), value


def places(path: str, value: Json) -> Iterator[Place]:
    """Every place of a parameter in the path and the value of a document."""
    for segment in segments_of(path):
        yield from (Place(name, alone=False, where=path) for name in names(segment))
    yield from _inside(value, path)


def segments_of(path: str) -> tuple[str, ...]:
    """The segments of a document's path, places of parameters among them; raises `PathError`."""
    return paths.parse(_SEGMENT.sub(r'"\1"', path))


def names(text: str) -> Iterator[str]:
    """The parameters that a text names."""
    return (found[1] for found in _PLACE.finditer(text) if found[1])


def _inside(value: Json, where: str) -> Iterator[Place]:
    if isinstance(value, str):
        whole = _PLACE.fullmatch(value)
        alone = whole is not None and whole[1] is not None
        yield from (Place(name, alone, where) for name in names(value))
    elif isinstance(value, list):
        for element in value:
            yield from _inside(element, where)
    elif isinstance(value, dict):
        for key, child in value.items():
            at = f"{where}.{key}"
            yield from (Place(name, alone=False, where=at, key=True) for name in names(key))
            yield from _inside(child, at)


def copied(value: Json) -> Json:
    """A copy that shares nothing."""
    if isinstance(value, dict):
        return {key: copied(child) for key, child in value.items()}
    if isinstance(value, list):
        return [copied(element) for element in value]
    return value


def _compiled(value: Json) -> Make:
    """A function that makes the value from what is given; done once, so that an instance parses nothing."""
    if isinstance(value, str):
        return _value(value)
    if isinstance(value, dict):
        return _object({key: _compiled(child) for key, child in value.items()})
    if isinstance(value, list):
        return _list([_compiled(element) for element in value])
    return lambda _: value


def _value(text: str) -> Make:
    whole = _PLACE.fullmatch(text)
    if whole is None or whole[1] is None:
        return _text(text)
    name = whole[1]

    def make(given: Given) -> Made:
        return copied(given[name]) if name in given else _Left.OUT

    return make


def _text(text: str) -> Callable[[Given], str]:
    """The function that writes a text with the values in it."""
    parts = _PLACE.split(text.replace("<<", "\0"))
    fixed = [part.replace("\0", "<") for part in parts[::2]]
    named = parts[1::2]
    if not named:
        return lambda _: fixed[0]

    def make(given: Given) -> str:
        written = "".join(f"{before}{_word(given[name])}" for before, name in zip(fixed, named, strict=False))
        return written + fixed[-1]

    return make


def _word(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _object(fields: Mapping[str, Make]) -> Make:
    pairs = tuple(fields.items())

    def make(given: Given) -> Made:
        found: dict[str, Json] = {}
        for key, child in pairs:
            value = child(given)
            if value is not _Left.OUT:
                found[key] = value
        return found if found or not pairs else _Left.OUT

    return make


def _list(elements: list[Make]) -> Make:
    def make(given: Given) -> Made:
        return [value for value in (element(given) for element in elements) if value is not _Left.OUT]

    return make
