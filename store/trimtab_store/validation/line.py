"""One line before and after a change, as its targets see it: those who see the same are one group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trimtab_store.validation.resolved import Content, Contents, Resolved, Seen
from trimtab_store.validation.sides import Sides
from trimtab_store.validation.supposed import NOBODY
from trimtab_store.validation.targets import Labels, Target

Key: TypeAlias = "tuple[Seen, Seen, tuple[str | None, ...], frozenset[str]]"


@dataclass(frozen=True, slots=True)
class Group:
    """Targets that see the same overlays where it matters, and have the same labels where it matters.

    `before` and `after` are the overlays of the two sides, `moved` the dimensions in question whose labels the change
    alters. Declared targets come first; supposed ones make up a group only where nobody who is known sees the same.
    """

    before: Seen
    after: Seen
    moved: frozenset[str]
    targets: tuple[Target, ...]

    @property
    def labels(self) -> Labels:
        """The labels of one target: a declared one where there is one."""
        return self.targets[0].after

    @property
    def is_declared(self) -> bool:
        """Whether the configuration itself declares one of them."""
        return self.targets[0].declared

    @property
    def supposed(self) -> int:
        """So many bots it stands for that nobody said to be there; nothing where some target is known."""
        return sum([target.supposed for target in self.targets]) if self.targets[0].supposed else 0


class Line:
    """Both sides of a line, and its targets once they are known."""

    def __init__(self, sides: Sides, contents: Contents) -> None:
        self.environment = sides.environment
        self.before = Resolved(sides.before, contents)
        self.after = Resolved(sides.after, contents)
        self.targets: Sequence[Target] = ()
        self.supposed = NOBODY
        self._alike = self.before.is_ranked_as(self.after)
        self._groups: dict[tuple[frozenset[int], frozenset[int], frozenset[str]], list[Group]] = {}

    def groups(self, paths: Iterable[str], dimensions: frozenset[str] = frozenset()) -> list[Group]:
        """The targets by what they see at and below some paths on both sides, and by the labels of some dimensions."""
        found = list(paths)
        old = frozenset[int]().union(*map(self.before.overlays, found))
        new = frozenset[int]().union(*map(self.after.overlays, found))
        known = self._groups.get((old, new, dimensions))
        if known is None:
            known = self._groups[old, new, dimensions] = self._group(old, new, dimensions)
        return known

    def old(self, path: str, group: Group) -> Content:
        """What a group sees at a path today."""
        return self.before.content(path, group.before)

    def new(self, path: str, group: Group) -> Content:
        """What it would see after the change."""
        return self.after.content(path, group.after)

    def differs(self, path: str, group: Group) -> bool:
        """Whether the change alters what a group sees at or below a path."""
        return self.old(path, group) is not self.new(path, group)

    def shows(self, path: str, group: Group) -> bool:
        """Whether a group sees anything at or below a path, before or after."""
        return not (self.old(path, group).is_absent and self.new(path, group).is_absent)

    def _group(self, old: frozenset[int], new: frozenset[int], dimensions: frozenset[str]) -> list[Group]:
        if not old and not new and not dimensions:
            return [Group((), (), frozenset(), tuple(self.targets))] if self.targets else []
        before, after = self.before.readers(old), self.after.readers(new)
        alike, asked = self._alike and old == new, sorted(dimensions)
        found: dict[Key, list[Target]] = {}
        for target in (*self.targets, *self.supposed.targets):
            labels = target.after
            seen = after.overlays(labels)
            same = alike and target.before is labels
            key = (
                seen if same else before.overlays(target.before),
                seen,
                tuple([labels.get(one) for one in asked]) if asked else (),
                target.moved & dimensions if asked else dimensions,
            )
            members = found.setdefault(key, [])
            if not target.supposed or not members or members[0].supposed:
                members.append(target)
        return [Group(key[0], key[1], key[3], tuple(members)) for key, members in found.items()]
