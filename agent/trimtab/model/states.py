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

STEP: Final = 128
"""Items handled between two yields of a generator that works in steps: a quarter to three quarters of a millisecond."""


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
                for path, content in trees.walk_paths(self.trees[name, layer]):
                    yield Item(name, layer, path, content)

    def below(self, environment: str, layer: str, path: str) -> list[tuple[str, bytes]]:
        """A layer's own items at and below a path."""
        branch = self.branch(environment, layer, path)
        return [] if branch is None else list(trees.walk_paths(branch, path))

    def apply(self, environment: str, edits: Iterable[LeafEdit]) -> State:
        """The state after a change; an edit that removes what is not there changes nothing."""
        state = self
        for step in self.apply_steps(environment, edits):
            state = step or state
        return state

    def apply_steps(self, environment: str, edits: Iterable[LeafEdit]) -> Iterator[State | None]:
        """`apply` in steps: yields None after every `STEP` edits and at last the state."""
        changed = dict(self.trees)
        total = count = 0
        for number, edit in enumerate(edits, 1):
            key = (environment, edit.layer)
            tree = changed.get(key, trees.EMPTY)
            segments = paths.parse(edit.path)
            before = trees.content_of(trees.descend(tree, segments))
            after = edit.outcome
            if before is not None:
                total -= digest(environment, edit.layer, edit.path, before)
                count -= 1
            if after is None:
                tree = trees.remove(tree, segments)
            else:
                total += digest(environment, edit.layer, edit.path, after)
                count += 1
                tree = trees.put(tree, segments, after)
            if tree:
                changed[key] = tree
            else:
                changed.pop(key, None)
            if number % STEP == 0:
                yield None
        yield State(self.lineage, changed, add_checksums(self.checksum, (total,)), self.count + count)

    def matching(self, labels: Mapping[str, str]) -> list[tuple[LayerKey, Node]]:
        """The layers that a reader with these labels sees, the winning one first."""
        seen = [
            (self.lineage.rank(environment, selector), (environment, text))
            for environment, text in self.trees
            if (selector := layers.parse(text)).matches(labels)
        ]
        return [(key, self.trees[key]) for _, key in sorted(seen, key=lambda entry: -entry[0])]


class Assembly:
    """A state under construction. The tight loops that fill it live where the items come from."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._builders: dict[LayerKey, Builder] = {}
        self.total = 0
        self.count = 0

    def layer(self, environment: str, layer: str) -> Builder:
        """The builder of one layer."""
        builder = self._builders.get((environment, layer))
        if builder is None:
            builder = self._builders[environment, layer] = Builder()
        return builder

    def finish(self) -> State:
        """The state; `total` is the sum of the digests of all items added, `count` their number."""
        finished = {key: builder.finish() for key, builder in self._builders.items()}
        found = {key: tree for key, tree in finished.items() if tree}
        return State(self._lineage, found, add_checksums(NO_ITEMS, (self.total,)), self.count)


def build_steps(lineage: Lineage, items: Iterable[Item]) -> Iterator[State | None]:
    """Build a state from items: yields None after every `STEP` items and at last the state."""
    assembly = Assembly(lineage)
    for count, item in enumerate(items, 1):
        assembly.layer(item.environment, item.layer).put(paths.parse(item.path), item.content)
        assembly.total += item.digest()
        assembly.count = count
        if count % STEP == 0:
            yield None
    yield assembly.finish()


def part(lineage: Lineage, items: Iterable[Item]) -> State:
    """The state of a few items, without their digests: its checksum is nobody's, but moves as that of the line does.

    For writers, who have to know by how much a change moves it, and hold too little to say what it is.
    """
    assembly = Assembly(lineage)
    for item in items:
        assembly.layer(item.environment, item.layer).put(paths.parse(item.path), item.content)
        assembly.count += 1
    return assembly.finish()


def build(lineage: Lineage, items: Iterable[Item]) -> State:
    """Build a state from items in one go."""
    state = State(lineage)
    for step in build_steps(lineage, items):
        state = step or state
    return state
