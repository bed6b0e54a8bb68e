"""Raising the version of a schema: what it covers is stamped with the old version, so that it can be upgraded later.

Only where the schema says how (`upgrades`); otherwise every document has to fit the new version at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trimtab.model import canonical, documents, paths
from trimtab.model.documents import METADATA
from trimtab.model.items import LeafEdit
from trimtab.model.states import State
from trimtab.model.trees import HIDDEN
from trimtab_store.evolution.versions import SCHEMA, Schemas, Versioned, stamp_path


@dataclass(frozen=True, slots=True)
class Raised:
    """A schema whose version a change raises: the pattern of its documents, the old version, and what knows them."""

    pattern: str
    old: int
    schema: Versioned
    schemas: Schemas

    @property
    def scopes(self) -> tuple[str, ...]:
        """Where its documents and their metadata stand."""
        shape = documents.shape_of(self.pattern)
        known = shape[: shape.index(None)] if None in shape else shape
        segments = tuple(segment or "" for segment in known)
        return paths.join(segments), paths.join((METADATA, *segments))


def raised(before: State, after: State, edits: Iterable[LeafEdit]) -> list[Raised]:
    """The schemas with upgrades whose version edits raise."""
    names = {segments[1] for edit in edits if (segments := paths.parse(edit.path))[0] == SCHEMA and len(segments) > 1}
    if not names:
        return []
    was, will = Schemas.of(before), Schemas.of(after)
    found: list[Raised] = []
    for name in sorted(names):
        old, new = was[name], will[name]
        if old is not None and new is not None and new.version > old.version and new.upgrades:
            pattern = next(text for text, kind in will.documents.types.items() if kind == name)
            found.append(Raised(pattern, old.version, new, will))
    return found


def stamps(one: Raised, environment: str, lines: Iterable[State]) -> Iterator[LeafEdit]:
    """The stamps that the edited environment gets: for each document of a line before the change that has none."""
    seen: set[str] = set()
    for state in lines:
        for item in state.items():
            document = one.schemas.documents.of(item.path)
            if item.content == HIDDEN or document in seen or not one.schemas.covers(one.schema.name, document):
                continue
            seen.add(document)
            at = stamp_path(document)
            if not any(state.content(name, "", at) for name in _from_the_root(state, environment)):
                yield LeafEdit("", at, "put", canonical.encode(one.old))


def _from_the_root(state: State, environment: str) -> tuple[str, ...]:
    """The environments of a line down to one of them."""
    lineage = state.lineage.environments
    return lineage[: lineage.index(environment) + 1]
