"""Comparing: which leaves differ between what two contents show, given the paths that may."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from trimtab.model import paths
from trimtab.model.resolution import ABSENT, Absent, decoded
from trimtab.model.values import Value
from trimtab.shared.resolved import SharedIndex

Differences: TypeAlias = "dict[str, tuple[Value | Absent, Value | Absent]]"
"""Leaf path → (old, new), `ABSENT` where there is none."""


def at(old: SharedIndex, new: SharedIndex, touched: Iterable[str]) -> Differences:
    """The leaves that differ at, below and above some paths."""
    differences: Differences = {}
    above: set[str] = set()
    chosen = set(touched)
    for path in sorted(chosen):
        if chosen.isdisjoint(paths.parents(path)):
            _compare(dict(old.leaves(path)), dict(new.leaves(path)), differences)
            above.update(paths.parents(path))
    for path in above:  # an empty object shows and vanishes with what is below it
        was, now = old.own_leaf(path), new.own_leaf(path)
        if was != now:
            differences[path] = (_value(was), _value(now))
    return differences


def everywhere(old: SharedIndex, new: SharedIndex) -> Differences:
    """The leaves that differ anywhere."""
    differences: Differences = {}
    _compare(dict(old.leaves()), dict(new.leaves()), differences)
    return differences


def _compare(before: dict[str, bytes], after: dict[str, bytes], into: Differences) -> None:
    for leaf in before.keys() | after.keys():
        was, now = before.get(leaf), after.get(leaf)
        if was != now:
            into[leaf] = (_value(was), _value(now))


def _value(content: bytes | None) -> Value | Absent:
    return decoded(content) if content else ABSENT
