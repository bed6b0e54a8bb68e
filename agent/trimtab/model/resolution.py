"""Resolution: what a reader with given labels sees (DESIGN §3).

The layers that match the labels are ranked: the more specific selector first, then the nearer environment. At every
path the first layer that holds something decides: content wins, a tombstone masks its path and all below it in lower
ranks. An object shows its visible children; an empty object shows only where nothing below it resolves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from immutables import Map

from trimtab.model import canonical, layers, paths, trees
from trimtab.model.errors import LayerConflict
from trimtab.model.layers import Selector
from trimtab.model.states import LayerKey, State
from trimtab.model.trees import HIDDEN, Branch, Node
from trimtab.model.values import EMPTY, WIDE, Document, Value, freeze

Branches: TypeAlias = "Sequence[Branch]"
"""What the matching layers hold at one path, the winning layer first, layers that hold nothing left out."""

_EMPTY_OBJECT = b"{}"


class Absent:
    """The type of `ABSENT`: nothing resolves at a path. Not None, which is a value."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


def resolve(branches: Branches) -> Value | Absent:
    """The value at a path, from what the matching layers hold there."""
    if len(branches) == 1 and type(branches[0]) is bytes:  # the common case: one layer, one leaf
        content = branches[0]
        return freeze(canonical.trusted(content)) if content else ABSENT
    visible, deciding = unmasked(branches)
    children: dict[str, Value] = {}
    for segment in segments_of(visible):
        value = resolve(below(visible, segment))
        if not isinstance(value, Absent):
            children[segment] = value
    if children:
        return document(children)
    if deciding is None or deciding == HIDDEN:
        return ABSENT
    return freeze(canonical.trusted(deciding))


def unmasked(branches: Branches) -> tuple[list[Branch], bytes | None]:
    """The branches that no tombstone at this very path masks, and the content that decides here (or None)."""
    visible: list[Branch] = []
    deciding: bytes | None = None
    for branch in branches:
        visible.append(branch)
        content = trees.content_of(branch)
        if deciding is None:
            deciding = content
        if content == HIDDEN:
            break
    return visible, deciding


def below(branches: Branches, segment: str) -> list[Branch]:
    """What the same layers hold one segment further down."""
    found = (trees.child_of(branch, segment) for branch in branches)
    return [branch for branch in found if branch is not None]


def segments_of(branches: Branches) -> list[str]:
    """The segments that any of the layers holds below a path, sorted."""
    nodes = [branch for branch in branches if isinstance(branch, Node)]
    if len(nodes) == 1:
        return sorted(nodes[0].children)
    return sorted({segment for node in nodes for segment in node.children})


def document(children: dict[str, Value]) -> Document:
    """A document over children, as a persistent map where they are many."""
    return Document(Map(children)) if len(children) > WIDE else Document(children)


def root_branches(state: State, labels: Mapping[str, str]) -> list[Branch]:
    """The trees of the layers that match, the winning one first."""
    return [tree for _, tree in state.matching(labels)]


def visible_branches(state: State, labels: Mapping[str, str], segments: Sequence[str]) -> list[Branch]:
    """What the matching layers hold at a path, less what tombstones at and above it mask."""
    branches, _ = unmasked(root_branches(state, labels))
    for segment in segments:
        branches, _ = unmasked(below(branches, segment))
    return branches


def resolve_at(state: State, labels: Mapping[str, str], path: str) -> Value | Absent:
    """The value at one path for a reader with these labels, without resolving anything else."""
    segments = paths.parse(path)
    above = visible_branches(state, labels, segments[:-1])
    return resolve(below(above, segments[-1]))


def resolve_all(state: State, labels: Mapping[str, str]) -> Document:
    """The whole resolved tree."""
    value = resolve(root_branches(state, labels))
    return value if isinstance(value, Document) else EMPTY


@dataclass(frozen=True, slots=True)
class Candidate:
    """One layer's say about a path: its `content` stands at `path`, an ancestor's tombstone included."""

    environment: str
    selector: Selector
    rank: int
    path: str
    content: bytes
    wins: bool
    matches: bool

    @property
    def hides(self) -> bool:
        """Whether it is a tombstone."""
        return self.content == HIDDEN


def explain(state: State, labels: Mapping[str, str], path: str) -> list[Candidate]:
    """Every layer that has a say about a path: first those that the reader sees, by rank, then those it does not.

    The winner is the first that the reader sees; it may be a tombstone.
    """
    segments = paths.parse(path)
    found: list[tuple[bool, int, LayerKey, str, bytes]] = []
    for (environment, text), tree in state.trees.items():
        selector = layers.parse(text)
        rank = state.lineage.rank(environment, selector)
        for at, content in _say(tree, segments):
            found.append((selector.matches(labels), rank, (environment, text), at, content))
    # at the same rank (one layer) the item itself stands before an ancestor's tombstone, which masks lower ranks only
    found.sort(key=lambda entry: (not entry[0], -entry[1], -len(paths.parse(entry[3]))))
    return [
        Candidate(key[0], layers.parse(key[1]), rank, at, content, wins=matches and place == 0, matches=matches)
        for place, (matches, rank, key, at, content) in enumerate(found)
    ]


def _say(tree: Node, segments: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    here: Branch | None = tree
    for depth, segment in enumerate(segments, 1):
        here = trees.child_of(here, segment)
        content = trees.content_of(here)
        if content is not None and (depth == len(segments) or content == HIDDEN):
            yield paths.join(segments[:depth]), content


def check_conflicts(state: State, environment: str, layer: str, path: str) -> None:
    """Refuse an item just put at a path if, with a layer that it can meet, it makes a scalar and a subtree at one path.

    Raises `LayerConflict` naming both. An empty object and a tombstone at a path conflict with nothing below it.
    """
    selector = layers.parse(layer)
    own = state.content(environment, layer, path)
    segments = paths.parse(path)
    for (other_environment, text), tree in state.trees.items():
        if not selector.can_meet(layers.parse(text)):
            continue
        for depth in range(1, len(segments)):
            above = trees.content_of(trees.descend(tree, segments[:depth]))
            if above not in {None, HIDDEN, _EMPTY_OBJECT}:
                raise _conflict(paths.join(segments[:depth]), (other_environment, text), path, (environment, layer))
        if own not in {None, HIDDEN, _EMPTY_OBJECT}:
            for found, content in trees.walk(trees.descend(tree, segments), segments):
                if len(found) > len(segments) and content != HIDDEN:
                    raise _conflict(path, (environment, layer), paths.join(found), (other_environment, text))


def _conflict(scalar: str, scalar_layer: LayerKey, leaf: str, leaf_layer: LayerKey) -> LayerConflict:
    def name(key: LayerKey) -> str:
        return f"{key[0]} ({key[1] or 'common'})"

    return LayerConflict(
        f"{scalar} cannot be a value and hold {leaf} as well",
        f"{name(scalar_layer)} has a value at {scalar}, {name(leaf_layer)} has an item at {leaf}, "
        "and one reader can see both",
        "Unset one of the two first",
    )
