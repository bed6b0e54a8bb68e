"""Templates: what an instance may be given, and the documents that it is made of.

This is the shape. What the parts say of each other (a default within its bounds, a parameter that no document uses) is
the business of whoever makes instances.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from immutables import Map
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from trimtab.categories.base import Category, Free, Part, Table, always
from trimtab.categories.units import Count, Flag, Number, Said, Semver, Text, Words
from trimtab.model.values import EMPTY, Document

Kind: TypeAlias = Literal["any", "amount", "boolean", "integer", "list", "number", "object", "text"]
"""The type of a parameter; an `amount` is a number, or one as text so that it stays exact."""
ParameterName: TypeAlias = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[a-z][a-z0-9_]{0,62}$"),
    Said("a name of lower-case letters, digits and _, which begins with a letter"),
]
TemplateName: TypeAlias = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[a-z][a-z0-9_-]{0,62}$"),
    Said("a name of lower-case letters, digits, _ and -, which begins with a letter"),
]
Length: TypeAlias = Annotated[Count, Field(ge=0)]


def _some(value: Document) -> Document:
    if not value:
        raise PydanticCustomError("documents", "holds no document, so there is nothing to make")
    return value


class TemplateParameter(Part):
    """One parameter. Bounds are for numbers, lengths are characters of a text or elements of a list."""

    type: Kind | None = None
    """That of its default, if nobody says it."""
    unit: Text | None = None
    description: Words = ""
    minimum: Number | None = None
    maximum: Number | None = None
    exclusive_minimum: Number | None = None
    exclusive_maximum: Number | None = None
    choices: tuple[bool | int | float | str, ...] = ()
    items: Kind = "any"
    """The type of a list's elements."""
    min_length: Length | None = None
    max_length: Length | None = None
    secret: Flag = False
    example: Any = None


class TemplateDocument(Category):
    """`template.<name>`.

    A parameter is required (it must be given), optional (left out where it is not given), customizable (its default may
    be replaced), or else fixed: its default always counts. `validation_rules` are comparisons such as
    `stop_loss <= take_profit`. `documents` go by path; `<name>` stands where the value of a parameter goes.
    """

    name: TemplateName
    category: Text
    version: Semver = "1.0.0"
    description: Words = ""
    tags: tuple[Text, ...] = ()
    required: tuple[ParameterName, ...] = ()
    optional: tuple[ParameterName, ...] = ()
    customizable: tuple[ParameterName, ...] = ()
    parameters: Table[TemplateParameter] = always(Map())
    defaults: Free = always(EMPTY)
    validation_rules: tuple[Text, ...] = ()
    documents: Annotated[Free, AfterValidator(_some)]
