"""The hot dict of a view: what has been read, and how what is missing gets there."""

from __future__ import annotations

from typing import Any, Final

from trimtab.model import paths, resolution
from trimtab.model.errors import PathNotFound, TrimtabError, nearest
from trimtab.model.resolution import ABSENT, Absent, Branches
from trimtab.model.values import Document, Value

_MAX_KNOWN: Final = 64  # siblings compared for a suggestion; more would cost a reader milliseconds


class Hot(dict[str, Value]):
    """What has been read through a view, by canonical path; reading what is missing resolves and keeps it.

    `hot.__getitem__` is the whole read path: a C method, for which Python code runs at a first read only. Raises
    `PathNotFound`, a KeyError. Iteration and length cover what has been read; `View.index` covers everything.
    """

    __slots__ = ("branches",)

    def __init__(self, branches: Branches) -> None:
        super().__init__()
        self.branches = branches

    def __missing__(self, path: str) -> Value:
        value = self.peek(path)
        if isinstance(value, Absent):
            raise PathNotFound(f"Nothing is set at {path}", "", self._suggestion(path))
        self[paths.canonical(path)] = value
        return value

    def peek(self, path: str) -> Value | Absent:
        """The value at a path, `ABSENT` if there is none; resolved if it was not read before, but not kept."""
        found: Value | Absent = super().get(path, ABSENT)
        if isinstance(found, Absent):
            found = resolution.resolve(resolution.branches_at(self.branches, paths.parse(path)))
        return found

    def get(self, path: str, default: Any = None, /) -> Any:
        """The value at a path, kept for the next read, or the default."""
        found: Value | Absent = super().get(path, ABSENT)
        if isinstance(found, Absent):
            found = self.peek(path)
            if isinstance(found, Absent):
                return default
            self[paths.canonical(path)] = found
        return found

    def __contains__(self, path: object) -> bool:
        """Whether anything resolves at a path; text that is no path is not in here."""
        if super().__contains__(path):
            return True
        try:
            return isinstance(path, str) and not isinstance(self.peek(path), Absent)
        except TrimtabError:
            return False

    def _suggestion(self, path: str) -> str:
        segments = paths.parse(path)
        above = resolution.resolve(resolution.branches_at(self.branches, segments[:-1]))
        if not isinstance(above, Document) or len(above) > _MAX_KNOWN:
            return ""
        return nearest(paths.canonical(path), [paths.join((*segments[:-1], name)) for name in above.segments()])
