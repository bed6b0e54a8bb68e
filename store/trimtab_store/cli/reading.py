"""Commands that read: get, list, history, diff, explain."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.values import thaw
from trimtab_store.cli import connecting, options, rows, status
from trimtab_store.cli.arguments import moment
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines, print_table, shown

app = typer.Typer()
PathArgument = Annotated[str, typer.Argument(metavar="PATH", help="Such as risk.global.max_leverage, or a subtree.")]


@command(app, "get")
def get(path: PathArgument, given: options.Reading) -> None:
    """Read a value or a subtree as a process with these labels would.

    Example: trimtab get risk.global -e production --label bot=mm-btc --as-of 2026-01-05T14:03:07Z
    """
    with connecting.store(given.directory) as store:
        found = store.get(path, given.where, given.labels, given.at)
    value = thaw(found.value)
    if not given.as_json:
        print_lines([shown(value)])
        return
    labels: dict[str, Json] = dict(found.labels)
    print_json(
        {
            "path": paths.canonical(path),
            "environment": given.where,
            "value": value,
            "labels": labels,
            "revision": found.moment.revision,
        }
    )


@command(app, "list")
def list_items(
    given: options.Reading,
    prefix: options.Prefix = "",
    limit: options.Limit = 1000,
    *,
    stored: Annotated[bool, typer.Option("--stored", help="Items as stored, layer by layer, not resolved.")] = False,
) -> None:
    """List what a process with these labels reads; with --stored, every layer's own items.

    Example: trimtab list -e production --prefix risk --label bot=mm-btc
    Example: trimtab list -e production --prefix risk.global.max_leverage --stored
    """
    where = given.where
    with connecting.store(given.directory) as store:
        if stored:
            found = rows.stored(store.queries.items(where, prefix, as_of=given.at))
        else:
            document = store.queries.document(where, prefix, given.labels, given.at)
            found = rows.resolved(thaw(document.value), paths.canonical(prefix) if prefix else "")
    cut = found[:limit]
    if given.as_json:
        print_json({"environment": where, "items": cut, "total": len(found)})
        return
    rows.print_rows(list(cut[0]) if cut else ["path", "value"], cut)
    if len(found) > len(cut):
        print_lines([f"{len(found) - len(cut)} more; raise --limit or narrow --prefix"])


@command(app, "history")
def history(
    given: options.Place,
    path: Annotated[
        str | None, typer.Argument(metavar="[PATH]", help="Only what happened at, above and below it.")
    ] = None,
    limit: options.Limit = 20,
) -> None:
    """Who changed what, when and why: of an environment, or of one path. The newest first.

    Example: trimtab history risk.global.max_leverage -e production
    """
    with connecting.store(given.directory) as store:
        if path is None:
            found = [rows.entry(one) for one in store.history.environment(given.where, limit=limit)]
        else:
            found = [rows.entry(one) for one in store.history.path(path, given.where, limit=limit)]
    if given.as_json:
        print_json(found)
        return
    which = ["items"] if path is None else ["layer", "path", "old", "new"]
    forced = ["force"] if any(one["force"] is not None for one in found) else []
    shown_rows = ({**one, "force": one["force"] or ""} for one in found)
    rows.print_rows(["revision", "committed_at", "author", "environment", *which, "reason", *forced], shown_rows)


@command(app, "diff")
def diff(
    given: options.Place,
    old: Annotated[str, typer.Argument(metavar="OLD", help="A revision or a time.")],
    new: Annotated[str | None, typer.Argument(metavar="[NEW]", help="A revision or a time [default: now].")] = None,
) -> None:
    """What differs between two revisions of an environment, inherited items included.

    Example: trimtab diff 9 10 -e production
    """
    with connecting.store(given.directory) as store:
        found = [rows.difference(one) for one in store.queries.diff(given.where, moment(old), moment(new))]
    if given.as_json:
        print_json(found)
    else:
        rows.print_rows(["environment", "layer", "path", "old", "new"], found)


@command(app, "explain")
def explain(path: PathArgument, given: options.Reading) -> None:
    """Every layer that has a say about a path, the winner first; and the nodes that override it for themselves.

    Example: trimtab explain risk.global.max_leverage -e production --label bot=mm-btc
    """
    with connecting.store(given.directory) as store:
        found = [rows.candidate(one) for one in store.explain(path, given.where, given.labels, given.at)]
    own = _local_overrides(given, paths.canonical(path)) if given.as_of is None else []
    if given.as_json:
        overrides: list[Json] = [*own]
        print_json(
            {"path": paths.canonical(path), "environment": given.where, "candidates": found, "overrides": overrides}
        )
        return
    columns = ["environment", "layer", "path", "value"]
    print_table(["", *columns], ([_mark(row), *(rows.cell(row, column) for column in columns)] for row in found))
    print_lines([f"{one['agent']} sets for itself: {rows.override(one)}" for one in own])


def _local_overrides(given: options.Reading, path: str) -> list[dict[str, Json]]:
    """What nodes of the environment set for themselves at or below a path, as far as the fleet can be asked."""
    members, _ = status.ask(connecting.find(given.directory), [given.where])
    return [
        {"agent": member.report.agent, **one}
        for member in members
        if not member.report.closed and member.live
        for one in rows.overrides(member.report)
        if isinstance(one, dict) and (one["path"] == path or paths.is_below(str(one["path"]), path))
    ]


def _mark(row: rows.Row) -> str:
    if row["wins"]:
        return "wins"
    return "" if row["seen"] else "not seen"
