"""Commands that change items: set, merge, unset, hide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from trimtab_store.cli import connecting, editing, options
from trimtab_store.cli.command import ValueCommand, command
from trimtab_store.cli.output import print_json, print_lines
from trimtab_store.cli.telling import some, tell
from trimtab_store.cli.values import parse_value
from trimtab_store.ports import Edits, Writer

app = typer.Typer()
PathArgument = Annotated[str, typer.Argument(metavar="PATH", help="Such as risk.global.max_leverage.")]


@command(app, "set", cls=ValueCommand)
def set_value(
    path: PathArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="JSON; a bare word is a string.")],
    given: options.Changing,
    *,
    string: Annotated[bool, typer.Option("--string", help="The value is text, whatever it looks like.")] = False,
) -> None:
    """Set a value. An object replaces what the layer holds below the path.

    Example: trimtab set risk.global.max_leverage 1.5 -e production --layer mode=live --reason "volatile week" --wait 2s
    """
    wanted = parse_value(value, string=string)
    _make(given, lambda edit: edit.set(path, wanted, given.overlay))


@command(app, "merge")
def merge(
    path: PathArgument,
    value: Annotated[str, typer.Argument(metavar="OBJECT", help="A JSON object.")],
    given: options.Changing,
) -> None:
    """Set the fields of an object and leave the others below the path alone.

    Example: trimtab merge risk.global '{"max_leverage": 2, "max_daily_loss": 0.05}' -e staging
    """
    wanted = parse_value(value)
    _make(given, lambda edit: edit.merge(path, wanted, given.overlay))


@command(app, "unset")
def unset(path: PathArgument, given: options.Changing) -> None:
    """Remove what a layer itself holds at and below a path; what lies in lower ranks shows again.

    Example: trimtab unset risk.global.max_leverage -e production --layer mode=live --reason "back to the default"
    """
    _make(given, lambda edit: edit.unset(path, given.overlay))


@command(app, "hide")
def hide(path: PathArgument, given: options.Changing) -> None:
    """Mask a path and everything below it in lower ranks, also what is added there later.

    Example: trimtab hide strategy.correlation_arbitrage -e production --reason "not cleared yet"
    """
    _make(given, lambda edit: edit.hide(path, given.overlay))


def _make(given: options.Changing, apply: Callable[[Edits], None]) -> None:
    given.refuse_early(dry_run=given.dry_run)
    with connecting.writer(given.directory) as writer:
        if given.dry_run:
            _check(writer, given, apply)
            return
        with editing.edit(writer, given) as edit:
            apply(edit)
        tell(edit.committed, given)


def _check(writer: Writer, given: options.Changing, apply: Callable[[Edits], None]) -> None:
    with editing.dry_run(writer, given) as edit:
        apply(edit)
    found = edit.result
    if given.as_json:
        print_json(
            {"paths": list(found.paths), "environments": list(found.environments), "warnings": list(found.warnings)}
        )
    elif found.paths:
        print_lines([f"Would change {some(found.paths)}; reaches {', '.join(found.environments)}.", *found.warnings])
    else:
        print_lines(["Would change nothing."])
