"""A draft: the edited line around the paths that are touched, and what operations make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from trimtab.model.changes import MAX_EDITS
from trimtab.model.errors import ValueRefused
from trimtab.model.items import LeafEdit
from trimtab.model.states import State

Place: TypeAlias = "tuple[str, str]"
"""(layer text, canonical path)."""


@dataclass(slots=True)
class Draft:
    """The edited line: `before`, and `state` as the operations have made it so far. Not shared."""

    environment: str
    before: State
    state: State
    touched: set[Place] = field(default_factory=set[Place])

    def own(self, layer: str, path: str) -> list[tuple[str, bytes]]:
        """The environment's own items of a layer at and below a path."""
        return self.state.below(self.environment, layer, path)

    def put(self, layer: str, path: str, content: bytes) -> None:
        """Put an item, or a tombstone where the content is `HIDDEN`."""
        edit = LeafEdit(layer, path, "put", content) if content else LeafEdit(layer, path, "hide")
        self._apply(edit)

    def remove(self, layer: str, path: str) -> None:
        """Remove an item if it is there."""
        self._apply(LeafEdit(layer, path, "remove"))

    def edits(self) -> tuple[LeafEdit, ...]:
        """What differs from before, sorted."""
        found: list[LeafEdit] = []
        for layer, path in sorted(self.touched):
            old = self.before.content(self.environment, layer, path)
            new = self.state.content(self.environment, layer, path)
            if old != new:
                found.append(edit_of(layer, path, new))
        return tuple(found)

    def _apply(self, edit: LeafEdit) -> None:
        if len(self.touched) > MAX_EDITS:
            raise ValueRefused(
                "This edit is refused", f"it touches more than {MAX_EDITS} items", "Split it into several revisions"
            )
        self.touched.add((edit.layer, edit.path))
        self.state = self.state.apply(self.environment, (edit,))


def edit_of(layer: str, path: str, content: bytes | None) -> LeafEdit:
    """The leaf edit that leaves this content at a place."""
    if content is None:
        return LeafEdit(layer, path, "remove")
    return LeafEdit(layer, path, "put", content) if content else LeafEdit(layer, path, "hide")
