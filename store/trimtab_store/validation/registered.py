"""What a line itself says about its content: the schemas and the rules that stand in it, and so what a document is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.documents import KNOWN, METADATA, Documents, shape_of
from trimtab_store.validation import raws
from trimtab_store.validation.cel_rules import rules_of
from trimtab_store.validation.raws import Raw
from trimtab_store.validation.resolved import Resolved
from trimtab_store.validation.rules import Rule
from trimtab_store.validation.schemas import Schema, schema_of

SCHEMA: Final = "schema"
RULE: Final = "rule"
REGISTRATIONS: Final = (RULE, SCHEMA)
"""The categories that say what holds for others."""
_KEPT: Final = 64


class Registered:
    """The documents of a line, its schemas, and the rules that its users wrote. Immutable, shared by content."""

    def __init__(self, schemas: Mapping[str, Schema], rules: tuple[Rule, ...]) -> None:
        self.schemas = schemas
        self.rules = rules
        self.documents = Documents({one.documents: name for name, one in schemas.items()})
        self.depth = max(len(shape_of(pattern)) for pattern in self.documents.types)
        """A path with as many segments lies above no document."""
        self._of: dict[str, tuple[str, ...]] = {}
        self._asked: dict[str, tuple[str | None, tuple[Schema, ...]]] = {}

    @classmethod
    def of(cls, side: Resolved) -> Registered:
        """What one side of a line registers; what makes no sense there is passed over, and refused where it is put."""
        if not side.holds(SCHEMA) and not side.holds(RULE):
            return EMPTY
        return _registered(side.content(SCHEMA, ()).raw, side.content(RULE, ()).raw)

    def holding(self, path: str) -> tuple[str, ...]:
        """The documents that a path belongs to, the innermost first: several where one schema's stands in another's."""
        known = self._of.get(path)
        if known is None:
            own = self.documents.of(path)
            around = [one for one in paths.parents(own) if self.documents.type_of(one)]
            if len(self._of) > _PATHS:
                self._of.clear()
            known = self._of[path] = (own, *around)
        return known

    def scope(self, path: str) -> str:
        """What has to be read to see every document that a path belongs to whole."""
        return self.holding(path)[-1]

    def asks(self, document: str) -> tuple[str | None, tuple[Schema, ...]]:
        """The built-in type of a document, and the schemas that it has to fit."""
        known = self._asked.get(document)
        if known is None:
            segments = paths.parse(document)
            fitting = tuple(schema for schema in self.schemas.values() if schema.covers(segments))
            if len(self._asked) > _PATHS:
                self._asked.clear()
            known = self._asked[document] = self._kind(document), fitting
        return known

    def _kind(self, document: str) -> str | None:
        """The built-in type of a document; metadata are those of any document that is registered."""
        return self.documents.type_of(document) if paths.is_below(document, METADATA) else KNOWN.type_of(document)


_PATHS: Final = 10_000
EMPTY: Final = Registered({}, ())


def documents_in(registered: Registered, found: Iterable[str]) -> set[str]:
    """Every document that holds one of some items."""
    return {document for path in found for document in registered.holding(path)}


@lru_cache(maxsize=_KEPT)
def _registered(schemas: Raw | None, rules: Raw | None) -> Registered:
    if schemas is None and rules is None:
        return EMPTY
    named = (schema_of(name, value) for name, value in _entries(schemas))
    fitting = {one.name: one for one in named if one is not None}
    return Registered(fitting, rules_of(_entries(rules), {one.documents: one.text for one in fitting.values()}))


def _entries(category: Raw | None) -> list[tuple[str, Json]]:
    """The documents `<category>.<name>`, by name."""
    value = None if category is None else raws.decode(category)
    return sorted(value.items()) if isinstance(value, dict) else []
