"""Resolved values before they are decoded: the names and the contents of an object as two tuples.

They are hashed and compared quickly, and cost the garbage collector little: a tuple of bytes is none of its business.

What `resolution` says of readers holds here too (a test compares them): the first layer that holds something decides, a
tombstone masks what lower ranks hold at and below it, an empty object shows only where nothing below it resolves.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, TypeAlias

from trimtab.model import canonical, paths, resolution
from trimtab.model.canonical import Json
from trimtab.model.resolution import Branches
from trimtab.model.trees import HIDDEN, OWN, Branch

Raw: TypeAlias = "bytes | tuple[tuple[str, ...], tuple[Raw, ...]]"
"""Canonical bytes of a leaf, or the sorted segments of an object and what stands below each."""

_CONTAINERS: Final = b"[{"
_SPECIAL: Final = frozenset({HIDDEN, b"{}"})


def resolve(branches: Branches) -> Raw | None:
    """What resolves from what the matching layers hold at a path, the winning layer first; None if nothing does."""
    if (flat := _flat(branches)) is not None:
        return flat
    visible, deciding = resolution.unmasked(branches)
    gathered: dict[str, Raw] = {}
    for segment, found in resolution.children(visible):
        first = found[0]
        value = first or None if len(found) == 1 and isinstance(first, bytes) else resolve(found)
        if value is not None:
            gathered[segment] = value
    return _object(gathered) if gathered else deciding or None


def _object(fields: dict[str, Raw]) -> Raw:
    names = _shared(tuple(sorted(fields)))
    return names, tuple([fields[name] for name in names])


@lru_cache(maxsize=4096)
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same tuple for the same names: a thousand bots have one set of them."""
    return names


def _flat(branches: Branches) -> Raw | None:
    """The same for objects of plain leaves, as most documents are; None for anything else."""
    merged: dict[str, Any] = {}
    for branch in reversed(branches):
        if not isinstance(branch, dict) or OWN in branch:
            return None
        merged.update(branch)
        if not _plain(branch):
            return None
    return _object(merged) if merged else None


def _plain(branch: dict[str, Branch]) -> bool:
    for leaf in branch.values():  # noqa: SIM110 - twice as fast as all(…)
        if not isinstance(leaf, bytes) or leaf in _SPECIAL:
            return False
    return True


def decode(raw: Raw) -> Json:
    """The value; the fields of objects are sorted."""
    if isinstance(raw, bytes):
        return _leaf(raw)
    return {
        segment: _leaf(below) if isinstance(below, bytes) else decode(below)
        for segment, below in zip(*raw, strict=True)
    }


def _leaf(content: bytes) -> Json:
    """The value of a leaf; of scalars, which recur and cannot be changed, each is decoded once."""
    return canonical.trusted(content) if content[0] in _CONTAINERS else _scalar(content)


@lru_cache(maxsize=4096)
def _scalar(content: bytes) -> Json:
    return canonical.trusted(content)


def leaves(raw: Raw, path: str) -> Iterator[str]:
    """The paths of the leaves of what resolves at a path."""
    if isinstance(raw, bytes):
        yield path
        return
    for segment, below in zip(*raw, strict=True):
        yield from leaves(below, paths.child(path, segment))
