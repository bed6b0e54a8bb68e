"""The tree: a view as templates see it, `config.risk.global.max_leverage`. Only what a template reads is resolved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias, cast

from trimtab.model import paths, resolution
from trimtab.model.canonical import Json
from trimtab.model.resolution import Absent, Branches
from trimtab.model.values import thaw
from trimtab.model.views import View

Seen: TypeAlias = "Json | Tree"


class Tree:
    """An object of the view. Its names are only those of the configuration: `config.x.items` is a path, no method.

    `config.x | items` and `for name in config.x` walk through it, `config.x | tojson` writes it.
    """

    __slots__ = ("_branches",)

    def __init__(self, branches: Branches) -> None:
        self._branches = branches

    def __getitem__(self, segment: object) -> Seen:
        found = resolution.branches_at(self._branches, (str(segment),))
        first = next(resolution.leaves(found, "x"), None)
        if first is None:
            raise KeyError(segment)
        if first[0] != "x" or first[1] == b"{}":
            return Tree(found)
        return thaw(resolution.decoded(first[1]))

    def __contains__(self, segment: object) -> bool:
        return next(resolution.leaves(resolution.branches_at(self._branches, (str(segment),))), None) is not None

    def __iter__(self) -> Iterator[str]:
        visible, _ = resolution.unmasked(self._branches)
        found = (segment for segment, below in resolution.children(visible) if next(resolution.leaves(below), None))
        return iter(sorted(found))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return "an object of the configuration"  # no values: errors repeat this


def plain(value: object) -> Json:
    """A tree, and whatever holds trees, as JSON."""
    if isinstance(value, Tree):
        found = resolution.resolve(value._branches)  # noqa: SLF001 - one part with Tree
        return {} if isinstance(found, Absent) else thaw(found)
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in cast("dict[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in cast("list[object]", value)]
    return cast("Json", value)


def at(view: View, path: str) -> Seen | Absent:
    """What stands at a path, `ABSENT` where nothing does."""
    segments = paths.parse(path)
    above = Tree(resolution.branches_at(view.index.branches, segments[:-1]))
    try:
        return above[segments[-1]]
    except KeyError:
        return resolution.ABSENT
