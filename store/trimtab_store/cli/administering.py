"""Commands for the servers: migrate, backup, restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab_store import migrate as migrating
from trimtab_store.cli import connecting, options
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines
from trimtab_store.cli.telling import tell

app = typer.Typer()


@command(app, "migrate")
def migrate(
    given: options.Common,
    revision: Annotated[str, typer.Argument(metavar="[REVISION]", help="The schema to reach.")] = "head",
    *,
    check: Annotated[bool, typer.Option("--check", help="Only say whether the schema fits this program.")] = False,
) -> None:
    """Bring the schema of the database up to this program. Needs the owner's address (TRIMTAB_OWNER_URL).

    Example: trimtab migrate --check
    """
    found = connecting.find(given.directory)
    with connecting.refusing():
        if check:
            migrating.check(found.owner_url)
        else:
            migrating.upgrade(found.owner_url, revision)
        current = migrating.current(found.owner_url)
    if given.as_json:
        print_json({"schema": current})
    else:
        print_lines([f"The schema is at {current}."])


@command(app, "backup")
def backup(
    given: options.Common,
    target: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="Where to write it; must not exist.")],
) -> None:
    """Write the whole store, history and audit included, to a new directory. Needs the owner's address.

    Example: trimtab backup trimtab-2026-01-05.backup
    """
    with connecting.store(given.directory, as_owner=True) as store:
        done = store.backup(target)
    if given.as_json:
        print_json(done.to_dict())
    else:
        head = f"revision {done.position.revision} of epoch {done.position.epoch}"
        print_lines([f"Wrote {target}: everything up to {head}, {done.rows} rows."])


@command(app, "restore")
def restore(
    given: options.Committing,
    source: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="What `trimtab backup` wrote.")],
    lost: options.Lost = "",
    above: options.Above = None,
    *,
    replace: Annotated[bool, typer.Option("--replace", help="What the store holds now may go.")] = False,
) -> None:
    """Fill an empty, migrated database from a backup, and declare a new epoch that every agent follows.

    Needs the owner's address and the signing key.

    Example: trimtab restore trimtab-2026-01-05.backup --reason "the disk of db-1 died"
    """
    with connecting.store(given.directory, as_owner=True) as store:
        done = store.restore(source, reason=given.reason, author=given.who, lost=lost, above=above, replace=replace)
        if not given.as_json:
            print_lines([f"Restored {source}; epoch {done.epoch} goes on at revision {done.revision}."])
        tell(done, given)
