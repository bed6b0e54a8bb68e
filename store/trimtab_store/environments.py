"""Environments and dimensions: changes of structure, committed on the chain like any other change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from trimtab.model import layers, structure
from trimtab.model.changes import StructureEdit
from trimtab.model.errors import StructureRefused, UsageError
from trimtab.model.resolution import check_conflicts
from trimtab.model.states import State
from trimtab.model.structure import Forest
from trimtab_store import guards, reading, sizes
from trimtab_store.database import Connection
from trimtab_store.editing import Request
from trimtab_store.operations import EVERYTHING
from trimtab_store.planning import Plan, change_of, checksum_delta
from trimtab_store.validation.inspection import Inspector, Subject
from trimtab_store.validation.sides import Sides

_KIND: Final = "structure"


def create(name: str, parent: str | None, dimensions: Sequence[str] | None, *, author: str, reason: str) -> Request:
    """The request that creates an environment: a root that declares dimensions, or one that inherits."""
    structure.check_name(name)
    if parent is not None and dimensions is not None:
        raise StructureRefused(f"{name!r} cannot declare dimensions", "only a root does", "Declare them at the root")
    declared = () if parent else structure.check_dimensions(tuple(dimensions or structure.DEFAULT_DIMENSIONS))
    return _request(StructureEdit(name, parent, declared), author, reason)


def reparent(name: str, parent: str | None, *, author: str, reason: str, force: str | None = None) -> Request:
    """The request that makes an environment inherit from another, or from none."""
    return replace(_request(StructureEdit(name, parent), author, reason), force=force).check()


def declare(name: str, dimensions: Sequence[str], *, author: str, reason: str) -> Request:
    """The request that declares the dimensions of a root, least specific first."""
    return _request(StructureEdit(name, None, structure.check_dimensions(tuple(dimensions))), author, reason)


def plan(connection: Connection, request: Request, inspector: Inspector | None = None, *, creates: bool) -> Plan:
    """What a change of structure means against the store as it is; raises `StructureRefused` or `LayerConflict`.

    Whatever an environment would see anew is checked against what it has, so the cost grows with the items of the line.
    """
    head = reading.head(connection)
    before = reading.forest(connection)
    wanted = request.structure
    assert wanted is not None, "a request of structure"
    request, after = _apply(before, request, wanted, creates=creates)
    reached = after.reached(wanted.environment)
    forests = (after,) if creates else (before, after)
    read = sorted({name for forest in forests for one in reached for name in forest.lineage(one).environments})
    deltas: dict[str, int] = {}
    warnings: tuple[str, ...] = ()
    if creates:
        sizes.check_child(connection, head, before, wanted.parent)
        deltas[wanted.environment] = _checksum(connection, wanted.parent)
    else:
        items = reading.items(connection, read, (EVERYTHING,))
        lines = {
            name: Sides(*(reading.state_of(forest.lineage(name), items) for forest in forests)) for name in reached
        }
        deltas = {name: checksum_delta(sides) for name, sides in lines.items()}
        warnings = _check(wanted.environment, lines, inspector or Inspector(), request)
    return Plan(
        request=request,
        head=head,
        forest=after,
        read=tuple(read),
        scopes=(EVERYTHING,),
        edits=(),
        change=change_of(request, ()),
        deltas=deltas,
        warnings=warnings,
    )


def check_line(state: State) -> None:
    """Raise unless every layer of a line is declared and no two items conflict."""
    lineage = state.lineage
    for environment, layer in state.trees:
        try:
            lineage.check_selector(layers.parse(layer))
        except UsageError as error:
            raise StructureRefused(
                f"{lineage.environment} cannot have these dimensions",
                f"{environment} holds items in the layer {layer}: {error.what}",
                "Declare the dimension, or remove the layer first",
            ) from error
    for item in state.items():
        check_conflicts(state, item.environment, item.layer, item.path)


def _check(environment: str, lines: Mapping[str, Sides], inspector: Inspector, request: Request) -> tuple[str, ...]:
    """Check lines whose readers see something else as a whole; what there is to warn of."""
    for sides in lines.values():
        check_line(sides.after)
        sizes.check_state(sides.before, sides.after)
    if not inspector.looks:
        return ()
    held = {item.path for sides in lines.values() for side in (sides.before, sides.after) for item in side.items()}
    warnings = inspector.inspect_lines(Subject(environment, lines, (), sorted(held))).warnings(request.author)
    if inspector.rules is not None and request.force is None:
        guards.check_structure(environment, lines)
    return warnings


def _apply(forest: Forest, request: Request, wanted: StructureEdit, *, creates: bool) -> tuple[Request, Forest]:
    name = wanted.environment
    if creates and name in forest.parents:
        raise StructureRefused(
            f"There is an environment {name!r} already", "", "Use another name, or re-parent this one"
        )
    if not creates:
        forest.lineage(name)
    dimensions: tuple[str, ...] | None = wanted.dimensions or None
    if wanted.parent is None and dimensions is None:
        dimensions = forest.lineage(name).dimensions  # a child that becomes a root keeps what it had
    if not creates and wanted.dimensions and forest.parents[name] is not None:
        raise StructureRefused(f"{name!r} cannot declare dimensions", "only a root does", "Declare them at the root")
    after = forest.with_environment(name, wanted.parent, dimensions)
    complete = StructureEdit(name, wanted.parent, dimensions or ())
    return replace(request, structure=complete), after


def _checksum(connection: Connection, parent: str | None) -> int:
    """What a new environment's line adds up to: what it inherits."""
    row = (
        connection.cursor(binary=True)
        .execute("SELECT checksum FROM trimtab.line_heads WHERE environment = %s", (parent,))
        .fetchone()
    )
    return int.from_bytes(bytes(row[0]), "big") if row else 0


def _request(edit: StructureEdit, author: str, reason: str) -> Request:
    return Request(environment=edit.environment, author=author, reason=reason, kind=_KIND, structure=edit).check()
