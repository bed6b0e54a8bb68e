"""What a line itself says about its content: the schemas and the rules that stand in it, and so what a document is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.documents import Documents, shape_of
from trimtab_store.validation.resolved import Content, Resolved
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

    @classmethod
    def of(cls, side: Resolved) -> Registered:
        """What one side of a line registers; what makes no sense there is passed over, and refused where it is put."""
        return _registered(*(side.content(category, ()) for category in (SCHEMA, RULE)))

    def holding(self, path: str) -> tuple[str, ...]:
        """The documents that a path belongs to, the innermost first: several where one schema's stands in another's."""
        known = self._of.get(path)
        if known is None:
            own = self.documents.of(path)
            around = [one for one in paths.parents(own) if self.documents.type_of(one)]
            known = self._of[path] = (own, *around)
            if len(self._of) > _PATHS:
                self._of.clear()
        return known

    def scope(self, path: str) -> str:
        """What has to be read to see every document that a path belongs to whole."""
        return self.holding(path)[-1]

    def schemas_of(self, document: str) -> Iterator[Schema]:
        """The schemas that a document has to fit."""
        segments = paths.parse(document)
        for schema in self.schemas.values():
            if schema.covers(segments):
                yield schema


_PATHS: Final = 10_000
EMPTY: Final = Registered({}, ())


def documents_in(registered: Registered, found: Iterable[str]) -> set[str]:
    """Every document that holds one of some items."""
    return {document for path in found for document in registered.holding(path)}


@lru_cache(maxsize=_KEPT)
def _registered(schemas: Content, rules: Content) -> Registered:
    if schemas.is_absent and rules.is_absent:
        return EMPTY
    named = {name: schema_of(name, value) for name, value in entries(schemas)}
    return Registered({name: one for name, one in named.items() if one is not None}, user_rules(entries(rules)))


def entries(category: Content) -> Iterator[tuple[str, Json]]:
    """The documents `<category>.<name>`, by name."""
    value = category.json
    if isinstance(value, dict):
        yield from sorted(value.items())


def user_rules(found: Iterable[tuple[str, Json]]) -> tuple[Rule, ...]:
    """The rules that users wrote; each is made once, so that the same text is the same rule."""
    del found
    return ()
