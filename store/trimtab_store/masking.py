"""Which values nobody is shown: secret fields of the built-in categories, and what registered schemas call secret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from trimtab import categories
from trimtab.model import canonical, paths
from trimtab.model.canonical import Json
from trimtab.model.documents import KNOWN
from trimtab.model.trees import HIDDEN
from trimtab_store.validation.json_schema_problems import is_masked
from trimtab_store.validation.schemas import Schema, schema_of

SCHEMAS: Final = "schema"
"""The category of registered schemas."""
_BELOW: Final = f"{SCHEMAS}."
_FIELD: Final = 3
"""Segments of `schema.<name>.text`."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is secret, as far as schemas say so beside the built-in categories."""

    schemas: tuple[Schema, ...] = ()

    @classmethod
    def of(cls, *groups: Iterable[tuple[str, bytes]]) -> Self:
        """Those of the schemas that groups of items hold, by path and content; each later group lies over the first."""
        found: list[Schema] = []
        values: dict[str, dict[str, Json]] = {}
        for group in groups:
            for path, content in group:
                segments = paths.parse(path) if path.startswith(_BELOW) else ()
                if len(segments) == _FIELD and content != HIDDEN:
                    values.setdefault(segments[1], {})[segments[2]] = canonical.trusted(content)
            found += [schema for name, value in values.items() if (schema := schema_of(name, dict(value))) is not None]
        return cls(tuple(dict.fromkeys(found)))

    def hold(self, path: str) -> bool:
        """Whether what stands at a path is secret."""
        document = KNOWN.of(path)
        segments, kind = paths.parse(path), KNOWN.type_of(document)
        if kind is not None and categories.is_secret(kind, segments[len(paths.parse(document)) :]):
            return True
        return any(
            schema.covers(segments[: len(schema.shape)])
            and is_masked(schema.compiled.graph, segments[len(schema.shape) :])
            for schema in self.schemas
        )
