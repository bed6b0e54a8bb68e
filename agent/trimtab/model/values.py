"""Values as readers see them: scalars, tuples, and read-only documents.

A `Document` is one object of the resolved tree. Documents are persistent: replacing a child makes a new document that
shares every other child, so a change costs the depth of its path and not the size of the tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from immutables import Map

from trimtab.model.canonical import Json
from trimtab.model.trees import WIDE

Value: TypeAlias = "bool | int | float | str | tuple[Value, ...] | Document | None"

Children: TypeAlias = "dict[str, Value] | Map[str, Value]"


class Document(Mapping[str, Value]):
    """A read-only mapping from segment to value. Equal to any mapping with equal contents; not hashable."""

    __slots__ = ("_children",)
    _children: Children

    def __init__(self, children: Children) -> None:
        object.__setattr__(self, "_children", children)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Document is read only, {name!r} cannot be set")

    def __getitem__(self, segment: str) -> Value:
        return self._children[segment]

    def __contains__(self, segment: object) -> bool:
        return segment in self._children

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._children))

    def __len__(self) -> int:
        return len(self._children)

    def __repr__(self) -> str:
        return f"Document({self.to_dict()!r})"

    def __reduce__(self) -> tuple[object, tuple[Json]]:
        return freeze, (self.to_dict(),)

    def segments(self) -> Iterator[str]:
        """The child segments in no particular order: quicker than iterating."""
        return iter(self._children)

    def to_dict(self) -> dict[str, Json]:
        """A plain, deep copy: dicts and lists that the caller may change."""
        return {segment: thaw(self._children[segment]) for segment in self}

    def with_child(self, segment: str, value: Value) -> Document:
        """The document with one child set."""
        children = self._children
        if isinstance(children, Map):
            return Document(children.set(segment, value))
        if len(children) >= WIDE:
            return Document(Map(children).set(segment, value))
        return Document({**children, segment: value})

    def without_child(self, segment: str) -> Document:
        """The document with one child removed (it must be there)."""
        children = self._children
        if isinstance(children, Map):
            return Document(children.delete(segment))
        return Document({name: value for name, value in children.items() if name != segment})


EMPTY: Final = Document({})


def freeze(value: Json) -> Value:
    """JSON as readers see it: lists become tuples, objects become documents."""
    if isinstance(value, list):
        return tuple([freeze(element) for element in value])
    if isinstance(value, dict):
        return Document({segment: freeze(element) for segment, element in value.items()})
    return value


def thaw(value: Value) -> Json:
    """The opposite of `freeze`."""
    if isinstance(value, tuple):
        return [thaw(element) for element in value]
    if isinstance(value, Document):
        return value.to_dict()
    return value
