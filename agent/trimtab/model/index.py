"""The index of a view: every path, leaf or interior, and its value."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Final

from trimtab.model import paths, resolution
from trimtab.model.documents import ELSEWHERE
from trimtab.model.errors import PathNotFound, TrimtabError, nearest
from trimtab.model.paths import Segments
from trimtab.model.resolution import ABSENT, Absent, Branches
from trimtab.model.values import Document, Value

_MAX_KNOWN: Final = 64  # siblings compared for a suggestion; more would cost a reader milliseconds


class Paths(Mapping[str, Value]):
    """Every path of a view, leaf or interior, resolved when it is asked for: what indexes share, however they resolve.

    Missing paths raise `PathNotFound`, a KeyError, with the nearest name. Iterating decodes no value.
    """

    __slots__ = ()

    @abstractmethod
    def peek(self, path: str) -> Value | Absent:
        """The value at a path in any spelling, `ABSENT` if there is none; raises `PathError`."""

    @abstractmethod
    def leaves(self) -> Iterator[tuple[str, bytes]]:
        """Every leaf that shows, as canonical path and canonical bytes; the path of the root itself is empty."""

    @abstractmethod
    def _object_at(self, segments: Segments) -> Value | Absent:
        """The object with these segments, for its names only."""

    def __getitem__(self, path: str) -> Value:
        value = self.peek(path)
        if isinstance(value, Absent):
            raise PathNotFound(f"Nothing is set at {path}", "", self._suggestion(path))
        return value

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a path, or the default."""
        value = self.peek(path)
        return default if isinstance(value, Absent) else value

    def __contains__(self, path: object) -> bool:
        """Whether anything resolves at a path; text that is no path is not in here."""
        try:
            return isinstance(path, str) and self.peek(path) is not ABSENT
        except TrimtabError:
            return False

    def __iter__(self) -> Iterator[str]:
        above: set[str] = set()
        for path, _ in self.leaves():
            for parent in paths.parents(path):
                if parent in above:
                    break
                above.add(parent)
                yield parent
            if path:
                yield path

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def _suggestion(self, path: str) -> str:
        segments = paths.parse(path)
        if said := ELSEWHERE.get(paths.join(segments)):
            return said
        above = self._object_at(segments[:-1])
        if not isinstance(above, Document) or len(above) > _MAX_KNOWN:
            return ""
        return nearest(paths.canonical(path), [paths.join((*segments[:-1], name)) for name in above.segments()])


class Index(Paths):
    """Resolves each path in a few microseconds, and keeps nothing: readers keep what they read."""

    __slots__ = ("branches",)

    def __init__(self, branches: Branches) -> None:
        self.branches = branches

    def peek(self, path: str) -> Value | Absent:
        """See `Paths.peek`."""
        return self._object_at(paths.parse(path))

    def leaves(self) -> Iterator[tuple[str, bytes]]:
        """See `Paths.leaves`."""
        return resolution.leaves(self.branches)

    def _object_at(self, segments: Segments) -> Value | Absent:
        return resolution.resolve(resolution.branches_at(self.branches, segments))
