"""`trimtab watch`: changes as they are committed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from trimtab.model import patterns
from trimtab_store.cli import connecting, options, rows
from trimtab_store.cli.command import command
from trimtab_store.cli.output import harmless, print_lines
from trimtab_store.history import Entry, PathEntry
from trimtab_store.store import Store

app = typer.Typer()
POLL_SECONDS: Final = 0.25


@command(app, "watch")
def watch(
    given: options.Place,
    pattern: Annotated[str, typer.Argument(metavar="[PATTERN]", help="Such as risk.** or token.*.symbol.")] = "**",
    seconds: options.Seconds = None,
) -> None:
    """Show changes as they are committed, item by item, until Ctrl-C. With --json, one object a line.

    Example: trimtab watch 'risk.**' -e production
    """
    where, wanted = given.where, patterns.parse(pattern)
    with connecting.store(given.directory) as store:
        entries = store.history.environment(where, limit=1)
        last = entries[0].position.revision if entries else 0
        if not given.as_json:
            print_lines([f"Watching {pattern} in {where} from revision {last}; Ctrl-C ends."])
        for one in follow(store, where, last, seconds):
            if isinstance(one, Entry) or wanted.matches(one.path):
                _tell(one, as_json=given.as_json)


def follow(store: Store, where: str, last: int, seconds: float | None) -> Iterator[Entry | PathEntry]:
    """What is committed after a revision, as it comes: items, and whole entries for revisions without any."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        over = deadline is not None and time.monotonic() >= deadline
        found = store.history.after(where, last)
        yield from found
        if found:
            last = found[-1].position.revision
        elif over:
            return
        else:
            time.sleep(POLL_SECONDS)


def _tell(one: Entry | PathEntry, *, as_json: bool) -> None:
    row = rows.entry(one)
    if as_json:
        sys.stdout.write(json.dumps(row) + "\n")
    else:
        sys.stdout.write(harmless(_sentence(one, row)) + "\n")
    sys.stdout.flush()


def _sentence(one: Entry | PathEntry, row: rows.Row) -> str:
    head, tail = f"{row['revision']}  ", f"  {row['author']}: {row['reason']}"
    if isinstance(one, Entry):
        return f"{head}{row['kind']} of {row['environment'] or 'every environment'}{tail}"
    place = f"{row['path']} ({row['environment']}, {row['layer']})"
    return f"{head}{place}  {rows.cell(row, 'old')} -> {rows.cell(row, 'new')}{tail}"
