"""What is wrong with one document by itself: its category's model, and the schemas that cover it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from trimtab import categories
from trimtab.model.canonical import Json
from trimtab.model.documents import BUILT_IN, METADATA
from trimtab.model.errors import nearest
from trimtab.model.items import LeafEdit
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab_store.validation import cel_faults, schemas
from trimtab_store.validation.registered import RULE, SCHEMA, Registered
from trimtab_store.validation.resolved import Content

COMMON_ONLY: Final = frozenset({"guard", METADATA, "override", RULE, SCHEMA, "template"})
"""Categories about other documents: they hold for all readers alike, so no overlay may hold any of it."""

CATEGORIES: Final = sorted({pattern.partition(".")[0] for pattern in BUILT_IN} | {METADATA})
_ALIKE: Final = 0.75
"""So alike is a typing error to what was meant: `strategi`, `tokens`; and not `bets` to `bot`."""


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
    return found if kind is not None or fitting else _strays(document)


def _strays(document: str) -> list[Problem]:
    """A document beside those of a built-in category that names each of its own: most likely a typing error."""
    category = document.partition(".")[0]
    named = [pattern for pattern in BUILT_IN if pattern.partition(".")[0] == category]
    if not named and (known := _near(category)):
        why = "there is no such category, and nothing reads it by a type"
        return [Problem(path=document, rule="unknown-document", why=why, remedy=known, severity="warn")]
    if not named or not {category, f"{category}.*"}.isdisjoint(named):
        return []
    return [
        Problem(
            path=document,
            rule="unknown-document",
            why=f"{category} has no such document, and nothing reads it by a type",
            remedy=nearest(document, [pattern.removesuffix(".*") for pattern in named])
            or f"Known are {', '.join(sorted(named))}; register a schema for what is your own",
            severity="warn",
        )
    ]


@lru_cache(maxsize=256)
def _near(category: str) -> str:
    """The built-in category that a word was most likely meant to be, as a remedy; empty if it resembles none."""
    close = difflib.get_close_matches(category, CATEGORIES, n=1, cutoff=_ALIKE)
    return f"Did you mean {close[0]}? Register a schema for what is your own" if close else ""


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
