"""Resolved values before they are decoded: nested sets of leaves, which are hashed and compared quickly.

What `resolution` says of readers holds here too (a test compares them): the first layer that holds something decides, a
tombstone masks what lower ranks hold at and below it, an empty object shows only where nothing below it resolves.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Final, TypeAlias

from trimtab.model import canonical, paths, resolution
from trimtab.model.canonical import Json
from trimtab.model.resolution import Branches
from trimtab.model.trees import HIDDEN, OWN, Branch

Raw: TypeAlias = "bytes | frozenset[tuple[str, Raw]]"
"""Canonical bytes of a leaf, or segments with what stands below them."""

_CONTAINERS: Final = b"[{"
_segment: Final = itemgetter(0)
_SPECIAL: Final = frozenset({HIDDEN, b"{}"})


def resolve(branches: Branches) -> Raw | None:
    """What resolves from what the matching layers hold at a path, the winning layer first; None if nothing does."""
    if (flat := _flat(branches)) is not None:
        return flat
    visible, deciding = resolution.unmasked(branches)
    gathered: list[tuple[str, Raw]] = []
    for segment, found in resolution.children(visible):
        first = found[0]
        value = first or None if len(found) == 1 and isinstance(first, bytes) else resolve(found)
        if value is not None:
            gathered.append((segment, value))
    return frozenset(gathered) if gathered else deciding or None


def _flat(branches: Branches) -> Raw | None:
    """The same for objects of plain leaves, as most documents are; None for anything else."""
    merged: dict[str, Branch] = {}
    for branch in reversed(branches):
        if not isinstance(branch, dict) or OWN in branch:
            return None
        merged.update(branch)
        if not _plain(branch):
            return None
    return frozenset(merged.items()) if merged else None  # type: ignore[arg-type] # every leaf is bytes, see _plain


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
        for segment, below in sorted(raw, key=_segment)
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
    for segment, below in raw:
        yield from leaves(below, paths.child(path, segment))
