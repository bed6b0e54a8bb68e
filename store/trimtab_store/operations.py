"""What one edit asks for, and how it becomes leaf edits.

Operations apply to a draft one after the other; the leaf edits are what differs in the end, so an operation that
changes nothing leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from trimtab.model import canonical, items, labels, layers, paths
from trimtab.model.canonical import Json
from trimtab.model.changes import MAX_EDITS
from trimtab.model.errors import PathNotFound, ValueRefused, nearest
from trimtab.model.states import State
from trimtab.model.trees import HIDDEN
from trimtab_store.drafts import Draft, Place, edit_of

EVERYTHING: Final = ""
"""The scope of an operation that has to see every item of the line."""

_EMPTY_OBJECT: Final = b"{}"


class Operation(Protocol):
    """One thing that an edit asks for."""

    @property
    def scope(self) -> str:
        """The canonical path at, below and above which it has to see items, or `EVERYTHING`."""
        ...

    def apply(self, draft: Draft) -> None:
        """Do it to the draft; raises what cannot be done."""
        ...

    def words(self) -> Json:
        """What it asks for, for telling two requests apart."""
        ...


@dataclass(frozen=True, slots=True)
class Leaves:
    """`set` and `merge`: a value at a path, already taken apart into its leaves."""

    layer: str
    path: str
    leaves: tuple[tuple[str, bytes], ...]
    merges: bool = False

    @property
    def scope(self) -> str:
        """The path itself."""
        return self.path

    def apply(self, draft: Draft) -> None:
        """Replace the layer's subtree, or lay the leaves over it."""
        if not self.merges:
            wanted = {path for path, _ in self.leaves}
            self._remove(draft, self.path, wanted)
        for path, content in self.leaves:
            if self.merges and not self._make_room(draft, path, content):
                continue
            draft.put(self.layer, path, content)

    def words(self) -> Json:
        """Verb, layer, path and the leaves as text."""
        leaves: list[Json] = [[path, content.decode()] for path, content in self.leaves]
        return ["merge" if self.merges else "set", self.layer, self.path, leaves]

    def _remove(self, draft: Draft, path: str, kept: Iterable[str]) -> None:
        for found, _ in draft.own(self.layer, path):
            if found not in kept:
                draft.remove(self.layer, found)

    def _make_room(self, draft: Draft, path: str, content: bytes) -> bool:
        """Remove what the layer itself has in a leaf's way, up to the merged path; False where `{}` adds nothing."""
        for above in paths.parents(path):
            if above != self.path and not paths.is_below(above, self.path):
                break
            if draft.state.content(draft.environment, self.layer, above) not in {None, HIDDEN, _EMPTY_OBJECT}:
                draft.remove(self.layer, above)
        own = draft.own(self.layer, path)
        if content == _EMPTY_OBJECT and any(found != path and held != HIDDEN for found, held in own):
            return False
        self._remove(draft, path, {path})
        return True


@dataclass(frozen=True, slots=True)
class Unset:
    """Remove the layer's own items at and below a path."""

    layer: str
    path: str

    @property
    def scope(self) -> str:
        """The path itself."""
        return self.path

    def apply(self, draft: Draft) -> None:
        """Remove them; raises `PathNotFound` if there is none, naming the layers that do have some."""
        own = draft.own(self.layer, self.path)
        if not own:
            raise self._missing(draft.state)
        for path, _ in own:
            draft.remove(self.layer, path)

    def words(self) -> Json:
        """Verb, layer and path."""
        return ["unset", self.layer, self.path]

    def _missing(self, state: State) -> PathNotFound:
        here = f"{state.lineage.environment} ({self.layer or 'common'})"
        elsewhere = [
            f"{environment} ({layer or 'common'})"
            for environment, layer in sorted(state.trees)
            if state.below(environment, layer, self.path)
        ]
        if elsewhere:
            remedy = f"It stands in {', '.join(elsewhere)}: unset it there, or hide it here"
        else:
            remedy = nearest(self.path, {item.path for item in state.items()}) or "See `trimtab list`"
        return PathNotFound(f"{here} holds nothing of its own at {self.path}", "", remedy)


@dataclass(frozen=True, slots=True)
class Hide:
    """A tombstone at a path."""

    layer: str
    path: str

    @property
    def scope(self) -> str:
        """The path itself."""
        return self.path

    def apply(self, draft: Draft) -> None:
        """Remove the layer's own items there and put the tombstone."""
        for path, _ in draft.own(self.layer, self.path):
            if path != self.path:
                draft.remove(self.layer, path)
        draft.put(self.layer, self.path, HIDDEN)

    def words(self) -> Json:
        """Verb, layer and path."""
        return ["hide", self.layer, self.path]


@dataclass(frozen=True, slots=True)
class Replace:
    """Make an environment's own items exactly these; `content` by place, `HIDDEN` for a tombstone."""

    target: Mapping[Place, bytes]

    @property
    def scope(self) -> str:
        """The whole line: what is not in the target goes."""
        return EVERYTHING

    def apply(self, draft: Draft) -> None:
        """Remove what the target lacks, put what differs."""
        current = {(item.layer, item.path): item.content for item in draft.before.items(draft.environment)}
        differing = [
            edit_of(*place, self.target.get(place))
            for place in current.keys() | self.target.keys()
            if current.get(place) != self.target.get(place)
        ]
        if len(differing) > MAX_EDITS:
            raise ValueRefused(
                "This change is refused",
                f"{len(differing)} items differ, at most {MAX_EDITS} may",
                "Import it in parts",
            )
        draft.touched.update((edit.layer, edit.path) for edit in differing)
        draft.state = draft.state.apply(draft.environment, differing)

    def words(self) -> Json:
        """Verb and every item."""
        listed: list[Json] = [[layer, path, self.target[layer, path].decode()] for layer, path in sorted(self.target)]
        return ["replace", listed]


def leaves_of(layer: str, path: str, value: object, *, merges: bool = False) -> Leaves:
    """A `set` or `merge` after every check without a database; raises `PathError`, `ValueRefused` or `LayerError`."""
    text = paths.canonical(path)
    found = tuple(items.leaves(text, value))
    for leaf, content in found:
        labels.check_edit(layer, leaf, content)
    return Leaves(layer, text, found, merges=merges)


def hide_of(layer: str, path: str) -> Hide:
    """A `hide` after every check that needs no database."""
    text = paths.canonical(path)
    labels.check_edit(layer, text, HIDDEN)
    return Hide(layer, text)


def layer_text(layer: str | Mapping[str, str] | layers.Selector | None) -> str:
    """The canonical text of a layer as callers name it."""
    if layer is None:
        return ""
    if isinstance(layer, layers.Selector):
        return layer.text
    return layers.parse(layer).text if isinstance(layer, str) else layers.of(layer).text


def request_hash_words(environment: str, operations: Iterable[Operation], *, urgent: bool) -> bytes:
    """The canonical bytes of what is asked for; author and reason are not part of it."""
    return canonical.encode([environment, urgent, [one.words() for one in operations]])
