"""What registered schemas ask of each other: a version that rises with the text, and one schema for a pattern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab_store.validation.rules import Rule, Seen
from trimtab_store.validation.schemas import Schema, schema_of

_CATEGORY: Final = "schema"


class _OfSchemas:
    """What the rules of this module have in common."""

    categories = frozenset({_CATEGORY})
    dimensions: frozenset[str] = frozenset()
    reads: tuple[str, ...] = ()

    def watches(self, document: str) -> bool:
        """Schemas only."""
        return paths.is_below(document, _CATEGORY)

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """Nothing."""
        del document, before, after
        return ()


class Versions(_OfSchemas):
    """The version of a schema rises when what it asks for changes, and never falls."""

    name = "schema-version"

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """A problem for each schema that is another one under the same number, or an older one."""
        for document in seen.changed:
            old, new = _schema(document, seen.before(document)), _schema(document, seen.at(document))
            if old is None or new is None:
                continue
            altered = (old.text, old.documents) != (new.text, new.documents)
            if new.version < old.version or (altered and new.version == old.version):
                said = "it says something else now" if altered else "versions do not fall"
                yield Problem(
                    path=paths.child(document, "version"),
                    rule=self.name,
                    why=f"the version was {old.version} and {said}",
                    remedy=f"Set the version to {old.version + 1}",
                    value=str(new.version),
                )


class Patterns(_OfSchemas):
    """No two schemas are for the documents of the same pattern: each document has one version of one schema."""

    name = "schema-pattern"
    reads: tuple[str, ...] = (_CATEGORY,)

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """A problem for each schema whose pattern another one has too."""
        held = dict(_schemas(seen))
        for document in seen.changed:
            mine = held.get(document)
            others = [name for name, one in held.items() if mine and name != document and one.shape == mine.shape]
            if mine is not None and others:
                yield Problem(
                    path=paths.child(document, "documents"),
                    rule=self.name,
                    why=f"{others[0]} is for the same documents",
                    remedy="Change that one, or name other documents",
                    value=mine.documents,
                )


def _schemas(seen: Seen) -> Iterator[tuple[str, Schema]]:
    category = seen.at(_CATEGORY)
    for name, value in category.items() if isinstance(category, dict) else ():
        document = paths.child(_CATEGORY, name)
        found = _schema(document, value)
        if found is not None:
            yield document, found


def _schema(document: str, value: Json | Absent) -> Schema | None:
    return None if isinstance(value, Absent) else schema_of(document, value)


VERSIONS: Final[Rule] = Versions()
PATTERNS: Final[Rule] = Patterns()
