"""`trimtab impact` and `trimtab mode`: what a change would do to whom; and moving a bot between paper and live."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import typer

from trimtab.model.canonical import Json
from trimtab.model.errors import UsageError
from trimtab.model.problems import MASK, DocumentsRefused, Problem
from trimtab_store import modes
from trimtab_store.cli import connecting, options, rows
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines
from trimtab_store.cli.telling import tell
from trimtab_store.cli.values import parse_value
from trimtab_store.editing import EditBlock, Request
from trimtab_store.impact import Impact, Leaf, Reader
from trimtab_store.store import Store

app = typer.Typer()
_NAMED: Final = 4


@command(app, "impact")
def impact(
    given: options.Place,
    edit: Annotated[
        list[str] | None, typer.Argument(metavar="PATH=VALUE…", help="What would be set; as many as you like.")
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option("--unset", help="What would be unset; several times.", metavar="PATH")
    ] = None,
    hide: Annotated[
        list[str] | None, typer.Option("--hide", help="What would be hidden; several times.", metavar="PATH")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option("--layer", "-l", help="Overlay: DIMENSION=LABEL.", metavar="LABEL")
    ] = None,
) -> None:
    """Who would see what differently after a change: every environment, label set, bot and agent. Commits nothing.

    Example: trimtab impact risk.global.max_leverage=2 -e production --layer mode=live
    Example: trimtab impact fleet.bots.mr-eth.labels.mode=live -e production
    """
    edits = [assignment(one) for one in edit or []]
    if not edits and not unset and not hide:
        raise UsageError("No edit is named", "", "Write PATH=VALUE, --unset PATH or --hide PATH")
    overlay = ",".join(label for label in layer or [] if label != "common")
    with connecting.store(given.directory) as store:
        block = EditBlock(Request(environment=given.where, author="impact", reason=""), store.impact)
        with block as asked:
            for path, value in edits:
                asked.set(path, value, overlay)
            for path in unset or []:
                asked.unset(path, overlay)
            for path in hide or []:
                asked.hide(path, overlay)
    if given.as_json:
        print_json(to_dict(block.result))
    else:
        print_impact(block.result)


@command(app, "mode")
def mode(
    bot: Annotated[str, typer.Argument(metavar="BOT", help="A bot that fleet.bots declares.")],
    to: Annotated[str, typer.Argument(metavar="live|paper", help="What it is to be.")],
    given: options.Replacing,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, once the effect is shown.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the effect and what stands in the way.")] = False,
) -> None:
    """Move a bot between paper and live: shows every value that it would see differently, asks, and commits.

    Example: trimtab mode mr-eth live -e production --reason "cleared by risk" --yes
    """
    wanted, where = modes.mode_of(to), given.where
    why = given.reason if dry_run else given.why(where)
    with connecting.store(given.directory) as store:
        words = Request(
            environment=where,
            author=given.who,
            reason=why,
            expect=given.expect,
            idempotency_key=given.key,
            urgent=given.urgent,
            force=given.force,
        )
        state, _ = store.queries.state(where)
        switch = modes.switch(state, bot, wanted, words.check())
        found = store.impact(switch.request)
        problems = _problems(store, switch.request)
        if not (given.as_json and not dry_run):
            _show(switch, found, problems, as_json=given.as_json)
        if problems:
            raise DocumentsRefused(problems, f"{bot} cannot be {wanted} yet")
        if dry_run:
            return
        _confirm(switch, yes=yes, as_json=given.as_json)
        request = (
            switch.request if given.expect is not None else dataclasses.replace(switch.request, expect=found.revision)
        )
        tell(store.submit(request), given, {"impact": to_dict(found)})


def _problems(store: Store, request: Request) -> tuple[Problem, ...]:
    """What refuses the change: for a bot that is to be live, what it lacks."""
    try:
        store.check(request)
    except DocumentsRefused as error:
        return error.problems
    return ()


def _show(switch: modes.Switch, found: Impact, problems: Sequence[Problem], *, as_json: bool) -> None:
    if as_json:
        listed: list[Json] = [one.to_dict() for one in problems]
        said: dict[str, Json] = {"bot": switch.bot, "from": switch.old, "to": switch.new, "problems": listed}
        print_json({**said, **to_dict(found)})
        return
    print_lines([f"{switch.bot}: {switch.old or 'no mode'} → {switch.new}"])
    print_impact(found)


def _confirm(switch: modes.Switch, *, yes: bool, as_json: bool) -> None:
    """Ask; raises `UsageError` where nobody can answer, `typer.Abort` for a no."""
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise UsageError(
            f"{switch.bot} stays as it is", "nobody can be asked here", "Add --yes once you saw the effect"
        )
    typer.confirm(f"Move {switch.bot} to {switch.new}?", abort=True, err=True)


def assignment(text: str) -> tuple[str, Json]:
    """`PATH=VALUE` taken apart at the first equals sign outside quotes; raises `UsageError` if there is none."""
    quoted, at = False, 0
    while at < len(text):
        if text[at] == "\\" and quoted:
            at += 1
        elif text[at] == '"':
            quoted = not quoted
        elif text[at] == "=" and not quoted:
            return text[:at], parse_value(text[at + 1 :])
        at += 1
    raise UsageError(f"{text[:80]!r} is no edit", "it holds no equals sign", "Write PATH=VALUE")


def to_dict(found: Impact) -> dict[str, Json]:
    """Impact for programs."""
    listed: list[Json] = [
        {
            "environment": one.environment,
            "path": one.path,
            "old": _content(found, one.path, one.old),
            "new": _content(found, one.path, one.new),
            "readers": [reader.to_dict() for reader in one.readers],
        }
        for one in found.effects
    ]
    return {"environment": found.environment, "revision": found.revision, "effects": listed}


def print_impact(found: Impact) -> None:
    """Impact for people: a row for each leaf, and how many readers that are."""
    if not found.effects:
        print_lines(["Nobody would see anything differently."])
        return
    shown: list[rows.Row] = [
        {
            "environment": one.environment,
            "path": one.path,
            "old": _content(found, one.path, one.old),
            "new": _content(found, one.path, one.new),
            "seen by": _names(one.readers),
        }
        for one in found.effects
    ]
    rows.print_rows(["environment", "path", "old", "new", "seen by"], shown)
    bots = sum(reader.kind == "bot" for _, reader in found.readers)
    agents = sum(reader.kind == "agent" for _, reader in found.readers)
    where = sorted({one.environment for one in found.effects})
    print_lines([f"{_count(bots, 'bot')} and {_count(agents, 'running agent')} in {', '.join(where)}."])


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _content(found: Impact, path: str, leaf: Leaf) -> Json:
    """A leaf as rows show contents, or the mask of a secret."""
    return MASK if leaf is not None and found.secrets.hold(path) else rows.content(leaf)


def _names(readers: Iterable[Reader]) -> str:
    found = [str(one) for one in readers]
    more = len(found) - _NAMED
    return ", ".join(found[:_NAMED]) + (f" and {more} more" if more > 0 else "")
