"""Step 2 of a commit: everything that needs no lock (DESIGN §4).

A `Plan` is what one request means against the store as it was read: the leaf edits, the bytes of the change, the lines
that it extends and by how much their checksums move. It names what it read, so that the locked part can tell whether a
moved head matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from trimtab.model import labels, layers, paths, resolution
from trimtab.model.changes import Change
from trimtab.model.items import Item, LeafEdit
from trimtab.model.states import State
from trimtab.model.structure import Forest, Lineage
from trimtab_store import expectations, guards, reading
from trimtab_store.database import Connection
from trimtab_store.drafts import Draft
from trimtab_store.editing import Request, outermost
from trimtab_store.evolution import stamping
from trimtab_store.operations import EVERYTHING
from trimtab_store.reading import Head, LineHead, Near
from trimtab_store.sizes import Growth, Sizes
from trimtab_store.surroundings import Structure, Surroundings
from trimtab_store.validation import spelling
from trimtab_store.validation.inspection import Inspection, Inspector
from trimtab_store.validation.sides import Sides
from trimtab_store.validation.targets import LABELS_SCOPE


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


_READERS: Final = frozenset({EVERYTHING, *paths.parents(LABELS_SCOPE), LABELS_SCOPE})
"""What has to be read to know who reads."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read for a request, and what the request makes of it."""

    scopes: tuple[str, ...]
    near: Near
    known: Structure
    draft: Draft
    edits: tuple[LeafEdit, ...]
    sides: Mapping[str, Sides]
    inspection: Inspection | None


@dataclass(slots=True)
class Planner:
    """Makes plans, over whichever connection it is given."""

    inspector: Inspector = field(default_factory=Inspector)
    surroundings: Surroundings = field(default_factory=Surroundings)
    sizes: Sizes = field(default_factory=Sizes)

    def plan(self, connection: Connection, request: Request) -> Plan:
        """Read what the request touches and work out what it means; raises every refusal of DESIGN §4.2."""
        spelled = request
        if self.inspector.rules is not None:
            operations = spelling.respelled(request.operations)
            spelled = request if operations is request.operations else replace(request, operations=operations)
        read = self._read(connection, spelled)
        before = read.draft.before
        if request.expect is not None:
            documents = self.inspector.known(request.environment)
            expectations.check(connection, spelled, before, request.expect, documents.scope)
        warnings = read.inspection.warnings(request.author, urgent=request.urgent) if read.inspection else ()
        depends = self._guard(connection, request, read)
        change = change_of(request, read.edits)
        growth = Growth.of(request.environment, before, read.edits, change)
        near, known = read.near, read.known
        whole = self.sizes.check(connection, near.head, known.forest, tuple(read.sides), growth)
        return Plan(
            request=request,
            head=near.head,
            forest=known.forest,
            read=known.near(request.environment),
            scopes=(EVERYTHING,) if whole or depends else read.scopes,
            edits=read.edits,
            change=change,
            deltas={name: checksum_delta(reached) for name, reached in read.sides.items()},
            heads=near.heads,
            read_at=near.read_at,
            warnings=warnings,
        )

    def _read(self, connection: Connection, request: Request) -> _Read:
        """Read until everything is there that somebody looks at: once, unless something new is asked for."""
        scopes = self._scopes(request)
        while True:
            reports = self.inspector.looks and any(scope in _READERS for scope in scopes)
            near, known = self.surroundings.around(connection, request.environment, scopes, reports=reports)
            draft = _draft(request, reading.part_of(known.lineage(request.environment), near.items))
            if self.inspector.rules is not None and request.kind != "rollback":
                lines = (
                    reading.part_of(known.lineage(name), near.items) for name in known.reached(request.environment)
                )
                if unread := stamping.mark(draft, scopes, lines, raises=request.kind == "edit"):
                    scopes = outermost([*scopes, *unread])
                    continue
            edits = draft.edits()
            _check_places(draft.before.lineage, edits)
            sides = _sides(known, near.items, draft, edits)
            inspection = None
            if edits and self.inspector.looks:
                settled = request.kind == "rollback"
                inspection = self.inspector.inspect(request.environment, sides, edits, near.reported, settled=settled)
                if missing := inspection.missing(scopes):
                    scopes = outermost([*scopes, *missing])
                    continue
            return _Read(scopes, near, known, draft, edits, sides, inspection)

    def _guard(self, connection: Connection, request: Request, read: _Read) -> bool:
        """Raise what needs force; whether the plan depends on how many items there are."""
        if self.inspector.rules is None or request.force is not None:
            return False
        return guards.check(connection, request.environment, read.sides, read.edits)

    def _scopes(self, request: Request) -> tuple[str, ...]:
        """What to read: the touched paths; whole documents, and what belongs to them, where somebody looks at them."""
        scopes = request.scopes
        if not scopes:
            return scopes
        if self.inspector.looks:
            return outermost([*self.inspector.scopes(request.environment, scopes), guards.CONFIG])
        if request.expect is not None:
            known = self.inspector.known(request.environment)
            return outermost(known.scope(scope) if scope else scope for scope in scopes)
        return scopes


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
            before = reading.part_of(known.lineage(name), items)
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
