"""The store as it will be once earlier requests are committed: so many of them can be planned before the first is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from trimtab.model.items import Item, LeafEdit
from trimtab.model.structure import Forest
from trimtab_store import reading
from trimtab_store.database import Connection
from trimtab_store.drafts import Place
from trimtab_store.reading import Near
from trimtab_store.surroundings import Structure, Surroundings


@dataclass(slots=True)
class Ahead(Surroundings):
    """Surroundings with `forest` as it will be, and with what was learnt of plans by `will_hold`."""

    forest: Forest = field(default_factory=lambda: Forest({}, {}))
    _edits: dict[str, dict[Place, LeafEdit]] = field(default_factory=dict[str, dict[Place, LeafEdit]])

    def will_hold(self, environment: str, edits: Iterable[LeafEdit]) -> None:
        """These edits of an environment come before what is planned next."""
        self._edits.setdefault(environment, {}).update(((one.layer, one.path), one) for one in edits)

    def around(
        self, connection: Connection, environment: str, scopes: Sequence[str], *, reports: bool = False
    ) -> tuple[Near, Structure]:
        """The head, and the items around the scopes as they will be."""
        head = reading.head(connection)
        known = Structure(head.epoch, head.structure_revision, self.forest)
        near = reading.near(connection, known.near(environment), scopes, known.reached(environment), reports=reports)
        return replace(near, items=self._moved_on(near.items, known.near(environment))), known

    def _moved_on(self, items: Iterable[Item], environments: Iterable[str]) -> list[Item]:
        edited = {name: self._edits[name] for name in environments if name in self._edits}
        kept = [one for one in items if (one.layer, one.path) not in edited.get(one.environment, ())]
        for name, edits in edited.items():
            kept += [
                Item(name, edit.layer, edit.path, edit.outcome) for edit in edits.values() if edit.outcome is not None
            ]
        return kept
