"""Places: questions about one leaf of a document, by its segments from the document's own path."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.categories import spelling
from trimtab.categories.fields import Place, place_of
from trimtab.categories.models import MODELS
from trimtab.categories.spelling import Clash, Segments
from trimtab.model.canonical import Json


def respell(kind: str, segments: Segments) -> Segments:
    """The canonical segments of one leaf: camelCase, the flat bot, other names. What is not known stays as it is."""
    model = MODELS.get(kind)
    return segments if model is None else spelling.canonical(place_of(model), segments)


def respell_leaves(kind: str, leaves: Mapping[Segments, Json]) -> tuple[dict[Segments, Json], list[Clash]]:
    """All leaves of a document in canonical spelling, and the fields that are given twice with different values.

    `clash_problems` makes problems of the latter.
    """
    model = MODELS.get(kind)
    return (dict(leaves), []) if model is None else spelling.respelled(place_of(model), leaves)


def respell_document(kind: str, value: Json) -> tuple[Json, list[Clash]]:
    """The same for a whole document."""
    leaves, clashes = respell_leaves(kind, dict(spelling.leaves_of(value)))
    return spelling.assembled(leaves), clashes


def unit_of(kind: str, segments: Segments) -> str | None:
    """The unit of a field, in any spelling: ratio, bps, pct, ms, s, h, usd, amount, count, factor, MB; or None."""
    found = _places(kind, segments)
    return found[-1].unit if found and len(found) == len(respell(kind, segments)) else None


def is_secret(kind: str, segments: Segments) -> bool:
    """Whether a field, or what it stands in, is never shown."""
    return any(place.secret for place in _places(kind, segments))


def _places(kind: str, segments: Segments) -> list[Place]:
    """The places on the way to a leaf, as far as the model knows them."""
    model = MODELS.get(kind)
    here = None if model is None else place_of(model)
    found: list[Place] = []
    for segment in respell(kind, segments):
        here = None if here is None else here.below(segment)
        if here is None:
            break
        found.append(here)
    return found
