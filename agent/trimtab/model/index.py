"""The index of a view: every path, leaf or interior, and its value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trimtab.model import paths, resolution
from trimtab.model.hot import Hot
from trimtab.model.resolution import Absent
from trimtab.model.values import Value


class Index(Mapping[str, Value]):
    """Every path of a view as a mapping over its hot dict. Iterating decodes nothing; reading keeps what is read."""

    __slots__ = ("_hot",)

    def __init__(self, hot: Hot) -> None:
        self._hot = hot

    def peek(self, path: str) -> Value | Absent:
        """The value at a path in any spelling, `ABSENT` if there is none; it is not kept."""
        return self._hot.peek(path)

    def __getitem__(self, path: str) -> Value:
        return self._hot[path]

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a path, or the default."""
        return self._hot.get(path, default)

    def __contains__(self, path: object) -> bool:
        return path in self._hot

    def __iter__(self) -> Iterator[str]:
        above: set[str] = set()
        for path, _ in resolution.leaves(self._hot.branches):
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
