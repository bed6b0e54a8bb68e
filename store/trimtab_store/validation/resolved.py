"""One side of a change, resolved for many readers: who sees the same layers at a path is told apart from nobody.

With a thousand bots there may be a thousand overlays. So the layers that select on the same dimensions are found by one
look-up, each path remembers the layers that have a say about it, and what the same layers make of it is resolved once.
Contents that are equal are one object, whichever layers and environments they come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final, TypeAlias

from trimtab.model import layers, paths, resolution, trees
from trimtab.model.canonical import Json
from trimtab.model.layers import Selector
from trimtab.model.resolution import ABSENT, Absent, Branches
from trimtab.model.states import State
from trimtab.model.trees import Node
from trimtab.model.values import Value, freeze
from trimtab_store.validation import raws
from trimtab_store.validation.raws import Raw

Seen: TypeAlias = "tuple[int, ...]"
"""Overlays by their rank in one side, the winning one first."""


class Content:
    """What resolves at a path. Of one plan's `Contents` two that are equal are the same, 1 and 1.0 told apart."""

    __slots__ = ("_json", "path", "raw")

    def __init__(self, path: str, raw: Raw | None) -> None:
        self.path, self.raw = path, raw
        self._json: Json | Absent = ABSENT

    @property
    def is_absent(self) -> bool:
        """Whether nothing resolves."""
        return self.raw is None

    @property
    def json(self) -> Json | Absent:
        """The value as plain JSON, shared: not to be changed. Decoded at the first call."""
        if self.raw is not None and isinstance(self._json, Absent):
            self._json = raws.decode(self.raw)
        return self._json

    @property
    def value(self) -> Value | Absent:
        """The value as readers see it."""
        found = self.json
        return found if isinstance(found, Absent) else freeze(found)

    def leaves(self) -> Iterator[str]:
        """The paths of its leaves, in no particular order."""
        return iter(()) if self.raw is None else raws.leaves(self.raw, self.path)


class Contents:
    """Makes equal contents one object, for the time of one plan."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Raw | None], Content] = {}

    def of(self, path: str, branches: Branches) -> Content:
        """The content of a path from what the layers hold there, the winning layer first."""
        raw = raws.resolve(branches)
        known = self._known.get((path, raw))
        if known is None:
            known = self._known[path, raw] = Content(path, raw)
        return known


class Readers:
    """Tells which of some overlays a reader sees: one look-up for each combination of dimensions."""

    def __init__(self, overlays: Iterable[tuple[int, Selector]]) -> None:
        found: dict[tuple[str, ...], dict[tuple[str, ...], list[int]]] = {}
        for rank, selector in overlays:
            named = tuple(label for _, label in selector.labels)
            found.setdefault(selector.dimensions, {}).setdefault(named, []).append(rank)
        self._overlays = list(found.items())

    def overlays(self, labels: Mapping[str, str]) -> Seen:
        """Those that a reader with these labels sees, the winning one first."""
        seen: list[int] = []
        for dimensions, by_labels in self._overlays:
            if len(dimensions) == 1:
                found = by_labels.get((labels.get(dimensions[0], ""),))
            else:
                found = by_labels.get(tuple([labels.get(dimension, "") for dimension in dimensions]))
            if found is not None:
                seen += found
        if len(seen) > 1:
            seen.sort()
        return tuple(seen)


class Resolved:
    """A state whose layers are numbered by their rank, the winning one first; it keeps what it resolved."""

    def __init__(self, state: State, contents: Contents) -> None:
        self.state = state
        ranked = [(layers.parse(layer), environment, layer) for environment, layer in state.trees]
        rank = state.lineage.rank
        ranked.sort(key=lambda one: -rank(one[1], one[0]))
        self._ranked = ranked
        self._selectors = [selector for selector, _, _ in ranked]
        self._trees: list[Node] = [state.trees[environment, layer] for _, environment, layer in ranked]
        self._contents = contents
        self._holders: dict[str, tuple[Seen, frozenset[int]]] = {}
        self._found: dict[tuple[str, Seen], Content] = {}
        self._known: dict[tuple[str, Seen], Content] = {}

    @cached_property
    def everything(self) -> frozenset[str]:
        """The paths of all items, tombstones too."""
        return frozenset(item.path for item in self.state.items())

    def holds(self, category: str) -> bool:
        """Whether any layer holds something of a category."""
        return any(category in tree for tree in self._trees)

    def is_ranked_as(self, other: Resolved) -> bool:
        """Whether another side has the same layers, so that both number them alike."""
        return self._ranked == other._ranked

    def below(self, path: str) -> Iterator[str]:
        """The paths of the items that stand at or below a path in any layer."""
        segments = paths.parse(path)
        for tree in self._trees:
            branch = trees.descend(tree, segments)
            if branch is not None and not isinstance(branch, bytes):
                yield from (found for found, _ in trees.walk_paths(branch, path))

    def under(self, dimensions: frozenset[str]) -> Iterator[str]:
        """The paths of the items in overlays that select on one of these dimensions."""
        for selector, tree in zip(self._selectors, self._trees, strict=True):
            if not dimensions.isdisjoint(selector.dimensions):
                yield from (found for found, _ in trees.walk_paths(tree))

    def overlays(self, path: str) -> frozenset[int]:
        """The overlays that have a say about a path: with items at or below it, or a tombstone above."""
        return self._holding(path)[1]

    def readers(self, overlays: Iterable[int]) -> Readers:
        """What tells readers of some overlays apart."""
        return Readers((rank, self._selectors[rank]) for rank in sorted(overlays))

    def selectors(self, overlays: Iterable[int]) -> list[Selector]:
        """The selectors of some overlays."""
        return [self._selectors[rank] for rank in sorted(overlays)]

    def layers(self, path: str, seen: Seen) -> Seen:
        """Which layers have a say about a path for a reader of these overlays: who shares them sees the same."""
        common, special = self._holding(path)
        chosen = [rank for rank in seen if rank in special] if special else []
        return tuple(sorted([*common, *chosen])) if chosen else common

    def content(self, path: str, seen: Seen) -> Content:
        """What resolves at a path for a reader that sees these overlays."""
        known = self._known.get((path, seen))
        if known is None:
            chosen = self.layers(path, seen)
            known = self._found.get((path, chosen))
            if known is None:
                known = self._found[path, chosen] = self._contents.of(path, self.branches(path, chosen))
            self._known[path, seen] = known
        return known

    def branches(self, path: str, chosen: Seen) -> Branches:
        """What some layers hold at a path, the winning one first."""
        return resolution.branches_at([self._trees[rank] for rank in chosen], paths.parse(path))

    def _above(self, path: str) -> Iterable[int]:
        """The layers that may have a say about a path: of many only those that have one about what it stands in."""
        above = paths.parent(path) if len(self._trees) > _FEW else ""
        if not above:
            return range(len(self._trees))
        common, special = self._holding(above)
        return sorted({*common, *special})

    def _holding(self, path: str) -> tuple[Seen, frozenset[int]]:
        """The common layers and the overlays that have a say about a path."""
        known = self._holders.get(path)
        if known is None:
            segments = paths.parse(path)
            holding = [rank for rank in self._above(path) if _has_a_say(self._trees[rank], segments)]
            common = tuple(rank for rank in holding if not self._selectors[rank].labels)
            known = self._holders[path] = common, frozenset(holding) - frozenset(common)
        return known


_FEW: Final = 16
"""So many layers are looked at one by one."""


def _has_a_say(tree: Node, segments: tuple[str, ...]) -> bool:
    """Whether a layer holds something at or below a path, or something of its own above."""
    here: trees.Branch | None = tree
    for segment in segments:
        if here is None:
            return False
        if isinstance(here, bytes) or trees.OWN in here:
            return True
        here = here.get(segment)
    return here is not None


def descend(value: Json | Absent, segments: Iterable[str]) -> Json | Absent:
    """What stands further down in a value; `ABSENT` if nothing does."""
    for segment in segments:
        if not isinstance(value, dict) or segment not in value:
            return ABSENT
        value = value[segment]
    return value
