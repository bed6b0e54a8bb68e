"""What is wrong with one document by itself: its category's model, and the schemas that cover it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from trimtab import categories
from trimtab.model.canonical import Json
from trimtab.model.documents import METADATA
from trimtab.model.items import LeafEdit
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab_store.validation import cel_faults, schemas
from trimtab_store.validation.registered import RULE, SCHEMA, Registered
from trimtab_store.validation.resolved import Content

COMMON_ONLY: Final = frozenset({"guard", METADATA, "override", RULE, SCHEMA, "template"})
"""Categories about other documents: they hold for all readers alike, so no overlay may hold any of it."""


def _none(value: Json, path: str) -> Iterable[Problem]:
    del value, path
    return ()


_FAULTS: Final[Mapping[str, Callable[[Json, str], Iterable[Problem]]]] = {
    RULE: cel_faults.faults,
    SCHEMA: schemas.faults,
}


def problems_of(registered: Registered, content: Content) -> Sequence[Problem]:
    """Everything that is wrong with a document. A schema adds to what a built-in category asks, it replaces nothing."""
    value, document = content.json, content.path
    if isinstance(value, Absent):
        return ()
    kind, fitting = registered.asks(document)
    found: list[Problem] = []
    if kind is not None:
        found += categories.check(kind, value, document)
        found += _FAULTS.get(kind, _none)(value, document)
    for schema in fitting:
        found += schema.compiled.check(value, document)
    return found


def misplaced(edits: Sequence[LeafEdit]) -> Iterator[Problem]:
    """Edits of documents about documents outside the common layer."""
    for edit in edits:
        category = edit.path.partition(".")[0]
        if edit.layer and edit.operation != "remove" and category in COMMON_ONLY:
            yield Problem(
                path=edit.path,
                rule="layer",
                why=f"{category} stands in the common layer only, not in {edit.layer}",
                remedy="Leave the layer out",
            )
