"""Raising the version of a schema: what it covers is stamped with the old version, so that it can be upgraded later.

Only where the schema says how (`upgrades`); otherwise every document has to fit the new version at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trimtab.model import canonical, documents, paths
from trimtab.model.documents import METADATA
from trimtab.model.states import State
from trimtab.model.trees import HIDDEN
from trimtab_store.drafts import Draft
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


def raised(draft: Draft) -> list[Raised]:
    """The schemas with upgrades whose version a draft raises."""
    touched = (paths.parse(path) for _, path in draft.touched)
    names = {segments[1] for segments in touched if segments[0] == SCHEMA and len(segments) > 1}
    if not names:
        return []
    was, will = Schemas.of(draft.before), Schemas.of(draft.state)
    found: list[Raised] = []
    for name in sorted(names):
        old, new = was[name], will[name]
        if old is not None and new is not None and new.version > old.version and new.upgrades:
            pattern = next(text for text, kind in will.documents.types.items() if kind == name)
            found.append(Raised(pattern, old.version, new, will))
    return found


def stamp(one: Raised, draft: Draft, lines: Iterable[State]) -> None:
    """Stamp every document that one of the lines holds before the change, unless it is stamped already."""
    environment, seen = draft.environment, set[str]()
    for state in lines:
        for item in state.items():
            document = one.schemas.documents.of(item.path)
            if item.content == HIDDEN or document in seen or not one.schemas.covers(one.schema.name, document):
                continue
            seen.add(document)
            at = stamp_path(document)
            if not any(state.content(name, "", at) for name in _from_the_root(state, environment)):
                draft.put("", at, canonical.encode(one.old))


def covered(one: Raised, scopes: Iterable[str]) -> bool:
    """Whether everything that is stamped lies in what was read."""
    read = set(scopes)
    return "" in read or all(path in read or not read.isdisjoint(paths.parents(path)) for path in one.scopes)


def _from_the_root(state: State, environment: str) -> tuple[str, ...]:
    """The environments of a line down to one of them."""
    lineage = state.lineage.environments
    return lineage[: lineage.index(environment) + 1]
