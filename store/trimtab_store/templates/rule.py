"""The rule of stored templates: what one says of itself fits together, wherever an environment changes a part of it."""

from __future__ import annotations

from collections.abc import Iterable

from trimtab import categories
from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab_store.templates.definition import CATEGORY, contradictions
from trimtab_store.validation.rules import Seen


class TemplateRule:
    """A stored template could make instances. Its shape is its model's business."""

    name = "template"
    categories = frozenset({CATEGORY})
    reads: tuple[str, ...] = ()
    dimensions: frozenset[str] = frozenset()

    def watches(self, document: str) -> bool:
        """Templates only."""
        return paths.is_below(document, CATEGORY)

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """Nothing."""
        del document, before, after
        return ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """A problem for each thing that contradicts another."""
        for document in seen.changed:
            value = seen.at(document)
            if not isinstance(value, Absent) and not categories.check(CATEGORY, value, document):
                yield from contradictions(value, paths.last(document))
