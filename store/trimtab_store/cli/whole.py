"""Commands about all of an environment's own items: rollback, export, validate."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from trimtab.model.errors import UsageError
from trimtab_store.cli import connecting, options, rows
from trimtab_store.cli.arguments import format_of, moment, write_file
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_lines
from trimtab_store.cli.telling import tell

app = typer.Typer()


@command(app, "rollback")
def rollback(
    given: options.Replacing,
    revision: Annotated[int, typer.Argument(metavar="REVISION", help="Go back to what was then.", min=0)],
    *,
    pin: Annotated[bool, typer.Option("--pin", help="Write values that differ through a parent as overrides.")] = False,
) -> None:
    """Bring an environment's own items back to what they were, as a new revision.

    Example: trimtab rollback 10 -e production --reason "10 was the last good one"
    Example: trimtab rollback 10 -e production --reason "bots refuse 12" --urgent --idempotency-key incident-7
    """
    why = given.why(given.where)
    with connecting.writer(given.directory) as writer:
        done = writer.rollback(
            given.where,
            revision,
            author=given.who,
            reason=why,
            pin=pin,
            expect=given.expect,
            idempotency_key=given.key,
            urgent=given.urgent,
            force=given.force,
        )
        inherited = [rows.then_and_now(one) for one in done.inherited]
        if inherited and not given.as_json:
            print_lines(["These still differ because a parent changed (--pin writes them as overrides):"])
            rows.print_rows(["environment", "layer", "path", "then", "now"], inherited)
        tell(done.committed, given, {"inherited": [*inherited], "pinned": list(done.pinned)})


@command(app, "export")
def export(
    given: options.Place,
    form: options.FileFormat = "",
    output: options.Output = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="As it was at a revision or a time.", metavar="REVISION|TIME")
    ] = None,
) -> None:
    """Write an environment's own items as a file that `trimtab import` reads back exactly.

    Example: trimtab export -e production --output production.yaml
    """
    if given.as_json and form not in {"", "json"}:
        raise UsageError(f"--json and --format {form} exclude each other", "", "Leave one of them out")
    form = form or ("json" if given.as_json else "")
    with connecting.store(given.directory) as store:
        text = store.export_environment(given.where, format_of(form, output), moment(as_of))
    if output is None:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
    else:
        write_file(output, text)
