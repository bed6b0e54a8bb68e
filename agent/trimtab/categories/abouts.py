"""Documents about documents: metadata, schemas, rules, guards, the local override, and bots of the fleet."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from immutables import Map
from pydantic import AwareDatetime, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from trimtab.categories.base import Category, Free, Several, Table
from trimtab.categories.units import AnyRatio, Count, Factor, Flag, Text, Words


def _text(value: Any) -> Any:
    if isinstance(value, str | datetime):
        return value
    raise PydanticCustomError("moment", "must be a time with its zone, such as 2026-01-05T09:30:00Z")


Moment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_text, json_schema_input_type=AwareDatetime)]
Status: TypeAlias = Literal["draft", "active", "deprecated", "retired"]


class Metadata(Category):
    """`meta.<document>`."""

    config_id: Text | None = None
    type: Text | None = None
    description: Words = ""
    owner: Text | None = None
    tags: tuple[Text, ...] = ()
    status: Status = "active"
    dependencies: tuple[Text, ...] = ()
    schema_version: Annotated[Count, Field(ge=1)] | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
    last_validated: Moment | None = None
    validation_errors: tuple[Words, ...] = ()
    warnings: tuple[Words, ...] = ()


class SchemaDocument(Category):
    """`schema.<name>`: a JSON Schema for documents of the user's own."""

    documents: Text
    version: Annotated[Count, Field(ge=1)]
    text: Annotated[str, Field(strict=True, min_length=2)]
    description: Words = ""
    upgrades: tuple[Free, ...] = ()


class RuleDocument(Category):
    """`rule.<name>`: a rule in CEL."""

    documents: Several
    cel: Annotated[str, Field(strict=True, min_length=1)]
    severity: Literal["refuse", "warn"] = "refuse"
    message: Text
    environments: tuple[Text, ...] = ()
    modes: tuple[Text, ...] = ()
    reads: tuple[Text, ...] = ()
    description: Words = ""


class Guard(Category):
    """`guard.config`: from when on a change needs to be forced."""

    max_removed_share: Annotated[AnyRatio, Field(gt=0, le=1)] | None = None
    max_risk_factor: Annotated[Factor, Field(gt=1)] | None = None
    min_items: Annotated[Count, Field(ge=1)] | None = None


class Override(Category):
    """`override.config`: what the file of a node may change."""

    permitted: Flag = False
    overridable: tuple[Text, ...] = ()
    protected: tuple[Text, ...] = ()


class FleetBot(Category):
    """`fleet.bots.<bot>`."""

    labels: Table[Text] = Map()
    description: Words = ""
