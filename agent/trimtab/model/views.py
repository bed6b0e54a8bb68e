"""Views: a state resolved for one set of labels.

A view is two things that share their values: the tree of documents, and an index from every path, leaf or interior, to
its value. Both are persistent, so a change makes a new view at the cost of the paths that it touches. The index is an
`immutables.Map`: a read costs little more than a dict's, and an update does not copy what it leaves alone
(docs/decisions/0002-hot-map.md has the measurements).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from immutables import Map, MapMutation

from trimtab.model import paths, resolution
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.states import STEP, State
from trimtab.model.values import EMPTY, Document, Value

Index: TypeAlias = "Map[str, Value]"


@dataclass(frozen=True, slots=True)
class View:
    """What a reader holds: `index` maps canonical paths to values, `root` is the same as a tree."""

    labels: Mapping[str, str]
    root: Document
    index: Index

    def leaf_paths(self) -> Iterator[str]:
        """The paths of every leaf: scalars, arrays and empty objects."""
        return (path for path, value in self.index.items() if not isinstance(value, Document) or not value)


def empty(labels: Mapping[str, str]) -> View:
    """The view of an environment without items."""
    return View(labels, EMPTY, Map())


def build_steps(state: State, labels: Mapping[str, str]) -> Iterator[View | None]:
    """Resolve a state in steps: yields None after about `STEP` items and at last the view."""
    branches, _ = resolution.unmasked(resolution.root_branches(state, labels))
    root = EMPTY
    index: MapMutation[str, Value] = Map[str, Value]().mutate()
    since = 0
    # One step resolves one document two levels down: small enough for a step, large enough to be quick.
    for category in resolution.segments_of(branches):
        inner, _ = resolution.unmasked(resolution.below(branches, category))
        children: dict[str, Value] = {}
        for segment in resolution.segments_of(inner):
            value = resolution.resolve(resolution.below(inner, segment))
            if not isinstance(value, Absent):
                children[segment] = value
                since += _add(index, paths.child(paths.write(category), segment), value)
            if since >= STEP:
                since = 0
                yield None
        whole = resolution.document(children) if children else resolution.resolve(resolution.below(branches, category))
        if not isinstance(whole, Absent):
            index[paths.write(category)] = whole
            root = root.with_child(category, whole)
    yield View(labels, root, index.finish())


def build(state: State, labels: Mapping[str, str]) -> View:
    """Resolve a state in one go."""
    view = empty(labels)
    for view_or_none in build_steps(state, labels):
        view = view_or_none or view
    return view


def advance(
    view: View, state: State, touched: Iterable[str]
) -> tuple[View, dict[str, tuple[Value | Absent, Value | Absent]]]:
    """The view after a change, and the leaves that differ: path → (old, new), `ABSENT` where there is none.

    `touched` are the paths of the change's edits; `state` is the state after it. Labels stay the same.
    """
    mutation = view.index.mutate()
    root = view.root
    differing: dict[str, tuple[Value | Absent, Value | Absent]] = {}
    branches = resolution.root_branches(state, view.labels)
    for path in _outermost(touched):
        segments = paths.parse(path)
        old = view.index.get(path, ABSENT)
        root = _replace(root, branches, segments, mutation)
        new = mutation.get(path, ABSENT)
        _differences(path, old, new, differing)
        _ancestors(path, view.index, mutation, differing)
    return View(view.labels, root, mutation.finish()), differing


def _replace(
    root: Document, branches: resolution.Branches, segments: tuple[str, ...], index: MapMutation[str, Value]
) -> Document:
    fresh = _rebuild(root, resolution.unmasked(branches)[0], segments, "", index)
    return fresh if isinstance(fresh, Document) else EMPTY


def _rebuild(
    node: Value | Absent,
    branches: resolution.Branches,
    segments: tuple[str, ...],
    path: str,
    index: MapMutation[str, Value],
) -> Value | Absent:
    """The value at `path`, whose matching branches are given, with everything along `segments` resolved anew."""
    if not segments:
        fresh = resolution.resolve(branches)
        _drop(index, path, node)
        if not isinstance(fresh, Absent):
            _add(index, path, fresh)
        return fresh
    visible, _ = resolution.unmasked(branches)
    head = segments[0]
    inner = node[head] if isinstance(node, Document) and head in node else ABSENT
    below = _rebuild(inner, resolution.below(visible, head), segments[1:], paths.child(path, head), index)
    fresh = _with(node if isinstance(node, Document) else EMPTY, head, below)
    if not fresh:
        fresh = resolution.resolve(branches) if path else EMPTY
    if path:
        if isinstance(fresh, Absent):
            index.pop(path, None)
        else:
            index[path] = fresh
    return fresh


def _with(node: Document, segment: str, value: Value | Absent) -> Value | Absent:
    if isinstance(value, Absent):
        return node.without_child(segment) if segment in node else node
    return node.with_child(segment, value)


def _add(index: MapMutation[str, Value], path: str, value: Value) -> int:
    index[path] = value
    added = 1
    if isinstance(value, Document):
        for segment in value.segments():
            added += _add(index, paths.child(path, segment), value[segment])
    return added


def _drop(index: MapMutation[str, Value], path: str, value: Value | Absent) -> None:
    if isinstance(value, Absent):
        return
    index.pop(path, None)
    if isinstance(value, Document):
        for segment in value.segments():
            _drop(index, paths.child(path, segment), value[segment])


def _outermost(touched: Iterable[str]) -> list[str]:
    """The touched paths that lie below no other touched path."""
    kept: list[str] = []
    chosen: set[str] = set()
    for path in sorted(set(touched), key=lambda text: len(paths.parse(text))):
        if chosen.isdisjoint(paths.parents(path)):
            chosen.add(path)
            kept.append(path)
    return kept


def _leaves(path: str, value: Value | Absent) -> dict[str, Value]:
    if isinstance(value, Absent):
        return {}
    if not isinstance(value, Document) or not value:
        return {path: value}
    found: dict[str, Value] = {}
    for segment in value.segments():
        found.update(_leaves(paths.child(path, segment), value[segment]))
    return found


def _differences(
    path: str, old: Value | Absent, new: Value | Absent, into: dict[str, tuple[Value | Absent, Value | Absent]]
) -> None:
    before, after = _leaves(path, old), _leaves(path, new)
    for leaf in before.keys() | after.keys():
        one, two = before.get(leaf, ABSENT), after.get(leaf, ABSENT)
        if not same(one, two):
            into[leaf] = (one, two)


def _ancestors(
    path: str, old: Index, new: MapMutation[str, Value], into: dict[str, tuple[Value | Absent, Value | Absent]]
) -> None:
    """An empty object above the path shows and vanishes with what is below it: that is a difference too."""
    for above in paths.parents(path):
        one, two = old.get(above, ABSENT), new.get(above, ABSENT)
        before = one if not isinstance(one, Document) or not one else ABSENT
        after = two if not isinstance(two, Document) or not two else ABSENT
        if not same(before, after):
            into[above] = (before, after)


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
