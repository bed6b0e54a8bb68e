"""`trimtab status`: the store, and every agent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import typer

from trimtab.model.canonical import Json
from trimtab.model.errors import UnavailableError
from trimtab.model.reports import AttachedBots
from trimtab_store.cli import connecting, options, rows
from trimtab_store.cli.command import command
from trimtab_store.cli.connecting import Addresses
from trimtab_store.cli.output import print_json, print_lines, print_table
from trimtab_store.fleet import Member
from trimtab_store.history import Entry
from trimtab_store.receipts import FleetReceipts

app = typer.Typer()
_COLUMNS: Final = {
    "agent": "agent",
    "environment": "environment",
    "labels": "labels",
    "status": "status",
    "revision": "revision",
    "staleness": "staleness",
    "too_stale": "too stale",
    "attached": "attached",
    "reported": "reported",
    "refused": "refused",
    "overrides": "local overrides",
    "alarms": "alarms",
}
"""What a row says of an agent, and how that is headed."""
_CELL_CHARACTERS: Final = 300
"""Agents write these: none of them takes a screen for itself. `--json` tells all."""


@command(app, "status")
def status(given: options.Place) -> None:
    """The store, and every agent: which revision it serves, how fresh, what it refused.

    Too stale are the categories whose readers should care: risk after 300 s, token after 3600 s, any other after 60 s.

    Example: trimtab status -e production
    """
    found = connecting.find(given.directory)
    with connecting.store(given.directory) as store:
        forest = store.forest()
        names = [given.environment] if given.environment else sorted(forest.parents)
        for name in names:
            forest.lineage(name)
        heads = {name: entries[0] for name in names if (entries := store.history.environment(name, limit=1))}
    members, trouble = ask(found, names)
    agents = [_member(member) for member in members]
    if given.as_json:
        environments: dict[str, Json] = {
            name: {"epoch": head.position.epoch, "revision": head.position.revision} for name, head in heads.items()
        }
        print_json({"environments": environments, "agents": agents, "trouble": trouble})
        return
    _print_heads(heads)
    print_lines([""])
    print_table(list(_COLUMNS.values()), ([_cell(row, column) for column in _COLUMNS] for row in agents))
    if not agents:
        print_lines([f"The fleet cannot be asked: {trouble}" if trouble else "No agent has reported."])


def ask(found: Addresses, names: list[str]) -> tuple[list[Member], str]:
    """The fleet, or why it cannot be asked: the store's heads are worth showing all the same."""
    try:
        return FleetReceipts(found.database_url, found.redis_url).members(names), ""
    except UnavailableError as error:
        return [], str(error)


def _print_heads(heads: Mapping[str, Entry]) -> None:
    lines = (
        [name, head.position.revision, head.committed_at.isoformat(timespec="seconds"), head.author, head.reason]
        for name, head in heads.items()
    )
    print_table(["environment", "head", "committed", "by", "reason"], lines)


def _member(member: Member) -> dict[str, Json]:
    report = member.report
    refused: list[Json] = [{"path": one.path, "revision": one.revision, "reason": one.reason} for one in report.refused]
    labels: dict[str, Json] = dict(report.labels)
    return {
        "agent": report.agent,
        "environment": report.environment,
        "labels": labels,
        "status": report.status.value,
        "epoch": report.epoch,
        "revision": report.revision,
        "staleness": _finite(report.staleness_seconds),
        "too_stale": list(report.too_stale),
        "attached": _attached(report.attached),
        "reported": round(member.age, 1),
        "state": "closed" if report.closed else "live" if member.live else "silent",
        "refused": refused,
        "overrides": rows.overrides(report),
        "alarms": list(report.alarms),
    }


def _attached(bots: AttachedBots | None) -> Json:
    """The bots behind a sidecar; None for an agent of one bot."""
    if bots is None:
        return None
    return {"count": bots.count, "epoch": bots.slowest.epoch, "revision": bots.slowest.revision}


def _finite(seconds: float | None) -> float | None:
    """Seconds, None for never."""
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _cell(row: Mapping[str, Json], column: str) -> str:
    text = _said(row, column)
    return text if len(text) <= _CELL_CHARACTERS else f"{text[:_CELL_CHARACTERS]}…"


def _said(row: Mapping[str, Json], column: str) -> str:
    value = row[column]
    if column in {"reported", "staleness"}:
        return _when(row, column)
    if column == "attached":
        return "" if not isinstance(value, dict) else _bots(value)
    if isinstance(value, dict):
        return " ".join(f"{name}={label}" for name, label in value.items())
    if isinstance(value, list):
        say = rows.override if column == "overrides" else _refusal
        return "; ".join(say(one) if isinstance(one, dict) else str(one) for one in value)
    return str(value)


def _when(row: Mapping[str, Json], column: str) -> str:
    value = row[column]
    if column == "reported":
        return f"{value} s ago" if row["state"] == "live" else f"{row['state']}, {value} s ago"
    return "never certified" if not isinstance(value, int | float) else f"{value:.1f} s"


def _bots(one: Mapping[str, Json]) -> str:
    return f"{one['count']}, slowest at {one['revision']}" if one["count"] else "0"


def _refusal(one: Mapping[str, Json]) -> str:
    return f"{one['path']} at {one['revision']}: {one['reason']}"
