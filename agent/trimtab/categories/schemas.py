"""Schemas: the built-in categories as JSON Schema (draft 2020-12), with units (`x-unit`) and secrets (`x-secret`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any, Final, cast

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import WithDefaultSchema

from trimtab.categories.models import MODELS
from trimtab.model.canonical import Json

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _Generated(GenerateJsonSchema):
    """Pydantic's schema, which also shows the defaults of read-only mappings."""

    def get_default_value(self, schema: WithDefaultSchema) -> Any:
        factory = schema.get("default_factory")
        return super().get_default_value(schema) if factory is None else cast("Callable[[], Any]", factory)()

    def encode_default(self, dft: Any) -> Any:
        return dict(cast("Mapping[str, Any]", dft)) if isinstance(dft, Mapping) else super().encode_default(dft)


def json_schema(kind: str) -> dict[str, Json]:
    """The schema of a type, the caller's own copy; raises `KeyError` for a type that is not ours."""
    return deepcopy(_schema(kind))


@cache
def _schema(kind: str) -> dict[str, Json]:
    made = MODELS[kind].model_json_schema(by_alias=False, schema_generator=_Generated)
    return {"$schema": DIALECT, **made}
