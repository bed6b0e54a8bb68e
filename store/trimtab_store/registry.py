"""The registry: which documents an environment has, what their metadata say, and what depends on what.

A document is in the registry because it is stored, not because somebody entered it: metadata (`meta.<path>`) only say
more about it. What is asked is what a reader without labels sees, with documents that only overlays hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from trimtab import categories
from trimtab.model import canonical, paths, resolution
from trimtab.model.canonical import Json
from trimtab.model.documents import METADATA, Documents
from trimtab.model.errors import PathError, PathNotFound, UsageError, nearest
from trimtab.model.resolution import Absent
from trimtab.model.states import State
from trimtab.model.trees import HIDDEN
from trimtab.model.values import Document, thaw
from trimtab_store.evolution.versions import STAMP, Schemas

STATUS: Final = "status"
STATUSES: Final = ("draft", "active", "deprecated", "retired")
_WORDS: Final = frozenset({"description", "validation_errors", "warnings"})
"""Fields that are sentences: of these any part will do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One document, or metadata without one (`exists` False); `version` is that of the schema it is written for."""

    path: str
    type: str | None
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])
    exists: bool = True
    version: int = 1
    current: int = 1
    """The newest version of its schema."""

    @property
    def status(self) -> str | None:
        """What the metadata say; a document without metadata has none."""
        return _text(self.metadata.get(STATUS)) or ("active" if self.metadata else None)

    @property
    def owner(self) -> str | None:
        """Whom to ask."""
        return _text(self.metadata.get("owner"))

    @property
    def tags(self) -> tuple[str, ...]:
        """Words to find it by."""
        return _texts(self.metadata.get("tags"))

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The documents that it declares to depend on, by canonical path."""
        return tuple(dict.fromkeys(_canonical(one) for one in _texts(self.metadata.get("dependencies"))))

    def says(self, name: str, text: str) -> bool:
        """Whether a field of the metadata is this text, or a list that holds it; sentences need only contain it."""
        found = self.to_dict().get(name, self.metadata.get(name))
        wanted = _canonical(text) if name == "dependencies" else text
        told = [_told(one) for one in (found if isinstance(found, list) else [found]) if one is not None]
        if name in _WORDS:
            return any(wanted.casefold() in one.casefold() for one in told)
        return wanted in told

    def to_dict(self) -> dict[str, Json]:
        """The entry for programs; the metadata as they are stored."""
        return {
            "path": self.path,
            "type": self.type,
            "status": self.status,
            "owner": self.owner,
            "tags": list(self.tags),
            "dependencies": list(self.dependencies),
            "schema_version": self.version,
            "newest_schema_version": self.current,
            "exists": self.exists,
            "metadata": dict(self.metadata),
        }


@dataclass(frozen=True, slots=True)
class Node:
    """One document in a tree of dependencies, `depth` steps below the first.

    `repeats`: it stands further up already, where what is below it is told.
    """

    path: str
    depth: int
    exists: bool
    repeats: bool = False

    def to_dict(self) -> dict[str, Json]:
        """The node for programs."""
        return {"path": self.path, "depth": self.depth, "exists": self.exists, "repeats": self.repeats}


@dataclass(frozen=True, slots=True)
class Orphan:
    """A document that stands alone, or metadata that speak of nothing."""

    path: str
    why: str


class Registry:
    """The documents of one line. Immutable."""

    def __init__(self, state: State) -> None:
        """`state` is a whole line."""
        self.environment = state.lineage.environment
        self.schemas = Schemas.of(state)
        self._known: Documents = self.schemas.documents
        self.entries: Mapping[str, Entry] = {one.path: one for one in self._read(state)}
        self._dependents: dict[str, list[str]] = {}
        for one in self.entries.values():
            for path in one.dependencies:
                self._dependents.setdefault(path, []).append(one.path)

    def find(
        self,
        *,
        kind: str | None = None,
        status: str | None = None,
        tags: Iterable[str] = (),
        owner: str | None = None,
        where: Iterable[tuple[str, str]] = (),
    ) -> tuple[Entry, ...]:
        """The documents that fit everything that is asked for, by path; `kind` is their type, all tags are wanted.

        `where` names any field of metadata with what it has to say. Raises `UsageError` for a status or a field that
        there is none of: nothing found would be no answer to that.
        """
        wanted, said = set(tags), tuple(where)
        _check_asked(status, [name for name, _ in said])
        return tuple(
            one
            for one in self.entries.values()
            if kind in {None, one.type}
            and status in {None, one.status}
            and owner in {None, one.owner}
            and wanted <= set(one.tags)
            and all(one.says(name, text) for name, text in said)
        )

    def entry(self, path: str) -> Entry:
        """The document that a path belongs to; raises `PathNotFound` with the nearest one."""
        canonical = paths.canonical(path)
        found = self.entries.get(self._known.of(canonical)) or self.entries.get(canonical)
        if found is None:
            raise PathNotFound(
                f"{self.environment} has no document {canonical}",
                "",
                nearest(canonical, self.entries) or "See `trimtab registry find`",
            )
        return found

    def documents_of(self, named: Iterable[str]) -> frozenset[str]:
        """The documents that paths belong to; metadata belong to the document that they are about."""
        return frozenset(self._described(path) if _is_metadata(path) else self._known.of(path) for path in named)

    def dependents(self, path: str) -> tuple[str, ...]:
        """The documents that declare to depend on one, sorted."""
        return tuple(sorted(self._dependents.get(path, ())))

    def tree(self, path: str, *, dependents: bool = False) -> tuple[Node, ...]:
        """What a document depends on, or what depends on it, all the way and from the top; each is followed once."""
        found: list[Node] = []
        seen: set[str] = set()
        waiting = [(self.entry(path).path, 0)]
        while waiting:
            here, depth = waiting.pop()
            entry = self.entries.get(here)
            found.append(Node(here, depth, entry is not None and entry.exists, here in seen))
            if here not in seen:
                seen.add(here)
                following = self.dependents(here) if dependents else (entry.dependencies if entry else ())
                waiting += [(one, depth + 1) for one in reversed(following)]
        return tuple(found)

    def orphans(self) -> tuple[Orphan, ...]:
        """What hangs in the air: metadata without a document, dependencies on nothing, documents that nobody knows."""
        return tuple(sorted(self._orphans(), key=lambda one: (one.path, one.why)))

    def _orphans(self) -> Iterator[Orphan]:
        for one in self.entries.values():
            if not one.exists:
                yield Orphan(one.path, "it has metadata, but no document")
            elif not one.metadata and not self._dependents.get(one.path):
                yield Orphan(one.path, "it has no metadata, and nothing depends on it")
            for path in one.dependencies:
                if path not in self.entries or not self.entries[path].exists:
                    yield Orphan(one.path, f"it depends on {path}, which is not there")

    def _read(self, state: State) -> Iterator[Entry]:
        held = {item.path for item in state.items() if item.content != HIDDEN}
        stored = {self._known.of(path) for path in held if not _is_metadata(path)}
        described = {self._described(path) for path in held if _is_metadata(path)} - {""}
        for path in sorted(stored | described):
            shown = resolution.resolve_at(state, {}, paths.join((METADATA, *paths.parse(path))))
            metadata = cast("dict[str, Json]", thaw(shown)) if isinstance(shown, Document) else {}
            if path in stored or metadata.keys() - {STAMP}:  # a stamp may be there for environments that inherit
                schema = self.schemas.of_document(path)
                yield Entry(
                    path,
                    _text(metadata.get("type")) or self._known.type_of(path),
                    metadata,
                    path in stored,
                    self.schemas.version_in(state, path),
                    schema.version if schema else 1,
                )

    def _described(self, path: str) -> str:
        """The document that an item of metadata is about; empty if it is about none."""
        segments = paths.parse(self._known.of(path))[1:]
        return paths.join(segments) if segments else ""


def _check_asked(status: str | None, names: Iterable[str]) -> None:
    if status is not None and status not in STATUSES:
        raise UsageError(f"There is no status {status[:40]!r}", "", nearest(status, STATUSES) or _known(STATUSES))
    fields = tuple(categories.MODELS[METADATA].model_fields)
    for name in names:
        if name not in fields:
            raise UsageError(f"Metadata have no field {name[:40]!r}", "", nearest(name, fields) or _known(fields))


def _known(words: Iterable[str]) -> str:
    return f"Known are {', '.join(words)}"


def _told(value: Json) -> str:
    return value if isinstance(value, str) else canonical.encode(value).decode()


def _is_metadata(path: str) -> bool:
    return paths.parse(path)[0] == METADATA


def _canonical(path: str) -> str:
    try:
        return paths.canonical(path)
    except PathError:
        return path


def _text(value: Json | Absent) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Json | Absent) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
