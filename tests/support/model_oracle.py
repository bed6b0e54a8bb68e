"""Resolution once more, as dumbly as the sentences of docs/resolution.md: plain dicts and loops over everything.

Nothing here may use `trimtab.model.resolution`, `views`, `trees` or `states`: it is what they are compared with.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

HIDE: Final = "<tombstone>"
"""Stands for a tombstone; no test value is this text."""

Segments = tuple[str, ...]


@dataclass(frozen=True)
class OracleItem:
    """One item: `selector` is a plain dict, `content` a plain JSON leaf or `HIDE`."""

    environment: str
    selector: dict[str, str]
    path: Segments
    content: Any

    @property
    def place(self) -> tuple[str, str, Segments]:
        return (self.environment, ",".join(f"{d}={v}" for d, v in sorted(self.selector.items())), self.path)


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return all(dimension in labels and labels[dimension] == label for dimension, label in selector.items())


def rank(item: OracleItem, environments: list[str], dimensions: list[str]) -> tuple[list[bool], int]:
    """The selector compared from the most specific dimension down, then how near the environment is."""
    return [dimension in item.selector for dimension in reversed(dimensions)], environments.index(item.environment)


def winner(
    items: list[OracleItem], environments: list[str], dimensions: list[str], labels: dict[str, str], path: Segments
) -> OracleItem | None:
    """The candidate that decides a path: items at it, and tombstones at its ancestors, in layers that match."""
    candidates = [
        item
        for item in items
        if matches(item.selector, labels)
        and (item.path == path or (item.content == HIDE and path[: len(item.path)] == item.path))
    ]
    # in one layer an item stands above its ancestor's tombstone, which masks lower ranks only
    return max(candidates, key=lambda item: (rank(item, environments, dimensions), item.path == path), default=None)


def leaves(
    items: list[OracleItem], environments: list[str], dimensions: list[str], labels: dict[str, str]
) -> dict[Segments, Any]:
    """Every leaf that a reader sees: path → value."""
    seen: dict[Segments, Any] = {}
    for path in {item.path for item in items}:
        found = winner(items, environments, dimensions, labels, path)
        if found is not None and found.content != HIDE:
            seen[path] = found.content
    # an empty object shows only where nothing below it resolves
    return {
        path: value
        for path, value in seen.items()
        if value != {} or not any(other[: len(path)] == path and other != path for other in seen)
    }


def nest(flat: dict[Segments, Any]) -> dict[str, Any]:
    """Leaves as the nested plain dict that a reader sees."""
    root: dict[str, Any] = {}
    for path, value in flat.items():
        here = root
        for segment in path[:-1]:
            here = here.setdefault(segment, {})
        here[path[-1]] = value
    return root


def label_sets(dimensions: list[str], values: list[str]) -> list[dict[str, str]]:
    """Every reader there can be: each dimension without a label, or with any of the values."""
    choices = [[None, *values] for _ in dimensions]
    return [
        {dimension: label for dimension, label in zip(dimensions, choice, strict=True) if label is not None}
        for choice in itertools.product(*choices)
    ]


def conflicts(items: list[OracleItem], readers: list[dict[str, str]]) -> bool:
    """Whether some reader sees a layer with a value at a path and a layer with an item below that path."""
    for labels in readers:
        seen = [item for item in items if matches(item.selector, labels) and item.content != HIDE]
        for above, below in itertools.permutations(seen, 2):
            strictly = len(below.path) > len(above.path) and below.path[: len(above.path)] == above.path
            if above.content != {} and strictly:
                return True
    return False
