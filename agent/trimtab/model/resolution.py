"""Resolution: what a reader with given labels sees (DESIGN §3).

The layers that match the labels are ranked: the more specific selector first, then the nearer environment. At every
path the first layer that holds something decides: content wins, a tombstone masks its path and all below it in lower
ranks. An object shows its visible children; an empty object shows only where nothing below it resolves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from immutables import Map, MapMutation

from trimtab.model import canonical, layers, paths, trees
from trimtab.model.errors import LayerConflict
from trimtab.model.layers import Selector
from trimtab.model.states import LayerKey, State
from trimtab.model.trees import HIDDEN, OWN, WIDE, Branch, Node
from trimtab.model.values import EMPTY, Document, Value, freeze

Branches: TypeAlias = "Sequence[Branch]"
"""What the matching layers hold at one path, the winning layer first, layers that hold nothing left out."""

_EMPTY_OBJECT: Final = b"{}"


class Absent:
    """The type of `ABSENT`: nothing resolves at a path. Not None, which is a value."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __reduce__(self) -> str:
        return "ABSENT"  # there is one only, also after a copy or a pickle


ABSENT: Final = Absent()


def decoded(content: bytes) -> Value:
    """The value that canonical bytes stand for."""
    return freeze(canonical.trusted(content))


def resolve(branches: Branches) -> Value | Absent:
    """The value at a path, from what the matching layers hold there."""
    visible, deciding = unmasked(branches)
    gathered: dict[str, Value] | MapMutation[str, Value] = {}
    for segment, found in children(visible):
        first = found[0]
        if len(found) == 1 and isinstance(first, bytes):  # the common case: one layer has a leaf
            value = decoded(first) if first else ABSENT
        else:
            value = resolve(found)
        if not isinstance(value, Absent):
            gathered[segment] = value
            if len(gathered) > WIDE and isinstance(gathered, dict):
                gathered = Map(gathered).mutate()
    if gathered:
        return Document(gathered if isinstance(gathered, dict) else gathered.finish())
    return decoded(deciding) if deciding else ABSENT


def unmasked(branches: Branches) -> tuple[Branches, bytes | None]:
    """The branches that no tombstone at this very path masks, and the content that decides here (or None)."""
    deciding: bytes | None = None
    for place, branch in enumerate(branches):
        content = trees.content_of(branch)
        if deciding is None:
            deciding = content
        if content == HIDDEN:
            return branches[: place + 1], deciding
    return branches, deciding


def below(branches: Branches, segment: str) -> list[Branch]:
    """What the same layers hold one segment further down."""
    found = (trees.child_of(branch, segment) for branch in branches)
    return [branch for branch in found if branch is not None]


def children(branches: Branches) -> Iterator[tuple[str, Branches]]:
    """Each segment below a path, in no particular order, with what the layers hold there. Each step is short."""
    nodes = [branch for branch in branches if not isinstance(branch, bytes)]
    if len(nodes) == 1:
        for segment, branch in nodes[0].items():
            if segment:
                yield segment, (branch,)
        return
    for place, node in enumerate(nodes):
        for segment in node:
            if segment != OWN and not any(segment in earlier for earlier in nodes[:place]):
                yield segment, below(nodes[place:], segment)


def leaves(branches: Branches, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Every leaf that shows at and below a path, as path and canonical bytes, in no particular order."""
    visible, deciding = unmasked(branches)
    nothing = True
    for segment, found in children(visible):
        at = paths.child(path, segment)
        first = found[0]
        if len(found) == 1 and isinstance(first, bytes):
            if first:
                nothing = False
                yield at, first
        else:
            for leaf in leaves(found, at):
                nothing = False
                yield leaf
    if nothing and deciding:
        yield path, deciding


def root_branches(state: State, labels: Mapping[str, str]) -> list[Branch]:
    """The trees of the layers that match, the winning one first."""
    return [tree for _, tree in state.matching(labels)]


def branches_at(root: Branches, segments: Sequence[str]) -> Branches:
    """What the matching layers hold at a path, given their trees, less what tombstones above it mask."""
    branches = root
    for segment in segments:
        found: list[Branch] = []
        for branch in branches:
            if isinstance(branch, bytes):
                if not branch:
                    break  # a tombstone masks what lower ranks hold here and below
                continue
            child = branch.get(segment)
            if child is not None:
                found.append(child)
            if branch.get(OWN) == HIDDEN:
                break
        if not found:
            return found
        branches = found
    return branches


def resolve_at(state: State, labels: Mapping[str, str], path: str) -> Value | Absent:
    """The value at one path for a reader with these labels, without resolving anything else."""
    return resolve(branches_at(root_branches(state, labels), paths.parse(path)))


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
    """Refuse an item just put at a path if, with a layer that it can meet, it makes a value and a subtree at one path.

    Raises `LayerConflict` naming both. Tombstones conflict with nothing; an empty object is a subtree, not a value: it
    may stand above other items, and like any item it may not stand below a value.
    """
    own = state.content(environment, layer, path)
    if own is None or own == HIDDEN:
        return
    selector = layers.parse(layer)
    segments = paths.parse(path)
    for (other_environment, text), tree in state.trees.items():
        if not selector.can_meet(layers.parse(text)):
            continue
        for depth in range(1, len(segments)):
            above = trees.content_of(trees.descend(tree, segments[:depth]))
            if above not in {None, HIDDEN, _EMPTY_OBJECT}:
                raise _conflict(paths.join(segments[:depth]), (other_environment, text), path, (environment, layer))
        if own != _EMPTY_OBJECT:
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
