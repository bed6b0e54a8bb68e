"""Laying files over what an environment holds: what they say is put, what they do not say stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.changes import MAX_EDITS
from trimtab.model.errors import ValueRefused
from trimtab.model.items import LeafEdit
from trimtab.model.trees import HIDDEN
from trimtab_store.drafts import Draft, Place, edit_of
from trimtab_store.operations import EVERYTHING

_HOLDS_NOTHING: Final = (HIDDEN, b"{}")
"""Contents that conflict with nothing below them."""


@dataclass(frozen=True, slots=True)
class Lay:
    """Put these items; of the environment's others only those go that stand in the way, above or below one of them."""

    target: Mapping[Place, bytes]

    @property
    def scope(self) -> str:
        """The whole line: anything may stand in the way."""
        return EVERYTHING

    def apply(self, draft: Draft) -> None:
        """Put what differs, remove what is in its way."""
        current = {(item.layer, item.path): item.content for item in draft.before.items(draft.environment)}
        differing = [edit_of(*place, text) for place, text in self.target.items() if current.get(place) != text]
        differing += [LeafEdit(*place, "remove") for place in self._in_the_way(current)]
        if len(differing) > MAX_EDITS:
            why = f"{len(differing)} items differ, at most {MAX_EDITS} may"
            raise ValueRefused("This change is refused", why, "Apply the files in parts")
        draft.touched.update((edit.layer, edit.path) for edit in differing)
        draft.state = draft.state.apply(draft.environment, differing)

    def words(self) -> Json:
        """Verb and every item."""
        listed: list[Json] = [[layer, path, self.target[layer, path].decode()] for layer, path in sorted(self.target)]
        return ["lay", listed]

    def _in_the_way(self, current: Mapping[Place, bytes]) -> set[Place]:
        others = {place: content for place, content in current.items() if place not in self.target}
        found = {
            (layer, path)
            for layer, path in others
            if any(self.target.get((layer, above), HIDDEN) not in _HOLDS_NOTHING for above in paths.parents(path))
        }
        for (layer, path), content in self.target.items():
            if content == HIDDEN:
                continue
            above = ((layer, one) for one in paths.parents(path))
            found.update(place for place in above if others.get(place, HIDDEN) not in _HOLDS_NOTHING)
        return found
