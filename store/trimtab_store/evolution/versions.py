"""Versions: of each schema that a line knows, and the one that a document is written for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self, cast

from trimtab.model import documents, paths, resolution
from trimtab.model.canonical import Json, trusted
from trimtab.model.documents import METADATA, Documents
from trimtab.model.errors import PathError
from trimtab.model.states import State
from trimtab.model.trees import HIDDEN
from trimtab.model.values import Document, Value, thaw
from trimtab_store.evolution import builtin

SCHEMA: Final = "schema"
STAMP: Final = "schema_version"


@dataclass(frozen=True, slots=True)
class Versioned:
    """A schema by name: the newest version, and the declarative steps that lead there (none for a built-in one)."""

    name: str
    version: int
    upgrades: tuple[Json, ...] = ()
    registered: bool = False


class Schemas:
    """The schemas of one line: the built-in ones, and those that its `schema.<name>` documents register. Immutable."""

    def __init__(self, registered: Mapping[str, tuple[str, Versioned]]) -> None:
        """`registered`: name → (pattern of its documents, schema)."""
        self._registered = {name: schema for name, (_, schema) in registered.items()}
        self.documents = Documents({pattern: name for name, (pattern, _) in registered.items()})

    @classmethod
    def of(cls, state: State) -> Self:
        """Those that a reader without labels sees; what is no schema is passed over."""
        shown = resolution.resolve_at(state, {}, SCHEMA)
        found: dict[str, tuple[str, Versioned]] = {}
        for name, value in shown.items() if isinstance(shown, Document) else ():
            pattern, schema = _schema(name, value)
            if pattern is not None and schema is not None:
                found[name] = pattern, schema
        return cls(found)

    def __getitem__(self, name: str) -> Versioned | None:
        return self._registered.get(name)

    def of_document(self, document: str) -> Versioned | None:
        """The schema that a document is written for; None if there is none."""
        kind = self.documents.type_of(document)
        if kind is None:
            return None
        return self._registered.get(kind) or Versioned(kind, builtin.version_of(kind))

    def covers(self, name: str, document: str) -> bool:
        """Whether a document is written for this schema."""
        found = self.of_document(document)
        return found is not None and found.name == name

    def version_in(self, state: State, document: str) -> int:
        """The version that all of a document in a line is written for: that of the environment furthest behind."""
        schema = self.of_document(document)
        if schema is None:
            return 1
        owners = [name for name in state.lineage.environments if owns(state, name, document)]
        return min([stamp_of(state, name, document, schema) for name in owners], default=schema.version)


def versions_exist(state: State) -> bool:
    """Whether any schema that a line knows has ever had another version; quickly."""
    if builtin.UPGRADES:
        return True
    if all(state.branch(name, "", SCHEMA) is None for name in state.lineage.environments):
        return False
    shown = resolution.resolve_at(state, {}, SCHEMA)
    said = (
        [one.get("version") for one in shown.values() if isinstance(one, Document)]
        if isinstance(shown, Document)
        else []
    )
    return any(isinstance(version, int) and version > 1 for version in said)


def stamp_path(document: str) -> str:
    """Where the version stands that a document is written for."""
    return paths.join((METADATA, *paths.parse(document), STAMP))


def stamp_of(state: State, environment: str, document: str, schema: Versioned) -> int:
    """The version that an environment's own items of a document are written for.

    Of a registered schema its stamp, or one that it inherits; without any it is the newest one, for raising a version
    stamps what is there. Of a built-in type its own stamp, without one it is the first: a release raises it unseen.
    """
    lineage = state.lineage.environments
    if not schema.registered:
        return _said(state, environment, document) or 1
    above = reversed(lineage[: lineage.index(environment) + 1])
    return next((said for name in above if (said := _said(state, name, document))), schema.version)


def _said(state: State, environment: str, document: str) -> int | None:
    content = state.content(environment, "", stamp_path(document))
    said = trusted(content) if content else None
    return said if isinstance(said, int) and not isinstance(said, bool) and said >= 1 else None


def owns(state: State, environment: str, document: str) -> bool:
    """Whether an environment itself holds anything of a document, in any layer; to hide it all is to hold nothing."""
    held = (state.branch(name, layer, document) for name, layer in state.trees if name == environment)
    return any(branch is not None and branch != HIDDEN for branch in held)


def _schema(name: str, value: Value) -> tuple[str | None, Versioned | None]:
    said = cast("dict[str, Json]", thaw(value)) if isinstance(value, Document) else {}
    pattern, version, steps = said.get("documents"), said.get("version"), said.get("upgrades", [])
    if not isinstance(pattern, str) or isinstance(version, bool) or not isinstance(version, int):
        return None, None
    try:
        documents.shape_of(pattern)
    except PathError:
        return None, None
    return pattern, Versioned(name, max(1, version), tuple(steps) if isinstance(steps, list) else (), registered=True)
