"""The bases of all categories: frozen, strict about fields, and free where SPEC leaves a part free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias, TypeVar, cast

from immutables import Map
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    WrapSerializer,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from trimtab.categories.units import Text
from trimtab.model.values import Document, freeze

T = TypeVar("T")


class Part(BaseModel):
    """A part of a document. Frozen; unknown fields are refused; nothing is converted (every type is strict itself)."""

    # `strict` is said so that a binding leaves strictness to the types: a list is to become a tuple
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=False,
        loc_by_alias=False,
        hide_input_in_errors=True,
        defer_build=True,
    )

    other_spellings: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Other names of fields, beside camelCase: name → segments from here."""
    found_elsewhere: ClassVar[Mapping[str, str]] = {}
    """What somebody may look for here: name → where it is to be said."""


class Category(Part):
    """A document. What its model refuses is tried again in the canonical spelling: camelCase, flat bots."""

    @model_validator(mode="wrap")
    @classmethod
    def _respelled(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError:
            from trimtab.categories import spelling  # noqa: PLC0415 - it walks models, and is seldom needed

            if not isinstance(value, dict):
                raise
            again = spelling.of_model(cls, cast("dict[str, Any]", value))
            if again is None:
                raise
            return handler(again)


RESPELLED: Final[object] = Category._respelled.__func__  # noqa: SLF001 - our own
"""The validator around every document, to be told from others."""


class _Free:
    """Makes a `Document` of any JSON object."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(
            free, serialization=core_schema.plain_serializer_function_ser_schema(Document.to_dict)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        del schema, handler
        return {"type": "object"}


_NESTED: Final = (list, dict)


def free(value: Any) -> Document:
    """Any object as a read-only one."""
    if type(value) is dict:
        given = cast("dict[str, Any]", value)
        for inner in given.values():
            if type(inner) in _NESTED:
                return cast("Document", freeze(given))
        return Document(given.copy())  # the common case, three times as fast
    if isinstance(value, Document):
        return value
    raise PydanticCustomError("dict_type", "must be an object")


Free: TypeAlias = Annotated[Document, _Free()]
"""Any JSON object, read-only: lists in it are tuples."""


def always(value: Any) -> Any:
    """A default that every document shares; pydantic would copy one that has no hash, each time."""
    return Field(default_factory=lambda: value)


def fixed(value: Mapping[str, T]) -> Mapping[str, T]:
    """The same, read only."""
    return Map(value)


def _plain(value: Any, handler: Any) -> Any:
    return handler(dict(value))


Table: TypeAlias = Annotated[Mapping[str, T], AfterValidator(fixed), WrapSerializer(_plain)]
"""A read-only mapping from names that the user chooses."""


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Several: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(_several, json_schema_input_type=Text | list[Text])]
"""One text or a list of them; always a tuple when it is read."""
