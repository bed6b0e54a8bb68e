"""Spelling: from camelCase, the flat bot and other names to the one canonical name of each field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from pydantic import BaseModel

from trimtab.categories.fields import Place, place_of
from trimtab.model.canonical import Json

Segments: TypeAlias = "tuple[str, ...]"
Leaves: TypeAlias = "Mapping[Segments, Json]"


@dataclass(frozen=True, slots=True)
class Clash:
    """One field that is given twice, under different names, with different values."""

    segments: Segments
    """The canonical segments of the field."""
    first: Segments
    second: Segments


def canonical(place: Place, segments: Segments) -> Segments:
    """The canonical segments of one leaf; what no model knows stays as it is."""
    found: list[str] = []
    here: Place | None = place
    for at, segment in enumerate(segments):
        spelled = None if here is None else here.spelled(segment)
        if spelled is None:
            return (*found, *segments[at:])
        for one in spelled:
            here = None if here is None else here.below(one)
        found.extend(spelled)
    return tuple(found)


def leaves_of(value: Json, above: Segments = ()) -> Iterator[tuple[Segments, Json]]:
    """The leaves of a document: scalars, arrays and empty objects."""
    if isinstance(value, dict) and value:
        for segment, inner in value.items():
            yield from leaves_of(inner, (*above, segment))
    else:
        yield above, value


def respelled(place: Place, leaves: Leaves) -> tuple[dict[Segments, Json], list[Clash]]:
    """Leaves in canonical spelling, and what is given twice. The same value twice is given once."""
    found: dict[Segments, Json] = {}
    names: dict[Segments, Segments] = {}
    clashes: list[Clash] = []
    for segments, value in leaves.items():
        spelled = canonical(place, segments)
        other = _in_the_way(spelled, value, found)
        if other is not None:
            clashes.append(Clash(spelled, names[other], segments))
            continue
        found[spelled] = value
        names.setdefault(spelled, segments)
    return found, clashes


def _in_the_way(segments: Segments, value: Json, found: Leaves) -> Segments | None:
    """What a leaf cannot stand beside: another value in its place, above it or below it; `{}` is never in the way."""
    if segments in found:
        return None if _same(found[segments], value) else segments
    for length in range(1, len(segments)):
        if found.get(segments[:length], {}) != {}:
            return segments[:length]
    below = () if value == {} else (one for one in found if one[: len(segments)] == segments)
    return next(iter(below), None)


def _same(one: Json, other: Json) -> bool:
    try:
        return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # numbers beyond 64 bits
        return one == other


def assembled(leaves: Leaves) -> Json:
    """The document that leaves make. A leaf above another gives way to it if it is empty, else the later counts."""
    if tuple(leaves) == ((),):
        return leaves[()]
    root: dict[str, Json] = {}
    for segments, value in sorted(leaves.items(), key=lambda one: len(one[0])):
        here = root
        for segment in segments[:-1]:
            inner = here.get(segment)
            if not isinstance(inner, dict):
                inner = here[segment] = {}
            here = inner
        if segments:
            here.setdefault(segments[-1], value)
    return root


def of_model(model: type[BaseModel], value: dict[str, Any]) -> Json | None:
    """A document in canonical spelling; None if it is already, or if something in it clashes."""
    leaves = dict(leaves_of(value))
    found, clashes = respelled(place_of(model), leaves)
    return None if clashes or list(found) == list(leaves) else assembled(found)
