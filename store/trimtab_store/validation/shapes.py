"""What is wrong with one document by itself: its category's model, and the schemas that cover it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from trimtab import categories
from trimtab.model.documents import KNOWN, METADATA
from trimtab.model.items import LeafEdit
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab_store.validation import schemas
from trimtab_store.validation.registered import SCHEMA, Registered
from trimtab_store.validation.resolved import Content

COMMON_ONLY: Final = frozenset({"guard", METADATA, "override", "rule", SCHEMA, "template"})
"""Categories about other documents: they hold for all readers alike, so no overlay may hold any of it."""


def problems_of(registered: Registered, content: Content) -> Sequence[Problem]:
    """Everything that is wrong with a document. A schema adds to what a built-in category asks, it replaces nothing."""
    value, document = content.json, content.path
    if isinstance(value, Absent):
        return ()
    kind = kind_of(registered, document)
    found: list[Problem] = []
    if kind is not None:
        found += categories.check(kind, value, document)
    if kind == SCHEMA:
        found += schemas.faults(value, document)
    for schema in registered.schemas_of(document):
        found += schema.compiled.check(value, document)
    return found


def kind_of(registered: Registered, document: str) -> str | None:
    """The built-in type of a document; of metadata those of any document that is registered."""
    if document.startswith(f"{METADATA}."):
        return registered.documents.type_of(document)
    return KNOWN.type_of(document)


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
