"""Views: a state resolved for one set of labels.

A view is the trees of the matching layers in rank order, and `hot`, a dict of everything that has been read so far.
What is missing there is resolved at its first read, a few microseconds, so building a view costs nothing, memory and
garbage collector carry only what a bot really reads, and every later read is one lookup in a dict. A change makes a
new view: it shares the trees that stay, and takes over what was read, less what the change touches
(docs/decisions/0002-hot-map.md has the measurements).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trimtab.model import paths, resolution
from trimtab.model.hot import Hot
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
    """What a reader holds. `hot[path]` is a read; `order` names the matching layers, the winning one first."""

    labels: Mapping[str, str]
    state: State
    order: tuple[LayerKey, ...]
    hot: Hot

    @property
    def index(self) -> Index:
        """Every path, leaf or interior, and its value."""
        return Index(self.hot)

    @property
    def root(self) -> Document:
        """The whole tree, resolved at each call: for programs that show or compare everything."""
        value = resolution.resolve(self.hot.branches)
        return value if isinstance(value, Document) else EMPTY

    def leaf_paths(self) -> Iterator[str]:
        """The paths of every leaf: scalars, arrays and empty objects. Nothing is decoded."""
        return (path for path, _ in resolution.leaves(self.hot.branches) if path)


def empty(labels: Mapping[str, str]) -> View:
    """The view of an environment without items."""
    return View(labels, State(Lineage(("none",))), (), Hot(()))


def build_steps(state: State, labels: Mapping[str, str], like: View | None = None) -> Iterator[View | None]:
    """The view of a state: yields None between steps and at last the view.

    What was read through `like` is resolved in advance, so that its readers meet no first read after the swap.
    """
    matching = state.matching(labels)
    hot = Hot(tuple(tree for _, tree in matching))
    for count, path in enumerate([] if like is None else list(like.hot), 1):
        hot.get(path)
        if count % (STEP // 4) == 0:
            yield None
    yield View(labels, state, tuple(key for key, _ in matching), hot)


def build(state: State, labels: Mapping[str, str]) -> View:
    """The view of a state in one go."""
    view = empty(labels)
    for step in build_steps(state, labels):
        view = step or view
    return view


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
    hot = Hot(tuple(state.trees[key] for key in order))
    hot.update(view.hot)
    differences: Differences = {}
    above: set[str] = set()
    since = 0
    for path in _outermost(touched):
        since += _advance_at(view.hot, hot, path, differences)
        above.update(paths.parents(path))
        if since >= STEP // 2:
            since = 0
            yield None
    for path in above:
        _advance_above(view.hot.branches, hot.branches, path, differences)
    yield View(view.labels, state, order, hot), differences


def compare_steps(old: View, new: View) -> Iterator[Differences | None]:
    """The leaves that differ between any two views: yields None between steps and at last the differences."""
    before: dict[str, bytes] = {}
    for count, (path, content) in enumerate(resolution.leaves(old.hot.branches), 1):
        before[path] = content
        if count % STEP == 0:
            yield None
    differences: Differences = {}
    for count, (path, content) in enumerate(resolution.leaves(new.hot.branches), 1):
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


def _advance_at(old: Hot, hot: Hot, path: str, into: Differences) -> int:
    """Account for everything at and below a touched path; returns about how much work that was."""
    segments = paths.parse(path)
    before_branches = resolution.branches_at(old.branches, segments)
    after_branches = resolution.branches_at(hot.branches, segments)
    before = dict(resolution.leaves(before_branches, path))
    after = dict(resolution.leaves(after_branches, path))
    for leaf in before.keys() | after.keys():
        if before.get(leaf) != after.get(leaf):
            into[leaf] = (_value(before.get(leaf)), _value(after.get(leaf)))
    if before == after:
        return len(before) + 1
    if not (before.keys() | after.keys()) <= {path}:
        prefix = f"{path}."
        for cached in [cached for cached in hot if cached.startswith(prefix)]:
            del hot[cached]
    was_read = dict.pop(hot, path, ABSENT) is not ABSENT
    read_above = [parent for parent in paths.parents(path) if dict.__contains__(hot, parent)]
    if was_read or read_above:
        value = resolution.resolve(after_branches)
        if was_read and not isinstance(value, Absent):
            hot[path] = value
        for parent in read_above:
            _renew(hot, parent, segments[len(paths.parse(parent)) :], value)
    return len(before) + len(after) + 1


def _renew(hot: Hot, parent: str, rest: Sequence[str], value: Value | Absent) -> None:
    """Put the new value into a document above it that was read; the document is dropped where that is not simple."""
    renewed = _replaced(hot[parent], rest, value)
    if renewed is None:
        dict.pop(hot, parent)
    else:
        hot[parent] = renewed


def _replaced(node: Value, rest: Sequence[str], value: Value | Absent) -> Document | None:
    """A document with one value below it replaced; None if documents appear or vanish on the way."""
    if not isinstance(node, Document):
        return None
    head = rest[0]
    if len(rest) > 1:
        inner = _replaced(node[head], rest[1:], value) if head in node else None
        return None if inner is None else node.with_child(head, inner)
    if not isinstance(value, Absent):
        return node.with_child(head, value)
    if head not in node:
        return node
    return node.without_child(head) if len(node) > 1 else None


def _advance_above(old: Branches, new: Branches, path: str, into: Differences) -> None:
    """An empty object above a touched path shows and vanishes with what is below it: that is a difference too."""
    segments = paths.parse(path)
    before = _own_leaf(resolution.branches_at(old, segments))
    after = _own_leaf(resolution.branches_at(new, segments))
    if before != after:
        into[path] = (_value(before), _value(after))


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
