"""Glancing: whether a document is right, without making its model: half the time that the model takes.

Nearly every document that is checked is right, and whoever checks it wants no object of it. So a second validator is
made of what pydantic made of the model: objects are looked at where they are, defaults are not put in, decimals not
made. What it takes the model takes. What it does not take may still be right, in another spelling for one: the model
says. Parts that it does not know (a validator of our own, above all) stay as the model has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

from pydantic_core import SchemaValidator, core_schema

from trimtab.categories import base, units

Schema: TypeAlias = "dict[str, Any]"
Glance: TypeAlias = "Callable[[Any], bool]"


def glance_of(model: type[base.Category]) -> Glance:
    """What tells of a document whether it is surely right as this model."""
    model.model_rebuild()
    return SchemaValidator(cast("Any", _lighter(cast("Schema", model.__pydantic_core_schema__)))).isinstance_python


def _lighter(schema: Schema) -> Schema:
    make = _LIGHTER.get(schema["type"])
    return schema if make is None else make(schema)


def _definitions(schema: Schema) -> Schema:
    defined = [{**_lighter(one), "ref": one["ref"]} for one in schema["definitions"]]
    return {**schema, "schema": _lighter(schema["schema"]), "definitions": defined}


def _object(schema: Schema) -> Schema:
    """A model as an object of its fields."""
    inside, config = schema["schema"], schema.get("config", {})
    if inside["type"] != "model-fields" or config.get("extra_fields_behavior") != "forbid":
        return schema
    fields = {name: _field(field["schema"]) for name, field in inside["fields"].items()}
    return _made(core_schema.typed_dict_schema(fields, strict=True, extra_behavior="forbid"))


def _field(schema: Schema) -> core_schema.TypedDictField:
    required = schema["type"] != "default"
    given = _lighter(schema if required else schema["schema"])
    return core_schema.typed_dict_field(cast("Any", given), required=required)


def _inside(schema: Schema) -> Schema:
    return {**schema, "schema": _lighter(schema["schema"])}


def _table(schema: Schema) -> Schema:
    return {**schema, "values_schema": _lighter(schema["values_schema"])}


def _wrapped(schema: Schema) -> Schema:
    """A document without its second chance in another spelling."""
    known = getattr(_function(schema), "__func__", None) is base.RESPELLED
    return _lighter(schema["schema"]) if known else schema


def _after(schema: Schema) -> Schema:
    return _lighter(schema["schema"]) if _function(schema) is base.fixed else schema


def _before(schema: Schema) -> Schema:
    """An amount: a number, whose bound a float keeps as well, or a text. What is longer is read as an amount."""
    if _function(schema) is not units.written:
        return schema
    number = core_schema.float_schema(strict=True, allow_inf_nan=False)
    number["gt" if "gt" in schema["schema"] else "ge"] = 0
    pattern = units.POSITIVE if "gt" in schema["schema"] else units.NOT_NEGATIVE
    text = core_schema.str_schema(strict=True, max_length=units.DIGITS, pattern=pattern)
    return _made(core_schema.union_schema([number, text, cast("Any", schema)], mode="left_to_right"))


def _plain(schema: Schema) -> Schema:
    return _made(core_schema.is_instance_schema(dict)) if _function(schema) is base.free else schema


def _function(schema: Schema) -> object:
    return schema["function"]["function"]


def _made(schema: object) -> Schema:
    return cast("Schema", schema)


_LIGHTER: Final[Mapping[str, Callable[[Schema], Schema]]] = {
    "definitions": _definitions,
    "model": _object,
    "nullable": _inside,
    "dict": _table,
    "function-wrap": _wrapped,
    "function-after": _after,
    "function-before": _before,
    "function-plain": _plain,
}
