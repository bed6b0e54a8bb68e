"""Rows: what the store gives back, as programs read it and as cells of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.items import Item, leaves
from trimtab.model.overriding import because
from trimtab.model.reports import Report
from trimtab.model.resolution import Candidate
from trimtab.model.trees import HIDDEN
from trimtab_store.cli.output import print_table, shown
from trimtab_store.history import Entry, PathEntry, value_of
from trimtab_store.writer import Difference

Row = dict[str, Json]
_VALUES: Final = frozenset({"value", "old", "new", "then", "now"})
# No leaf is an object with something in it, so these are never taken for a value.
_ABSENT: Final[Row] = {"absent": True}
_HIDDEN: Final[Row] = {"hidden": True}


def content(stored: bytes | None) -> Json:
    """A stored content for programs: its value, or an object that says that it hides or is absent."""
    if stored is None:
        return dict(_ABSENT)
    return dict(_HIDDEN) if stored == HIDDEN else value_of(stored)


def resolved(value: Json, prefix: str) -> list[Row]:
    """One row for each leaf of a resolved document."""
    if prefix or not isinstance(value, dict):
        found = leaves(prefix, value) if value != {} else []
    else:
        found = [leaf for segment, below in value.items() for leaf in leaves(paths.write(segment), below)]
    return [{"path": path, "value": value_of(text)} for path, text in found]


def stored(items: Iterable[Item]) -> list[Row]:
    """One row for each stored item."""
    return [
        {
            "environment": one.environment,
            "layer": one.layer or "common",
            "path": one.path,
            "value": content(one.content),
        }
        for one in items
    ]


def candidate(one: Candidate) -> Row:
    """One layer that has a say."""
    return {
        "wins": one.wins,
        "seen": one.matches,
        "environment": one.environment,
        "layer": one.selector.text or "common",
        "path": one.path,
        "value": content(one.content),
    }


def difference(one: Difference) -> Row:
    """One item that differs."""
    return {
        "environment": one.environment,
        "layer": one.layer or "common",
        "path": one.path,
        "old": content(one.old),
        "new": content(one.new),
    }


def then_and_now(one: Difference) -> Row:
    """What is different now from what a rollback went back to."""
    found = difference(one)
    found["then"], found["now"] = found.pop("old"), found.pop("new")
    return found


def entry(one: Entry | PathEntry) -> Row:
    """One line of history."""
    row: Row = {
        "revision": one.position.revision,
        "epoch": one.position.epoch,
        "committed_at": one.committed_at.isoformat(timespec="milliseconds"),
        "author": one.author,
        "environment": one.environment,
        "kind": one.kind,
        "reason": one.reason,
        "urgent": one.urgent,
        "force": one.force,
    }
    if isinstance(one, Entry):
        return {**row, "items": one.items, "hash": one.hash.hex()}
    return {
        **row,
        "layer": one.layer or "common",
        "path": one.path,
        "old": content(one.old),
        "new": content(one.new),
    }


def cell(row: Mapping[str, Json], column: str) -> str:
    """One field of a row, for a person."""
    value = row[column]
    if value == _ABSENT:
        return "-"
    if value == _HIDDEN:
        return "(hidden)"
    return shown(value) if column in _VALUES else str(value)


def print_rows(columns: list[str], rows: Iterable[Mapping[str, Json]]) -> None:
    """A table of some fields of rows."""
    print_table(columns, ([cell(row, column) for column in columns] for row in rows))


def overrides(report: Report) -> list[Json]:
    """What a node sets for itself, as rows."""
    return [{"path": one.path, "value": one.value, "why": one.why} for one in report.overrides]


def override(one: Mapping[str, Json]) -> str:
    """One of these in words."""
    return f"{one['path']} = {one['value']}" + (f" does not hold{because(str(one['why']))}" if one["why"] else "")
