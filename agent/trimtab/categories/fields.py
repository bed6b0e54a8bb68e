"""Fields: what the models say about each place in a document, for spelling, units, secrets and explanations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trimtab.categories.base import Part
from trimtab.categories.units import Hidden, Said, Unit

Segments: TypeAlias = "tuple[str, ...]"
_WORD_END: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Place:
    """One place in a document: `fields` below it, or `values` of names that the user chooses, or neither."""

    name: str = ""
    unit: str | None = None
    secret: bool = False
    said: str = ""
    usual: object = None
    """A value to begin with, for a required field."""
    bounds: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """ge, gt, le, lt → number."""
    fields: Mapping[str, Place] = field(default_factory=dict[str, "Place"])
    values: Place | None = None
    others: Mapping[str, Segments] = field(default_factory=dict[str, Segments])
    elsewhere: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def guarded(self) -> bool:
        """Whether it is a secret or holds one, so that nothing that stands in its place is shown."""
        below = (*self.fields.values(), *(() if self.values is None else (self.values,)))
        return self.secret or any(place.guarded for place in below)

    def spelled(self, name: str) -> Segments | None:
        """The canonical segments of a field, however it is spelled; None for none of ours."""
        if name in self.fields:
            return (name,)
        if self.values is not None:
            return (name,)
        plain = snake(name)
        if plain in self.fields:
            return (plain,)
        return self.others.get(plain)

    def below(self, segment: str) -> Place | None:
        """The place of a canonical segment."""
        return self.fields.get(segment, self.values)


def snake(name: str) -> str:
    """`maxLeverage` → `max_leverage`, `alertWebhookURL` → `alert_webhook_url`."""
    return _WORD_END.sub("_", name).lower()


@lru_cache(maxsize=256)
def place_of(model: type[BaseModel]) -> Place:
    """What a model says, with everything below it."""
    fields = {name: _place(name, one.annotation, one.metadata, one) for name, one in model.model_fields.items()}
    if not issubclass(model, Part):
        return Place(name=model.__name__, fields=fields)
    return Place(name=model.__name__, fields=fields, others=model.other_spellings, elsewhere=model.found_elsewhere)


def _place(name: str, annotation: object, metadata: list[Any], info: FieldInfo | None = None) -> Place:
    marks = list(metadata)
    kind = _stripped(annotation, marks)
    place = Place(
        name=name,
        unit=next((mark.name for mark in marks if isinstance(mark, Unit)), None),
        secret=any(isinstance(mark, Hidden) for mark in marks),
        said=next((mark.words for mark in marks if isinstance(mark, Said)), ""),
        usual=_usual(info),
        bounds=dict(_bounds(marks)),
    )
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _with(place, place_of(kind))
    if get_origin(kind) is AbstractMapping:
        return _with(place, Place(values=_place("", get_args(kind)[1], [])))
    if get_origin(kind) is tuple:
        inner = _place("", get_args(kind)[0], [])
        return Place(name=name, unit=inner.unit, secret=inner.secret, said=inner.said, bounds=inner.bounds)
    return place


def _usual(info: FieldInfo | None) -> object:
    """What the schema calls the default of a required field."""
    extra = None if info is None else info.json_schema_extra
    return cast("dict[str, object]", extra).get("default") if isinstance(extra, dict) else None


def _with(place: Place, inside: Place) -> Place:
    hidden = inside.values is not None and inside.values.secret
    return Place(
        name=inside.name or place.name,
        secret=place.secret or hidden,
        fields=inside.fields,
        values=inside.values,
        others=inside.others,
        elsewhere=inside.elsewhere,
    )


def _stripped(annotation: object, marks: list[Any]) -> object:
    """What is left of an annotation without None and what `Annotated` says, which is added to `marks`."""
    inner = getattr(annotation, "__metadata__", None)
    if inner is not None:
        marks.extend(_flat(inner))
        return _stripped(get_args(annotation)[0], marks)
    args = get_args(annotation)
    if type(None) in args:
        (only,) = (one for one in args if one is not type(None))
        return _stripped(only, marks)
    return annotation


def _flat(marks: tuple[Any, ...]) -> Iterator[Any]:
    for mark in marks:
        yield from mark.metadata if isinstance(mark, FieldInfo) else (mark,)


def _bounds(marks: list[Any]) -> Iterator[tuple[str, Any]]:
    for mark in marks:
        if isinstance(mark, annotated_types.Ge):
            yield "ge", mark.ge
        elif isinstance(mark, annotated_types.Gt):
            yield "gt", mark.gt
        elif isinstance(mark, annotated_types.Le):
            yield "le", mark.le
        elif isinstance(mark, annotated_types.Lt):
            yield "lt", mark.lt
