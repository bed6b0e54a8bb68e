"""The cache of a view: what a bot really reads, resolved once and carried over from view to view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, TypeAlias, TypeVar

from trimtab.model import paths
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.values import Document, Value

CACHED: Final = 65_536
"""Paths that one cache keeps: copying it at a swap costs well under a millisecond, however many items there are."""
FORGOTTEN: Final = 4_096
"""A swap that changes more paths than this starts an empty cache."""


Default = TypeVar("Default")
Changes: TypeAlias = "Mapping[str, tuple[Value | Absent, Value | Absent]]"
"""Leaf path → (old, new), `ABSENT` where there is none."""


class Lookup(Protocol):
    """Resolves paths and keeps nothing: `trimtab.model.index.Index`, or the same over shared memory."""

    def peek(self, path: str) -> Value | Absent:
        """The value at a path in any spelling, `ABSENT` if there is none; raises `PathError`."""
        ...

    def __getitem__(self, path: str) -> Value:
        """The value at a path; raises `PathNotFound` with the nearest name."""
        ...


class Cache(dict[str, Value]):
    """What was read from one view, by canonical path. `cache.__getitem__` is a read: a C method.

    Python code runs at the first read of a path, which resolves and keeps it.
    """

    __slots__ = ("_index",)

    def __init__(self, index: Lookup) -> None:
        super().__init__()
        self._index = index

    def __missing__(self, path: str) -> Value:
        found = self.find(path)
        return self._index[path] if isinstance(found, Absent) else found  # which raises, with the nearest name

    def find(self, path: str) -> Value | Absent:
        """The value at a path in any spelling, `ABSENT` where there is none; raises `PathError`."""
        found: Value | Absent = self.get(path, ABSENT)
        if not isinstance(found, Absent):
            return found
        spelled = paths.canonical(path)
        if spelled != path:
            return self.find(spelled)
        found = self._index.peek(path)
        if len(self) < CACHED and not isinstance(found, Absent):
            self[path] = found
        return found

    def get_or(self, path: str, default: Default | None) -> Value | Default | None:
        """The value at a path, or the default."""
        found: Value | Absent = self.get(path, ABSENT)
        if isinstance(found, Absent):
            found = self.find(path)
        return default if isinstance(found, Absent) else found

    def following(self, index: Lookup, changed: Changes) -> Cache:
        """The cache of the next view: this one with the changed paths renewed, and what lies above them.

        Renewed, not removed, wherever that is simple: a dict without holes is copied as a block of memory, one with
        holes entry by entry, several times slower.
        """
        cache = Cache(index)
        if len(changed) > FORGOTTEN or len(self) >= CACHED:
            return cache
        cache.update(self)
        for path, (_, new) in changed.items():
            if path in cache:
                _renew(cache, path, new)
            _renew_above(cache, path, new)
        return cache


def _renew(cache: Cache, path: str, value: Value | Absent) -> None:
    if isinstance(value, Absent):
        del cache[path]
    else:
        cache[path] = value


def _renew_above(cache: Cache, path: str, value: Value | Absent) -> None:
    """Put a new leaf into the objects above it that were read; forget those where that is not simple."""
    segments = paths.parse(path)
    for depth, above in zip(range(len(segments) - 1, 0, -1), paths.parents(path), strict=True):
        known = cache.get(above, ABSENT)
        if not isinstance(known, Absent):
            _renew(cache, above, _replaced(known, segments[depth:], value))


def _replaced(node: Value, rest: tuple[str, ...], value: Value | Absent) -> Document | Absent:
    """An object with one leaf below it replaced; `ABSENT` where objects appear or vanish on the way."""
    head = rest[0]
    if not isinstance(node, Document) or isinstance(value, Absent) or head not in node:
        return ABSENT
    if len(rest) == 1:
        below: Value | Absent = ABSENT if isinstance(node[head], Document) else value
    else:
        below = _replaced(node[head], rest[1:], value)
    return ABSENT if isinstance(below, Absent) else node.with_child(head, below)
