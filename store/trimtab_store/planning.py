"""Step 2 of a commit: everything that needs no lock (DESIGN §4).

A `Plan` is what one request means against the store as it was read: the leaf edits, the bytes of the change, the lines
that it extends and by how much their checksums move. It names what it read, so that the locked part can tell whether a
moved head matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from trimtab.model import documents, labels, layers, paths, resolution
from trimtab.model.changes import Change
from trimtab.model.items import Item, LeafEdit
from trimtab.model.states import State
from trimtab.model.structure import Forest, Lineage
from trimtab_store import expectations, hooks, reading, surroundings
from trimtab_store.database import Connection
from trimtab_store.drafts import Draft
from trimtab_store.editing import Request, outermost
from trimtab_store.hooks import Hook, Sides
from trimtab_store.operations import EVERYTHING
from trimtab_store.reading import Head, LineHead
from trimtab_store.sizes import Growth, Sizes
from trimtab_store.surroundings import Structure, Surroundings

LABELS_SCOPE: Final = "fleet.bots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a request means against `head`.

    `read` are the environments and `scopes` the paths whose items it depends on; `deltas` is by how much each extended
    line's checksum grows (modulo 2^256). `heads` are those lines' heads at `head`, read at `read_at` by the server's
    clock, where they were read with it.
    """

    request: Request
    head: Head
    forest: Forest
    read: tuple[str, ...]
    scopes: tuple[str, ...]
    edits: tuple[LeafEdit, ...]
    change: bytes
    deltas: Mapping[str, int]
    heads: Mapping[str, LineHead] = field(default_factory=dict[str, LineHead])
    read_at: datetime | None = None
    warnings: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The environments whose lines it extends, sorted."""
        return tuple(sorted(self.deltas))

    @property
    def paths(self) -> tuple[str, ...]:
        """The items that it changes, sorted."""
        return tuple(sorted({edit.path for edit in self.edits}))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not self.edits and self.request.structure is None and self.request.epoch is None

    def depends_on(self, environment: str, path: str) -> bool:
        """Whether an item at this place was among what was read, or would have been."""
        if environment not in self.read:
            return False
        return any(
            not scope or path == scope or paths.is_below(path, scope) or paths.is_below(scope, path)
            for scope in self.scopes
        )


@dataclass(slots=True)
class Planner:
    """Makes plans, over whichever connection it is given."""

    hooks: Sequence[Hook] = ()
    surroundings: Surroundings = field(default_factory=Surroundings)
    sizes: Sizes = field(default_factory=Sizes)

    def plan(self, connection: Connection, request: Request) -> Plan:
        """Read what the request touches and work out what it means; raises every refusal of DESIGN §4.2."""
        scopes = self._scopes(request)
        near, known = self.surroundings.around(connection, request.environment, scopes)
        draft = _draft(request, reading.state_of(known.forest.lineage(request.environment), near.items))
        edits = draft.edits()
        _check_places(draft.before.lineage, edits)
        if request.expect is not None:
            expectations.check(connection, request, draft.before, request.expect)
        sides = _sides(known, near.items, draft, edits)
        warnings = self._run_hooks(connection, request, sides, edits) if self.hooks and edits else ()
        change = change_of(request, edits)
        growth = Growth.of(request.environment, draft.before, edits, change)
        whole = self.sizes.check(connection, near.head, known.forest, tuple(sides), growth)
        whole = whole or bool(self.hooks and hooks.touches_labels(edit.path for edit in edits))
        return Plan(
            request=request,
            head=near.head,
            forest=known.forest,
            read=known.near(request.environment),
            scopes=(EVERYTHING,) if whole else scopes,
            edits=edits,
            change=change,
            deltas={name: checksum_delta(reached) for name, reached in sides.items()},
            heads=near.heads,
            read_at=near.read_at,
            warnings=warnings,
        )

    def _scopes(self, request: Request) -> tuple[str, ...]:
        """What to read: the touched paths; whole documents and every bot's labels where somebody looks at them."""
        scopes = request.scopes
        if self.hooks or request.expect is not None:
            scopes = outermost(documents.document_of(scope) if scope else scope for scope in scopes)
        if self.hooks and scopes:
            scopes = outermost([*scopes, LABELS_SCOPE])
        return scopes

    def _run_hooks(
        self, connection: Connection, request: Request, sides: Mapping[str, Sides], edits: Sequence[LeafEdit]
    ) -> tuple[str, ...]:
        found: list[str] = []
        touched = {edit.path for edit in edits}
        reported = surroundings.reported_labels(connection, sides)
        for name, reached in sides.items():
            of = hooks.targets(reached, (edit.layer for edit in edits), reported.get(name, ()))
            seen, asked = reached, touched
            if hooks.touches_labels(touched) and (moved := hooks.differing_dimensions(reached, of)):
                seen = surroundings.whole(connection, reached, request.environment, edits)
                asked = touched | set(hooks.overlays_on(seen.after, moved))
            found += hooks.run(self.hooks, seen, of, asked, (request.author, request.urgent))
        return tuple(found)


def _draft(request: Request, edited: State) -> Draft:
    """What the operations make of the edited line."""
    draft = Draft(request.environment, edited, edited)
    for operation in request.operations:
        operation.apply(draft)
    return draft


def _check_places(lineage: Lineage, edits: Iterable[LeafEdit]) -> None:
    """Raise unless every edit stands where one may stand."""
    for edit in edits:
        if edit.operation != "remove":
            lineage.check_selector(layers.parse(edit.layer))
            labels.check_edit(edit.layer, edit.path, edit.outcome)


def _sides(known: Structure, items: Iterable[Item], draft: Draft, edits: Sequence[LeafEdit]) -> dict[str, Sides]:
    """Every line that the edits extend, before and after, by environment; no two items conflict in any of them."""
    environment = draft.environment
    sides: dict[str, Sides] = {}
    for name in known.reached(environment):
        if name == environment:
            sides[name] = Sides(draft.before, draft.state)
        else:
            before = reading.state_of(known.forest.lineage(name), items)
            sides[name] = Sides(before, before.apply(environment, edits))
        check_conflicts(sides[name].after, environment, edits)
    return sides


def check_conflicts(after: State, environment: str, edits: Iterable[LeafEdit]) -> None:
    """Raise `LayerConflict` if an item that was put makes a scalar and a subtree at one path in a line."""
    for edit in edits:
        if edit.operation == "put":
            resolution.check_conflicts(after, environment, edit.layer, edit.path)


def change_of(request: Request, edits: Sequence[LeafEdit]) -> bytes:
    """The canonical bytes of the change; raises `ValueRefused` beyond 16 MiB."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Change(
        environment=request.environment,
        author=request.author,
        reason=request.reason,
        time=now.replace("+00:00", "Z"),
        kind=request.kind,
        urgent=request.urgent,
        force=request.force,
        edits=tuple(edits),
        structure=request.structure,
        epoch=request.epoch,
    ).encode()


def checksum_delta(sides: Sides) -> int:
    """By how much the checksum of a line grows."""
    return int.from_bytes(sides.after.checksum, "big") - int.from_bytes(sides.before.checksum, "big")
