"""Rolling back: an environment's own items as they were, as a new revision.

What a parent changed since then is not undone, because other environments inherit it too: those places are listed, or,
with `pin`, written as overrides so that every reader of the environment sees again exactly what it saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.model import canonical, layers, paths, resolution
from trimtab.model.canonical import Json
from trimtab.model.errors import ValidationError
from trimtab.model.resolution import Absent
from trimtab.model.states import State
from trimtab.model.trees import HIDDEN
from trimtab.model.values import Document, Value, thaw
from trimtab_store import reading
from trimtab_store.database import Connection
from trimtab_store.drafts import Draft, Place
from trimtab_store.evolution import stamping
from trimtab_store.expectations import differences as value_differences
from trimtab_store.expectations import label_sets, shown
from trimtab_store.operations import EVERYTHING, Replace
from trimtab_store.queries import differences
from trimtab_store.reading import Moment
from trimtab_store.writer import Committed, Difference, RolledBack


@dataclass(slots=True)
class Rollback:
    """The operation; `apply` leaves in `inherited` what still differs through a parent, in `pinned` what it wrote."""

    then: State
    revision: int
    pin: bool
    inherited: tuple[Difference, ...] = ()
    pinned: tuple[str, ...] = field(default=())

    @property
    def scope(self) -> str:
        """The whole line."""
        return EVERYTHING

    def apply(self, draft: Draft) -> None:
        """Bring back the own items, then look at what a parent changed."""
        Replace(own_items(self.then)).apply(draft)
        self.inherited = _inherited(self.then, draft.state)
        self.pinned = ()
        if self.pin and self.inherited:
            self.pinned = _pin(draft, self.then, self.revision)
        self.pinned = tuple(sorted({*self.pinned, *stamping.bring_back(draft, self.then)}))

    def words(self) -> Json:
        """Verb, revision and whether parents' changes are pinned."""
        return ["rollback", self.revision, self.pin]


def operation(connection: Connection, environment: str, to_revision: int, *, pin: bool) -> Rollback:
    """The rollback to a revision; what was then is read once, for it cannot change. Raises `RevisionNotFound`."""
    at = reading.moment(connection, to_revision)
    return Rollback(reading.line(connection, environment, (EVERYTHING,), at), at.revision, pin)


def replayed(connection: Connection, done: Rollback, committed: Committed) -> RolledBack:
    """What a rollback that an idempotency key found again had left and written, from the state right after it."""
    after = Moment(committed.position, committed.committed_at)
    now = reading.line(connection, committed.environment, (EVERYTHING,), after)
    was, held = own_items(done.then), own_items(now)
    pinned = {path for layer, path in was.keys() | held if was.get((layer, path)) != held.get((layer, path))}
    return RolledBack(committed, _inherited(done.then, now), tuple(sorted(pinned)))


def own_items(state: State) -> Mapping[Place, bytes]:
    """An environment's own items by place."""
    return {(item.layer, item.path): item.content for item in state.items(state.lineage.environment)}


def _inherited(then: State, now: State) -> tuple[Difference, ...]:
    """The items that other environments of the line hold differently."""
    return tuple(one for one in differences(then, now) if one.environment != then.lineage.environment)


def _pin(draft: Draft, then: State, revision: int) -> tuple[str, ...]:
    """Write overrides until every reader sees what it saw; raises `ValidationError` where that cannot be.

    Readers are told apart by the combinations of labels that layers name, from the least specific on: an override for
    one combination decides for it and leaves the less specific ones alone.
    """
    combinations = label_sets(then, draft.state)
    order = draft.before.lineage
    written: list[str] = []
    ranked = sorted(combinations, key=lambda one: order.rank(order.environment, layers.of(one)))
    for labels in ranked:
        written += _pin_for(draft, then, labels)
    for labels in ranked:
        for path, old, new in _resolved_differences(then, draft.state, labels):
            raise _impossible(revision, f"{path} was {shown(old)} and would be {shown(new)}")
    return tuple(sorted(set(written)))


def _pin_for(draft: Draft, then: State, labels: dict[str, str]) -> list[str]:
    layer = layers.of(labels).text
    written: list[str] = []
    for path, old, _ in _resolved_differences(then, draft.state, labels):
        for leaf, content in _overrides(path, old):
            draft.put(layer, leaf, content)
            written.append(leaf)
    return written


def _resolved_differences(
    then: State, now: State, labels: dict[str, str]
) -> list[tuple[str, Value | Absent, Value | Absent]]:
    return list(value_differences("", resolution.resolve_all(then, labels), resolution.resolve_all(now, labels)))


def _overrides(path: str, old: Value | Absent) -> list[tuple[str, bytes]]:
    """The items that make a reader see `old` at a path."""
    if isinstance(old, Absent):
        return [(path, HIDDEN)]
    if not isinstance(old, Document) or not old:
        return [(path, canonical.encode(thaw(old)))]
    return [leaf for segment in old for leaf in _overrides(paths.child(path, segment), old[segment])]


def _impossible(revision: int, why: str) -> ValidationError:
    return ValidationError(
        f"What revision {revision} showed cannot be pinned", why, "Roll back without pin, then edit what is listed"
    )
