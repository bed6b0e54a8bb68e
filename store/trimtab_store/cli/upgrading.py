"""`trimtab schema upgrade`: bring stored documents to the newest version of their schema."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab.model.canonical import Json
from trimtab.model.problems import MASK
from trimtab_store.cli import connecting, options, rows
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines
from trimtab_store.cli.telling import sentences, served, waited
from trimtab_store.evolution.planning import Planned, Upgrade
from trimtab_store.masking import SCHEMAS, Secrets
from trimtab_store.store import Store
from trimtab_store.writer import Committed

app = typer.Typer()


@command(app, "upgrade")
def upgrade(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A schema: schema.<NAME> holds it.")],
    given: options.Committing,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, commit nothing.")] = False,
    force: options.Force = None,
) -> None:
    """Bring every document of a schema to its newest version: one audited revision for each environment.

    Example: trimtab schema upgrade optimizer_grid --dry-run
    Example: trimtab schema upgrade optimizer_grid --reason "sizes are fractions now"
    """
    with connecting.store(given.directory) as store:
        planned = store.plan_upgrade(name)
        secrets = _secrets(store, planned)
        if not dry_run:
            for one in planned.upgrades:
                given.why(one.environment)
            done = store.upgrade(planned, author=given.who, reason=given.reason, force=force)
            _tell(planned, secrets, done, given)
        elif given.as_json:
            print_json(_to_dict(planned, secrets))
        else:
            _print(planned, secrets)


def _tell(planned: Planned, secrets: Secrets, done: list[Committed], given: options.Committing) -> None:
    """Say what was committed, wait if that was asked for; raises `NotServedEverywhere` for the first that is not."""
    if not given.as_json:
        print_lines([line for one in done for line in sentences(one)] or [_up_to_date(planned)])
    outcomes = [waited(one, given) for one in done]
    if given.as_json:
        listed: list[Json] = [{**one.to_dict(), **served(out)} for one, out in zip(done, outcomes, strict=True)]
        print_json({**_to_dict(planned, secrets), "committed": listed})
    for outcome in outcomes:
        if outcome is not None:
            outcome.require()


def _secrets(store: Store, planned: Planned) -> Secrets:
    held = [store.queries.items(one.environment, SCHEMAS) for one in planned.upgrades]
    return Secrets.of(*([(item.path, item.content) for item in items] for items in held))


def _up_to_date(planned: Planned) -> str:
    return f"Every document of {planned.schema} is written for version {planned.version}."


def _to_dict(planned: Planned, secrets: Secrets) -> dict[str, Json]:
    upgrades: list[Json] = [
        {"environment": one.environment, "documents": dict(one.documents), "edits": [*_rows(one, secrets)]}
        for one in planned.upgrades
    ]
    return {"schema": planned.schema, "version": planned.version, "upgrades": upgrades}


def _rows(one: Upgrade, secrets: Secrets) -> list[rows.Row]:
    return [
        {
            "environment": one.environment,
            "layer": edit.layer or "common",
            "path": edit.path,
            "new": MASK if edit.outcome is not None and secrets.hold(edit.path) else rows.content(edit.outcome),
        }
        for edit in one.edits
    ]


def _print(planned: Planned, secrets: Secrets) -> None:
    if not planned.upgrades:
        print_lines([_up_to_date(planned)])
        return
    found = [row for one in planned.upgrades for row in _rows(one, secrets)]
    rows.print_rows(["environment", "layer", "path", "new"], found)
    for one in planned.upgrades:
        documents = ", ".join(f"{path} (version {version})" for path, version in one.documents.items())
        print_lines([f"{one.environment}: {documents} → version {planned.version}"])
