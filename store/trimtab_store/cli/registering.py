"""`trimtab registry`: which documents there are, what is known about them, and what depends on what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from trimtab.model.canonical import Json
from trimtab.model.errors import UsageError
from trimtab_store.cli import connecting, options, rows
from trimtab_store.cli.arguments import moment
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines, shown
from trimtab_store.registry import Entry, Node
from trimtab_store.registry_reading import Asked, Shown

registry = typer.Typer(help="Documents: find them, their metadata, dependencies and orphans.", no_args_is_help=True)

Path = Annotated[str, typer.Argument(metavar="PATH", help="A document, or anything in one.")]


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What documents are asked for."""

    kind: Annotated[
        str | None, typer.Option("--type", help="Of this type: risk_limits, strategy, a schema's name.", metavar="TYPE")
    ] = None
    status: Annotated[
        str | None, typer.Option("--status", help="draft, active, deprecated or retired.", metavar="STATUS")
    ] = None
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="With this tag; several times for several.", metavar="TAG")
    ] = None
    owner: Annotated[str | None, typer.Option("--owner", help="Of this owner.", metavar="NAME")] = None
    said: Annotated[
        list[str] | None,
        typer.Option("--where", help="Any field of the metadata; several times for several.", metavar="FIELD=TEXT"),
    ] = None
    since: Annotated[
        str | None, typer.Option("--changed-since", help="Changed then or later, parents included.", metavar="TIME")
    ] = None
    invalid: Annotated[bool, typer.Option("--invalid", help="With which something is wrong now.")] = False

    def asked(self) -> Asked:
        """The same for the store; raises `UsageError`."""
        fields = {"kind": self.kind, "status": self.status, "tags": self.tag or (), "owner": self.owner}
        said = [_condition(one) for one in self.said or ()]
        return Asked(fields={**fields, "where": said}, changed_since=_time(self.since), invalid=self.invalid)


@command(registry, "find")
def find(given: options.Place, asking: Asking) -> None:
    """The documents of an environment, by any of their metadata, when they changed, and whether they are valid.

    Example: trimtab registry find -e production --type strategy --status active
    Example: trimtab registry find -e production --where dependencies=risk.global --changed-since 2026-03-01T00:00Z
    """
    asked = asking.asked()
    with connecting.store(given.directory) as store:
        found = store.find(given.where, asked)
    if given.as_json:
        print_json([one.to_dict() for one in found])
    else:
        rows.print_rows(["document", "type", "status", "owner", "tags", "version"], map(_row, found))


@command(registry, "show")
def show(path: Path, given: options.Place) -> None:
    """Everything about one document: metadata, schema, version, times, and what is wrong with it now.

    Example: trimtab registry show risk.global -e production
    """
    with connecting.store(given.directory) as store:
        found = store.registered(given.where, path)
    if given.as_json:
        print_json(found.to_dict())
    else:
        print_lines(_lines(found))


@command(registry, "tree")
def tree(
    path: Path,
    given: options.Place,
    *,
    dependents: Annotated[bool, typer.Option("--dependents", help="What depends on it instead.")] = False,
) -> None:
    """What a document depends on, all the way; or what depends on it.

    Example: trimtab registry tree exchange.hyperliquid -e production --dependents
    """
    with connecting.store(given.directory) as store:
        found = store.registry(given.where).tree(path, dependents=dependents)
    if given.as_json:
        print_json([one.to_dict() for one in found])
    else:
        print_lines(map(_line, found))


@command(registry, "orphans")
def orphans(given: options.Place) -> None:
    """Metadata without a document, dependencies on nothing, and documents that nobody described or depends on.

    Example: trimtab registry orphans -e production
    """
    with connecting.store(given.directory) as store:
        found = store.registry(given.where).orphans()
    listed: list[rows.Row] = [{"document": one.path, "why": one.why} for one in found]
    if given.as_json:
        print_json(listed)
    else:
        rows.print_rows(["document", "why"], listed)


def _condition(text: str) -> tuple[str, str]:
    name, equals, wanted = text.partition("=")
    if not equals or not wanted:
        raise UsageError(f"{text[:80]!r} is no condition", "", "Write FIELD=TEXT, such as dependencies=risk.global")
    return name, wanted


def _time(text: str | None) -> datetime | None:
    found = moment(text)
    if isinstance(found, int):
        raise UsageError(f"{text} is no time", "", "Write 2026-03-01T14:03:07Z")
    return found


def _row(one: Entry) -> rows.Row:
    version: Json = f"{one.version} of {one.current}" if one.version != one.current else one.version
    return {
        "document": one.path if one.exists else f"{one.path} (missing)",
        "type": one.type or "-",
        "status": one.status or "-",
        "owner": one.owner or "-",
        "tags": ", ".join(one.tags),
        "version": version,
    }


def _lines(found: Shown) -> list[str]:
    fields = found.to_dict()
    for name in ("metadata", "validation_errors", "tags", "dependencies", "dependents", "exists"):
        fields.pop(name)
    told = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    listed = {"tags": found.entry.tags, "dependencies": found.entry.dependencies, "dependents": found.dependents}
    told += [f"{name}: {', '.join(some)}" for name, some in listed.items() if some]
    others = {k: v for k, v in found.entry.metadata.items() if k not in fields and k not in listed}
    told += [f"{name}: {shown(value)}" for name, value in others.items()]
    if not found.entry.exists:
        told.append("It has metadata, but there is no document.")
    problems = [f"  {one}" for one in found.problems]
    return [*told, f"validation errors: {len(problems) or 'none'}", *problems]


def _line(one: Node) -> str:
    notes = ("" if one.exists else " (missing)") + (" (see above)" if one.repeats else "")
    return f"{'  ' * one.depth}{one.path}{notes}"
