"""The state of a line: every item of an environment and of what it inherits from, layer by layer.

A state is immutable; applying edits makes a new one that shares what did not change. The same type serves a whole line
(the replica) and the few paths that one edit touches (the writer).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from trimtab.model import layers, paths, trees
from trimtab.model.items import NO_ITEMS, Item, LeafEdit, add_checksums, digest
from trimtab.model.structure import Lineage
from trimtab.model.trees import Branch, Builder, Node

LayerKey: TypeAlias = "tuple[str, str]"
"""(environment, layer text)."""

STEP: Final = 512
"""Items handled between two yields of a building generator: about half a millisecond."""


@dataclass(frozen=True, slots=True)
class State:
    """`trees` holds one tree for each layer of each environment of the lineage that has items."""

    lineage: Lineage
    trees: Mapping[LayerKey, Node] = field(default_factory=dict[LayerKey, Node])
    checksum: bytes = NO_ITEMS
    count: int = 0

    def branch(self, environment: str, layer: str, path: str) -> Branch | None:
        """What one layer holds at a canonical path."""
        tree = self.trees.get((environment, layer))
        return None if tree is None else trees.descend(tree, paths.parse(path))

    def content(self, environment: str, layer: str, path: str) -> bytes | None:
        """The item's content: canonical bytes, `HIDDEN`, or None."""
        return trees.content_of(self.branch(environment, layer, path))

    def items(self, environment: str | None = None) -> Iterator[Item]:
        """Every item, or one environment's own, in the order of a snapshot: lineage depth, layer, path segments."""
        order = {name: depth for depth, name in enumerate(self.lineage.environments)}
        for name, layer in sorted(self.trees, key=lambda key: (order[key[0]], key[1])):
            if environment in {None, name}:
                for segments, content in trees.walk(self.trees[name, layer]):
                    yield Item(name, layer, paths.join(segments), content)

    def below(self, environment: str, layer: str, path: str) -> list[tuple[str, bytes]]:
        """A layer's own items at and below a path."""
        segments = paths.parse(path)
        branch = self.branch(environment, layer, path)
        return [(paths.join(found), content) for found, content in trees.walk(branch, segments)]

    def apply(self, environment: str, edits: Iterable[LeafEdit]) -> State:
        """The state after a change; an edit that removes what is not there changes nothing."""
        changed = dict(self.trees)
        plus: list[int] = []
        minus: list[int] = []
        for edit in edits:
            key = (environment, edit.layer)
            tree = changed.get(key, trees.EMPTY)
            segments = paths.parse(edit.path)
            before = trees.content_of(trees.descend(tree, segments))
            after = edit.outcome
            if before is not None:
                minus.append(digest(environment, edit.layer, edit.path, before))
            if after is None:
                tree = trees.remove(tree, segments)
            else:
                plus.append(digest(environment, edit.layer, edit.path, after))
                tree = trees.put(tree, segments, after)
            if tree.children:
                changed[key] = tree
            else:
                changed.pop(key, None)
        checksum = add_checksums(self.checksum, plus, minus)
        return State(self.lineage, changed, checksum, self.count + len(plus) - len(minus))

    def matching(self, labels: Mapping[str, str]) -> list[tuple[LayerKey, Node]]:
        """The layers that a reader with these labels sees, the winning one first."""
        seen = [
            (self.lineage.rank(environment, selector), (environment, text), tree)
            for (environment, text), tree in self.trees.items()
            if (selector := layers.parse(text)).matches(labels)
        ]
        return [(key, tree) for _, key, tree in sorted(seen, key=lambda entry: -entry[0])]


def build_steps(lineage: Lineage, items: Iterable[Item]) -> Iterator[State | None]:
    """Build a state from items: yields None after every `STEP` items and at last the state."""
    builders: dict[LayerKey, Builder] = {}
    total = 0
    count = 0
    for count, item in enumerate(items, 1):
        builder = builders.get((item.environment, item.layer))
        if builder is None:
            builder = builders[item.environment, item.layer] = Builder()
        segments = paths.parse(item.path)
        builder.put(paths.parent(item.path), segments[:-1], segments[-1], item.content)
        total += item.digest()
        if count % STEP == 0:
            yield None
    finished = {key: builder.finish() for key, builder in builders.items()}
    yield State(lineage, finished, add_checksums(NO_ITEMS, (total,)), count)


def build(lineage: Lineage, items: Iterable[Item]) -> State:
    """Build a state from items in one go."""
    state = State(lineage)
    for state_or_none in build_steps(lineage, items):
        state = state_or_none or state
    return state
