"""Views: a state resolved for one set of labels.

A view is the trees of the matching layers in rank order, with an index over them that resolves a path when it is asked
for. So building a view costs nothing, memory and garbage collector carry only what a bot really reads (the reader's own
cache), and a change makes a new view that shares the trees that stay (docs/decisions/0002-hot-map.md measures it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from trimtab.model import paths, resolution
from trimtab.model.index import Index
from trimtab.model.resolution import ABSENT, Absent, Branches
from trimtab.model.states import STEP, LayerKey, State
from trimtab.model.structure import Lineage
from trimtab.model.trees import HIDDEN, content_of
from trimtab.model.values import EMPTY, Document, Value

Differences: TypeAlias = "dict[str, tuple[Value | Absent, Value | Absent]]"
"""Leaf path → (old, new), `ABSENT` where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a reader holds. `index[path]` is a read; `order` names the matching layers, the winning one first."""

    labels: Mapping[str, str]
    state: State
    order: tuple[LayerKey, ...]
    index: Index

    @property
    def root(self) -> Document:
        """The whole tree, resolved at each call: for programs that show or compare everything."""
        value = resolution.resolve(self.index.branches)
        return value if isinstance(value, Document) else EMPTY

    def leaf_paths(self) -> Iterator[str]:
        """The paths of every leaf: scalars, arrays and empty objects. Nothing is decoded."""
        return (path for path, _ in resolution.leaves(self.index.branches) if path)

    def categories(self) -> Iterator[str]:
        """The first segments of every path, such as `risk`, in no particular order."""
        visible, _ = resolution.unmasked(self.index.branches)
        for segment, found in resolution.children(visible):
            if next(resolution.leaves(found), None) is not None:
                yield paths.write(segment)


def empty(labels: Mapping[str, str]) -> View:
    """The view of an environment without items."""
    return View(labels, State(Lineage(("none",))), (), Index(()))


def build(state: State, labels: Mapping[str, str]) -> View:
    """The view of a state."""
    matching = state.matching(labels)
    trees = tuple(tree for _, tree in matching)
    return View(labels, state, tuple(key for key, _ in matching), Index(trees))


def build_steps(state: State, labels: Mapping[str, str]) -> Iterator[View | None]:
    """`build` for a caller that works in steps; one step is enough."""
    yield build(state, labels)


def advance(view: View, state: State, touched: Iterable[str]) -> tuple[View, Differences]:
    """The view after a change, and the leaves that differ.

    `touched` are the paths of the change's edits; `state` is the state after it. Labels stay the same.
    """
    result: tuple[View, Differences] = (view, {})
    for step in advance_steps(view, state, touched):
        result = step or result
    return result


def advance_steps(view: View, state: State, touched: Iterable[str]) -> Iterator[tuple[View, Differences] | None]:
    """`advance` in steps: yields None now and then, and at last the view and the differences."""
    if state.trees.keys() == view.state.trees.keys():
        order = view.order
    else:
        order = tuple(key for key, _ in state.matching(view.labels))
    old, new = view.index.branches, tuple(state.trees[key] for key in order)
    differences: Differences = {}
    above: set[str] = set()
    since = 0
    for path in _outermost(touched):
        since += _compare_at(old, new, path, differences)
        above.update(paths.parents(path))
        if since >= STEP:
            since = 0
            yield None
    for path in above:
        _compare_above(old, new, path, differences)
    yield View(view.labels, state, order, Index(new)), differences


def compare_steps(old: View, new: View) -> Iterator[Differences | None]:
    """The leaves that differ between any two views: yields None between steps and at last the differences."""
    before: dict[str, bytes] = {}
    for count, (path, content) in enumerate(resolution.leaves(old.index.branches), 1):
        before[path] = content
        if count % STEP == 0:
            yield None
    differences: Differences = {}
    for count, (path, content) in enumerate(resolution.leaves(new.index.branches), 1):
        was = before.pop(path, None)
        if was != content:
            differences[path] = (_value(was), _value(content))
        if count % STEP == 0:
            yield None
    for count, (path, was) in enumerate(before.items(), 1):
        differences[path] = (_value(was), ABSENT)
        if count % STEP == 0:
            yield None
    yield differences


def _value(content: bytes | None) -> Value | Absent:
    return resolution.decoded(content) if content else ABSENT


def _compare_at(old: Branches, new: Branches, path: str, into: Differences) -> int:
    """Collect what differs at and below a touched path; returns about how much work that was."""
    segments = paths.parse(path)
    before = dict(resolution.leaves(resolution.branches_at(old, segments), path))
    after = dict(resolution.leaves(resolution.branches_at(new, segments), path))
    for leaf in before.keys() | after.keys():
        was, now = before.get(leaf), after.get(leaf)
        if was != now:
            into[leaf] = (_value(was), _value(now))
    return len(before) + len(after) + 1


def _compare_above(old: Branches, new: Branches, path: str, into: Differences) -> None:
    """An empty object above a touched path shows and vanishes with what is below it: that is a difference too."""
    segments = paths.parse(path)
    was = _own_leaf(resolution.branches_at(old, segments))
    now = _own_leaf(resolution.branches_at(new, segments))
    if was != now:
        into[path] = (_value(was), _value(now))


def _own_leaf(branches: Branches) -> bytes | None:
    """The content that shows at the path itself, None if nothing or something below it shows."""
    if all(content_of(branch) in {None, HIDDEN} for branch in branches):
        return None
    path, content = next(resolution.leaves(branches, ""), ("", None))
    return None if path else content


def _outermost(touched: Iterable[str]) -> list[str]:
    """The touched paths that lie below no other touched path."""
    chosen = set(touched)
    return [path for path in sorted(chosen) if chosen.isdisjoint(paths.parents(path))]


def same(one: Value | Absent, two: Value | Absent) -> bool:
    """Equality that tells 1 from 1.0 and from true, as the canonical bytes do."""
    if type(one) is not type(two):
        return False
    if isinstance(one, tuple) and isinstance(two, tuple):
        return len(one) == len(two) and all(same(a, b) for a, b in zip(one, two, strict=True))
    if isinstance(one, Document) and isinstance(two, Document):
        return one.keys() == two.keys() and all(same(one[k], two[k]) for k in one)
    if isinstance(one, float):
        return repr(one) == repr(two)
    return one == two
