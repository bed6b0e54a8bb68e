"""Step 2 of a commit: everything that needs no lock (DESIGN §4).

A `Plan` is what one request means against the store as it was read: the leaf edits, the bytes of the change, the lines
that it extends and by how much their checksums move. It names what it read, so that the locked part can tell whether a
moved head matters.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, cast

from trimtab.model import documents, labels, layers, paths, resolution
from trimtab.model.changes import Change
from trimtab.model.errors import LayerError
from trimtab.model.items import Item, LeafEdit
from trimtab.model.states import State
from trimtab.model.structure import Forest
from trimtab_store import expectations, hooks, reading
from trimtab_store.database import Connection
from trimtab_store.drafts import Draft
from trimtab_store.editing import Request, outermost
from trimtab_store.hooks import Hook, Sides
from trimtab_store.operations import EVERYTHING
from trimtab_store.reading import Head, LineHead, Near
from trimtab_store.sizes import Growth, Sizes

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


@dataclass(frozen=True, slots=True)
class Structure:
    """The environments as they are since a revision of an epoch."""

    epoch: int
    revision: int
    forest: Forest
    _near: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], compare=False, repr=False)
    _reached: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], compare=False, repr=False)

    def near(self, environment: str) -> tuple[str, ...]:
        """The `neighbourhood` of an environment, worked out once."""
        found = self._near.get(environment)
        if found is None:
            found = self._near[environment] = neighbourhood(self.forest, environment)
        return found

    def reached(self, environment: str) -> tuple[str, ...]:
        """The environments whose lines a change of this one extends, worked out once."""
        found = self._reached.get(environment)
        if found is None:
            found = self._reached[environment] = tuple(self.forest.reached(environment))
        return found


@dataclass(slots=True)
class Planner:
    """Makes plans over one connection. `known` is kept between requests and read again when the structure moved."""

    hooks: Sequence[Hook] = ()
    known: Structure | None = None
    sizes: Sizes = field(default_factory=Sizes)

    def plan(self, connection: Connection, request: Request) -> Plan:
        """Read what the request touches and work out what it means; raises every refusal of DESIGN §4.2."""
        reader = _Reader(connection, self)
        scopes = self._scopes(request)
        near, known = reader.around(reader.structure(request.environment), request.environment, scopes)
        forest, items = known.forest, near.items
        lineage = forest.lineage(request.environment)
        edited = reading.state_of(lineage, items)
        draft = Draft(request.environment, edited, edited)
        for operation in request.operations:
            operation.apply(draft)
        edits = draft.edits()
        self._check_places(draft, edits)
        if request.expect is not None:
            expectations.check(connection, request, edited, request.expect)
        sides = {
            name: Sides(edited, draft.state)
            if name == request.environment
            else _sides(forest, name, items, request.environment, edits)
            for name in known.reached(request.environment)
        }
        for reached in sides.values():
            check_conflicts(reached.after, request.environment, edits)
        warnings = self._run_hooks(reader, request, sides, edits) if self.hooks and edits else ()
        change = change_of(request, edits)
        growth = Growth.of(request.environment, edited, edits, change)
        whole = self.sizes.check(connection, near.head, forest, tuple(sides), growth)
        whole = whole or bool(self.hooks and hooks.touches_labels(edit.path for edit in edits))
        return Plan(
            request=request,
            head=near.head,
            forest=forest,
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

    def _check_places(self, draft: Draft, edits: Iterable[LeafEdit]) -> None:
        for edit in edits:
            if edit.operation != "remove":
                draft.before.lineage.check_selector(layers.parse(edit.layer))
                labels.check_edit(edit.layer, edit.path, edit.outcome)

    def _run_hooks(
        self, reader: _Reader, request: Request, sides: Mapping[str, Sides], edits: Sequence[LeafEdit]
    ) -> tuple[str, ...]:
        found: list[str] = []
        touched = {edit.path for edit in edits}
        reported = reader.reported_labels(sides)
        for name, reached in sides.items():
            of = hooks.targets(reached, (edit.layer for edit in edits), reported.get(name, ()))
            seen, asked = reached, touched
            if hooks.touches_labels(touched) and (moved := hooks.differing_dimensions(reached, of)):
                seen = reader.whole(reached, request.environment, edits)
                asked = touched | set(hooks.overlays_on(seen.after, moved))
            found += hooks.run(self.hooks, seen, of, asked, (request.author, request.urgent))
        return tuple(found)


class _Reader:
    """The queries of one plan, in as few round trips as can be."""

    def __init__(self, connection: Connection, planner: Planner) -> None:
        self._connection, self._planner = connection, planner

    def structure(self, environment: str) -> Structure:
        """The structure as last seen; read now if there is none yet or it does not know the environment."""
        known = self._planner.known
        if known is None or environment not in known.forest.parents:
            known = self._learn(reading.head(self._connection))
        known.forest.lineage(environment)
        return known

    def around(self, known: Structure, environment: str, scopes: Sequence[str]) -> tuple[Near, Structure]:
        """The head and the items around the scopes, in one round trip; again if the structure is not the known one."""
        while True:
            near = reading.near(self._connection, known.near(environment), scopes, known.reached(environment))
            if (near.head.epoch, near.head.structure_revision) == (known.epoch, known.revision):
                return near, known
            known = self._learn(near.head)
            known.forest.lineage(environment)

    def _learn(self, head: Head) -> Structure:
        """Read the forest after a head: it may be newer than the head says, which the locked part notices."""
        forest = reading.forest(self._connection)
        self._planner.known = Structure(head.epoch, head.structure_revision, forest)
        return self._planner.known

    def reported_labels(self, environments: Iterable[str]) -> dict[str, list[dict[str, str]]]:
        """The label sets that agents of these environments reported to Postgres."""
        rows = self._connection.execute(
            "SELECT DISTINCT environment, report -> 'labels' FROM trimtab.agent_reports WHERE environment = ANY(%s)",
            (list(environments),),
        ).fetchall()
        found: dict[str, list[dict[str, str]]] = {}
        for environment, claimed in rows:
            if isinstance(claimed, dict):
                found.setdefault(environment, []).append(_identity(cast("dict[str, object]", claimed)))
        return found

    def whole(self, sides: Sides, environment: str, edits: Sequence[LeafEdit]) -> Sides:
        """A line with every item, before and after: a change of labels may show any of them."""
        lineage = sides.before.lineage
        before = reading.state_of(lineage, reading.items(self._connection, lineage.environments, (EVERYTHING,)))
        return Sides(before, before.apply(environment, edits))


def _identity(claimed: Mapping[str, object]) -> dict[str, str]:
    """The identity labels in a report, less what is none: agents write these, and no report may stop a commit."""
    found: dict[str, str] = {}
    for dimension, label in claimed.items():
        if isinstance(label, str):
            with contextlib.suppress(LayerError):
                found.update(layers.check_identity({dimension: label}))
    return found


def neighbourhood(forest: Forest, environment: str) -> tuple[str, ...]:
    """The environments whose items matter to a change: what it inherits from, and what inherits from it."""
    return tuple(sorted({*forest.lineage(environment).environments, *forest.reached(environment)}))


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
        edits=tuple(edits),
        structure=request.structure,
        epoch=request.epoch,
    ).encode()


def checksum_delta(sides: Sides) -> int:
    """By how much the checksum of a line grows."""
    return int.from_bytes(sides.after.checksum, "big") - int.from_bytes(sides.before.checksum, "big")


def _sides(forest: Forest, name: str, items: Iterable[Item], environment: str, edits: Sequence[LeafEdit]) -> Sides:
    before = reading.state_of(forest.lineage(name), items)
    return Sides(before, before.apply(environment, edits))
