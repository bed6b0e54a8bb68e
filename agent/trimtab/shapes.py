"""Shapes: what a value of the configuration becomes when it is bound, and why a model refuses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar, cast, get_args, get_origin

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from trimtab.model.errors import UsageError
from trimtab.model.values import Document, Value, thaw

T = TypeVar("T")
_MUTABLE: Final = (list, dict, set, bytearray)
_MASKED: Final = 4
"""A string of the configuration that is at least this long is not repeated in a refusal."""
_REASON_CHARACTERS: Final = 500


class Shape(Generic[T]):
    """A frozen pydantic model or a scalar type, and how a value becomes one."""

    def __init__(self, kind: type[T]) -> None:
        """Raises `UsageError` for a type whose values could be changed by whoever reads them."""
        _check_frozen(kind, seen=set())
        self.kind = kind
        self.name = getattr(kind, "__name__", str(kind))
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)
        config = cast("Mapping[str, object]", getattr(kind, "model_config", {}))
        # "5" is no integer unless the model says in its configuration how strict it wants to be
        self._strict = None if "strict" in config else True

    def read(self, value: Value) -> T:
        """The typed value; raises pydantic's `ValidationError`, or whatever a validator of the model raises."""
        # as JSON, so that strict still takes "0.1" for a Decimal and "2026-01-05" for a date
        return self._adapter.validate_json(orjson.dumps(thaw(value)), strict=self._strict)


def reason_of(error: ValidationError, value: Value) -> str:
    """What the model said, field by field, without the values that it said it about."""
    said = "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'the value'}: {one['msg']}"
        for one in error.errors(include_input=False, include_url=False, include_context=False)
    )
    for text in sorted(_strings(value), key=len, reverse=True):
        said = said.replace(text, "…")
    return said[:_REASON_CHARACTERS]


def _strings(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) >= _MASKED:
            yield value
    elif isinstance(value, tuple | Document):
        for inner in value if isinstance(value, tuple) else (value[segment] for segment in value.segments()):
            yield from _strings(inner)


def _check_frozen(kind: object, seen: set[int]) -> None:
    """Refuse a type, or a model inside it, whose values could be changed by whoever reads them."""
    if id(kind) in seen:
        return
    seen.add(id(kind))
    name = getattr(kind, "__name__", str(kind))
    if (get_origin(kind) or kind) in _MUTABLE:
        raise UsageError(
            f"{name} cannot be bound", "whoever reads it could change it for everybody", "Use a tuple or a frozen model"
        )
    model = _model(kind)
    if model is not None and not model.model_config.get("frozen"):
        raise UsageError(
            f"{name} cannot be bound",
            "it is not frozen: whoever reads it could change it for everybody",
            f"Write class {name}(BaseModel, frozen=True)",
        )
    inside = get_args(kind) if model is None else [field.annotation for field in model.model_fields.values()]
    for inner in inside:
        _check_models(inner, seen)


def _check_models(kind: object, seen: set[int]) -> None:
    """The same for what is inside: plain containers in a field of a model are the author's choice."""
    if _model(kind) is not None:
        _check_frozen(kind, seen)
    for inner in get_args(kind):
        _check_models(inner, seen)


def _model(kind: object) -> type[BaseModel] | None:
    if isinstance(kind, type) and issubclass(cast("type[object]", kind), BaseModel):
        return cast("type[BaseModel]", kind)
    return None
