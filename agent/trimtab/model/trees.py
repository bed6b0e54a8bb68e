"""The items of one layer as a persistent tree.

A branch is a leaf (the canonical bytes of a value) or a node. A node maps each segment to the branch below; what
stands at the node's own path, a tombstone or an empty object above other items, is kept under `OWN`, which no segment
can be. A tombstone is `HIDDEN`, the empty bytes, which no value encodes to.

The shapes are chosen for the garbage collector of the process that holds them: it never visits bytes, and it does not
track a dict that holds only bytes and text. So a document of leaves costs a full collection nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias, cast

from trimtab.model.paths import Segments, child
from trimtab.model.wide import Wide

WIDE: Final = 64
"""Up to this many children live in a plain dict, which is copied at a change; more live in a persistent mapping."""

HIDDEN: Final = b""
"""The content of a tombstone."""

OWN: Final = ""
"""The key of a node's own content."""

Branch: TypeAlias = "bytes | Node"
Node: TypeAlias = "dict[str, Branch] | Wide[Branch]"

EMPTY: Final[dict[str, Branch]] = {}
"""The tree without items. Trees are never changed in place."""


def content_of(branch: Branch | None) -> bytes | None:
    """What stands at the branch itself: canonical bytes, `HIDDEN`, or None."""
    if branch is None or isinstance(branch, bytes):
        return branch
    return cast("bytes | None", branch.get(OWN))


def child_of(branch: Branch | None, segment: str) -> Branch | None:
    """The branch below, or None."""
    return None if branch is None or isinstance(branch, bytes) else branch.get(segment)


def descend(branch: Branch, segments: Segments) -> Branch | None:
    """The branch at a path."""
    here: Branch | None = branch
    for segment in segments:
        if here is None or isinstance(here, bytes):
            return None
        here = here.get(segment)
    return here


def put(node: Node, segments: Segments, content: bytes) -> Node:
    """The tree with content at a path; what lies below the path stays."""
    head, rest = segments[0], segments[1:]
    below = node.get(head)
    fresh: Branch
    if rest:
        inner: Node = {OWN: below} if isinstance(below, bytes) else below or EMPTY
        fresh = put(inner, rest, content)
    else:
        fresh = content if below is None or isinstance(below, bytes) else _with(below, OWN, content)
    return _with(node, head, fresh)


def remove(node: Node, segments: Segments) -> Node:
    """The tree without the content at a path; what lies below the path stays, interior nodes left empty vanish."""
    head, rest = segments[0], segments[1:]
    below = node.get(head)
    if below is None or isinstance(below, bytes):
        return node if rest else _without(node, head)
    kept = remove(below, rest) if rest else _without(below, OWN)
    if not kept:
        return _without(node, head)
    return _with(node, head, kept[OWN] if len(kept) == 1 and OWN in kept else kept)


def walk(branch: Branch | None, segments: Segments = ()) -> Iterator[tuple[Segments, bytes]]:
    """Every content at and below a branch, with its segments, parents before children, siblings sorted."""
    if branch is None:
        return
    if isinstance(branch, bytes):
        yield segments, branch
        return
    for segment in sorted(branch):  # OWN sorts first
        if segment == OWN:
            yield segments, cast("bytes", branch[OWN])
        else:
            yield from walk(branch[segment], (*segments, segment))


def walk_paths(branch: Branch, path: str = "") -> Iterator[tuple[str, bytes]]:
    """`walk` with canonical paths instead of segments."""
    if isinstance(branch, bytes):
        yield path, branch
        return
    for segment in sorted(branch):
        below = branch[segment]
        if segment == OWN:
            yield path, cast("bytes", below)
        elif isinstance(below, bytes):
            yield child(path, segment), below
        else:
            yield from walk_paths(below, child(path, segment))


def segments_of(nodes: Iterable[Branch]) -> list[str]:
    """The segments that any of the branches holds below itself, sorted."""
    found = {segment for node in nodes if not isinstance(node, bytes) for segment in node}
    return sorted(found - {OWN})


def _with(node: Node, segment: str, branch: Branch) -> Node:
    if isinstance(node, Wide):
        return node.set(segment, branch)
    if len(node) >= WIDE and segment not in node:
        return Wide[Branch].of({**node, segment: branch})
    return {**node, segment: branch}


def _without(node: Node, segment: str) -> Node:
    if segment not in node:
        return node
    if isinstance(node, Wide):
        return node.delete(segment)
    return {name: branch for name, branch in node.items() if name != segment}


class Builder:
    """Builds one tree from many items, several times faster than one `put` after the other.

    Items may come in any order; it is quickest where those of one parent follow each other, as in a snapshot. Each
    takes constant time, however many there are. After `finish` the builder is spent.
    """

    def __init__(self) -> None:
        self._parent: Segments = ()
        self._here: Node = {}
        self._above: list[Node] = []

    def put(self, segments: Segments, content: bytes) -> None:
        """Add one item."""
        self.add(segments[:-1], segments[-1], content)

    def add(self, parent: Segments, segment: str, content: bytes) -> None:
        """Add one item below a parent; quickest if the parent is the very tuple of the call before."""
        if parent is not self._parent:
            self._move(parent)
        here = self._here
        below = here.get(segment)
        branch = content if below is None or isinstance(below, bytes) else _with(below, OWN, content)
        if isinstance(here, dict) and len(here) < WIDE:
            here[segment] = branch
        else:
            self._set(segment, branch)

    def finish(self) -> Node:
        """The finished tree."""
        self._move(())
        return self._here

    def _set(self, segment: str, branch: Branch) -> None:
        here = self._here
        if isinstance(here, Wide):
            here.add(segment, branch)
            return
        here[segment] = branch
        if len(here) > WIDE:
            self._here = Wide.of(here)

    def _move(self, parent: Segments) -> None:
        """Close the nodes that the parent does not lie below, and open those down to it."""
        shared = 0
        for one, two in zip(self._parent, parent, strict=False):
            if one != two:
                break
            shared += 1
        for segment in reversed(self._parent[shared:]):
            closed = self._here
            self._here = self._above.pop()
            self._set(segment, closed)
        for segment in parent[shared:]:
            below = self._here.get(segment)
            self._above.append(self._here)
            self._here = {OWN: below} if isinstance(below, bytes) else below or {}
        self._parent = parent


def is_empty(tree: Mapping[str, Branch]) -> bool:
    """Whether a tree holds no item."""
    return not tree
