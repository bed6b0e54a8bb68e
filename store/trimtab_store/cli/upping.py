"""`trimtab up`: everything on one machine."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab.model.errors import UsageError
from trimtab_store.cli import options
from trimtab_store.cli.command import command
from trimtab_store.cli.output import console, print_json, say
from trimtab_store.embedded import directory as data_directory

app = typer.Typer()


@command(app, "up")
def up(
    given: options.Common,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Stop by itself after so long.", metavar="N", min=1, max=86_400)
    ] = None,
    *,
    demo: Annotated[
        bool, typer.Option("--demo", help="Unattended: commit 10 changes a second, kill Redis once, account for all.")
    ] = False,
    drop: Annotated[int | None, typer.Option("--drop", hidden=True, min=0)] = None,
) -> int:
    """Start real servers, a relay, a sidecar and three bots; show live what every bot reads and how soon.

    The bots attach to the sidecar, each with a label of its own, and read different values at one revision. Ctrl-C
    stops everything; the data stay for the next start. With --demo, the exit code is 1 if anything was lost.

    Example: trimtab up --directory .trimtab
    Example: trimtab up --demo --seconds 20 --json
    """
    from trimtab_store.up import running  # noqa: PLC0415 - servers are an extra of the distribution
    from trimtab_store.up.summary import print_result  # noqa: PLC0415 - the same

    if given.as_json and not demo:
        raise UsageError("--json goes with --demo", "the live screen is for people", "Add --demo, or leave --json out")
    where = data_directory.chosen(given.directory)
    if not demo:
        running.run_live(where, seconds, say, console())
        return 0
    result = running.run_demo(where, seconds or running.DEMO_SECONDS, say, drop)
    if given.as_json:
        print_json(result)
    else:
        print_result(result, console())
    return 0 if result["lost"] == 0 else 1
