"""Local overrides: what one node sets for itself, as far as its configuration permits it (`permitting`).

An override takes the place of a leaf that is there, and of nothing else. It is judged anew for every revision, for a
limit that was loose yesterday may be tighter than the node's own today.

A node may have several kinds of readers: the bots of a sidecar. Each is judged as if it were alone, for what it sees
itself. Where several see the same candidate it gives way for all of them or for none.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, cast

import orjson

from trimtab.model import canonical, paths, resolution, trees
from trimtab.model.errors import ValueRefused
from trimtab.model.index import Index
from trimtab.model.items import leaves
from trimtab.model.judging import FOR, Check, Judgement
from trimtab.model.problems import MASK
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.states import LayerKey
from trimtab.model.trees import Node
from trimtab.model.values import Value
from trimtab.model.views import View

T = TypeVar("T")
MAX_OVERRIDES: Final = 256
Replaced: TypeAlias = "dict[tuple[LayerKey, str], bytes]"
"""(layer, path) of a candidate → what takes its place."""


@dataclass(frozen=True, slots=True)
class LocalOverride:
    """One path that a node sets for itself: to what, in place of what, and why it does not hold (empty if it does)."""

    path: str
    value: Value
    hidden: Value | Absent = ABSENT
    why: str = ""

    @property
    def shown(self) -> str:
        """The value for the fleet: numbers and switches; text could be a secret, and stays where it is."""
        plain = self.value is None or isinstance(self.value, bool | int | float)
        return orjson.dumps(self.value).decode() if plain else MASK


class Overrides:
    """What a node wants, and what becomes of it. Pure."""

    def __init__(self, wanted: Mapping[str, bytes], check: Check | None = None) -> None:
        """`wanted`: canonical path → canonical bytes of a leaf; raises `ValueRefused` for too many.

        `check` tells what is wrong with a document of a built-in type; without it none is looked at.
        """
        if len(wanted) > MAX_OVERRIDES:
            raise ValueRefused(
                "These local overrides are refused", f"a node may have {MAX_OVERRIDES} at most", "Use an overlay"
            )
        self.wanted: Final = dict(sorted(wanted.items()))
        self._check = check

    def over(self, view: View) -> tuple[View, tuple[LocalOverride, ...]]:
        """The view with the overrides that hold, and what became of each."""
        replaced, told = outcome(self.judge([view]))
        tree: Node = trees.EMPTY
        for (_, path), content in replaced.items():
            tree = trees.put(tree, paths.parse(path), content)
        if not tree:
            return view, told
        return View(view.labels, view.state, view.order, Index((tree, *view.index.branches))), told

    def judge(self, readers: Sequence[View]) -> Generator[None, None, tuple[Replaced, tuple[LocalOverride, ...]]]:
        """Which candidates give way where these are all kinds of readers, and what became of each override. In steps.

        A reader sees what a candidate says at a path wherever that candidate decides; who sees nothing there goes on
        seeing nothing.
        """
        judgement = Judgement(self.wanted, readers, self._check)
        yield from judgement.steps()
        told = tuple(
            LocalOverride(path, resolution.decoded(content), judgement.hidden.get(path, ABSENT), judgement.why(path))
            for path, content in self.wanted.items()
        )
        return {place: self.wanted[place[1]] for place in judgement.held}, told

    def refused(self, why: str) -> tuple[LocalOverride, ...]:
        """What becomes of them where none holds."""
        return tuple(LocalOverride(path, resolution.decoded(one), ABSENT, why) for path, one in self.wanted.items())


def because(why: str) -> str:
    """Why an override does not hold, as the end of a sentence that says so; or for whom it does not."""
    return f" {why}" if why.startswith(FOR) else f": {why}"


def outcome(steps: Generator[None, None, T]) -> T:
    """What work in steps comes to, done at once."""
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            return cast("T", ended.value)


def wanted(tree: Mapping[str, canonical.Json]) -> dict[str, bytes]:
    """The leaves of a nested object of categories; raises `PathError` or `ValueRefused`."""
    return {path: content for category, value in tree.items() for path, content in leaves(paths.write(category), value)}
