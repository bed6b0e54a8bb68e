"""Telling: what differs, for some labels, between a position that somebody was told of and what is served now.

Whoever follows changes keeps no queue here, only the position that was told last: whatever came since is one
difference, however much it was. So a slow reader costs nothing, and gets the latest of each path.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from trimtab.model import labels, paths, views
from trimtab.model.canonical import Json
from trimtab.model.links import Position
from trimtab.model.patterns import Pattern
from trimtab.model.resolution import Absent
from trimtab.model.values import Value, thaw
from trimtab.model.views import Differences, View
from trimtab_sidecar.node import Node

KEPT: Final = 64
"""Differences that are kept, for others with the same labels who were told of the same position."""
Told: TypeAlias = tuple[Position, str | None]
"""A position, and the variant of the state there; None for whoever did not say."""
_Key: TypeAlias = tuple[tuple[tuple[str, str], ...], Told, Told]


@dataclass(frozen=True, slots=True)
class Reload:
    """Only the state tells what is new, and this is why."""

    position: Position
    variant: str
    reason: str


@dataclass(frozen=True, slots=True)
class News:
    """What differs at a position from the one that was told of."""

    position: Position
    variant: str
    old: View
    new: View
    differences: Differences

    def matching(self, pattern: Pattern) -> list[Json]:
        """What a pattern is about: each leaf that it matches, else the nearest object above, once, with old and new."""
        found: dict[str, tuple[Value | Absent, Value | Absent]] = {}
        for leaf, pair in self.differences.items():
            if pattern.matches(leaf):
                found[leaf] = pair
                continue
            above = next((one for one in paths.parents(leaf) if pattern.matches(one)), None)
            if above is not None and above not in found:
                found[above] = (self.old.index.peek(above), self.new.index.peek(above))
        return [_told(path, *found[path]) for path in sorted(found)]


class Telling:
    """Finds differences, once for all who ask for the same."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._kept: OrderedDict[_Key, News | Reload] = OrderedDict()

    async def since(self, identity: Mapping[str, str], told: Told) -> News | Reload:
        """What is new for these identity labels since a position."""
        now = self._node.position, self._node.overlaid.variant
        key = (tuple(sorted(identity.items())), told, now)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = await self._find(identity, told, now)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    async def _find(self, identity: Mapping[str, str], told: Told, now: tuple[Position, str]) -> News | Reload:
        if told[0] == now[0]:
            return Reload(*now, "what this node overrides is other now")
        stretch = self._node.history.since(*told)
        if stretch is None:
            return Reload(*now, f"what came after {told[0]} is not kept")
        state = self._node.state
        before = labels.effective(stretch.state, identity)
        if before != labels.effective(state, identity):
            return Reload(*now, "the labels are others now")
        old = views.build(stretch.state, before)
        for step in views.advance_steps(old, state, stretch.touched):
            if step is not None:
                return News(*now, old, *step)
            await asyncio.sleep(0)
        raise AssertionError("the last step is the answer")


def _told(path: str, old: Value | Absent, new: Value | Absent) -> Json:
    told: dict[str, Json] = {"path": path}
    if not isinstance(old, Absent):
        told["old"] = thaw(old)
    if not isinstance(new, Absent):
        told["new"] = thaw(new)
    return told
