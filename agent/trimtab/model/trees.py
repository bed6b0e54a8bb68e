"""The items of one layer as a persistent tree.

A node's children are leaves (the canonical bytes of a value) or nodes; a node may hold content of its own, for a
tombstone or an empty object above other items. A tombstone is `HIDDEN`, the empty bytes, which no value encodes to.
Leaves are plain bytes so that the garbage collector never visits them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from immutables import Map

from trimtab.model.values import WIDE

HIDDEN: Final = b""
"""The content of a tombstone."""

Branch: TypeAlias = "bytes | Node"


@dataclass(frozen=True, slots=True)
class Node:
    """An interior path of one layer: `children` by segment, and the content that stands at the path itself, if any."""

    children: dict[str, Branch] | Map[str, Branch] = field(default_factory=dict[str, "Branch"])
    content: bytes | None = None


EMPTY: Final = Node()


def content_of(branch: Branch | None) -> bytes | None:
    """What stands at the branch itself: canonical bytes, `HIDDEN`, or None."""
    return branch.content if isinstance(branch, Node) else branch


def child_of(branch: Branch | None, segment: str) -> Branch | None:
    """The branch below, or None."""
    return branch.children.get(segment) if isinstance(branch, Node) else None


def descend(node: Node, segments: tuple[str, ...]) -> Branch | None:
    """The branch at a path."""
    here: Branch | None = node
    for segment in segments:
        here = child_of(here, segment)
        if here is None:
            return None
    return here


def put(node: Node, segments: tuple[str, ...], content: bytes) -> Node:
    """The tree with content at a path; what lies below the path stays."""
    head, rest = segments[0], segments[1:]
    below = node.children.get(head)
    if rest:
        inner = below if isinstance(below, Node) else Node(content=below)
        return Node(_with(node.children, head, put(inner, rest, content)), node.content)
    fresh: Branch = Node(below.children, content) if isinstance(below, Node) else content
    return Node(_with(node.children, head, fresh), node.content)


def remove(node: Node, segments: tuple[str, ...]) -> Node:
    """The tree without the content at a path; what lies below the path stays, interior nodes left empty vanish."""
    head, rest = segments[0], segments[1:]
    below = node.children.get(head)
    if below is None:
        return node
    if rest:
        if not isinstance(below, Node):
            return node
        kept: Branch | None = _collapse(remove(below, rest))
    else:
        kept = _collapse(Node(below.children)) if isinstance(below, Node) else None
    children = _without(node.children, head) if kept is None else _with(node.children, head, kept)
    return Node(children, node.content)


def walk(branch: Branch | None, segments: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Every content at and below a branch, with its segments, parents before children, siblings sorted."""
    content = content_of(branch)
    if content is not None:
        yield segments, content
    if isinstance(branch, Node):
        for segment in sorted(branch.children):
            yield from walk(branch.children[segment], (*segments, segment))


def _collapse(node: Node) -> Branch | None:
    return node if node.children else node.content


def _with(
    children: dict[str, Branch] | Map[str, Branch], segment: str, branch: Branch
) -> dict[str, Branch] | Map[str, Branch]:
    if isinstance(children, Map):
        return children.set(segment, branch)
    if len(children) >= WIDE and segment not in children:
        return Map(children).set(segment, branch)
    return {**children, segment: branch}


def _without(children: dict[str, Branch] | Map[str, Branch], segment: str) -> dict[str, Branch] | Map[str, Branch]:
    if isinstance(children, Map):
        return children.delete(segment)
    return {name: branch for name, branch in children.items() if name != segment}


class Builder:
    """Builds a tree from many items at once, several times faster than one `put` after the other.

    The tree under construction is private to the builder; `finish` hands it over, after which the builder is spent.
    """

    def __init__(self) -> None:
        self._root: dict[str, Branch] = {}
        self._parents: dict[str, dict[str, Branch]] = {}

    def put(self, parent_text: str, parent: tuple[str, ...], segment: str, content: bytes) -> None:
        """Add one item; `parent_text` is the canonical text of `parent`, used as a key."""
        children = self._parents.get(parent_text)
        if children is None:
            children = self._parents[parent_text] = self._open(parent)
        below = children.get(segment)
        children[segment] = Node(below.children, content) if isinstance(below, Node) else content

    def finish(self) -> Node:
        """The finished tree; wide nodes are made persistent maps."""
        return _widen(Node(self._root))

    def _open(self, parent: tuple[str, ...]) -> dict[str, Branch]:
        children = self._root
        for segment in parent:
            below = children.get(segment)
            if not isinstance(below, Node):
                below = children[segment] = Node({}, below)
            assert isinstance(below.children, dict)
            children = below.children
        return children


def _widen(node: Node) -> Node:
    children = node.children
    for segment, branch in list(children.items()):
        if isinstance(branch, Node):
            widened = _widen(branch)
            if widened is not branch and isinstance(children, dict):
                children[segment] = widened
    return Node(Map(children), node.content) if len(children) > WIDE else node
