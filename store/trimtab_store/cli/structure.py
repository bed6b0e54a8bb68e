"""`trimtab env` and `trimtab epoch`: environments, dimensions and declared losses."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab.model.canonical import Json
from trimtab_store.cli import connecting, options
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_table
from trimtab_store.cli.telling import tell

env = typer.Typer(help="Environments: list, create, inherit, dimensions.", no_args_is_help=True)
epoch = typer.Typer(help="Epochs: declare that history was lost and goes on.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, - and _.")]


@epoch.callback()
def _epoch() -> None:
    """Epochs: declare that history was lost and goes on."""  # a group even though it has one command


@command(env, "list")
def list_environments(given: options.Common) -> None:
    """List the environments and what they inherit from.

    Example: trimtab env list
    """
    with connecting.store(given.directory) as store:
        forest = store.forest()
    lineages = {name: forest.lineage(name) for name in sorted(forest.parents)}
    above = {name: list(reversed(lineage.environments[:-1])) for name, lineage in lineages.items()}
    if given.as_json:
        found: list[Json] = [
            {"environment": name, "inherits": [*above[name]], "dimensions": [*lineage.dimensions]}
            for name, lineage in lineages.items()
        ]
        print_json(found)
        return
    print_table(
        ["environment", "inherits from", "dimensions (least specific first)"],
        [[name, ", ".join(above[name]), ", ".join(lineage.dimensions)] for name, lineage in lineages.items()],
    )


@command(env, "create")
def create(
    name: Name,
    given: options.Committing,
    parent: Annotated[
        str | None, typer.Option("--parent", help="Inherit from this environment.", metavar="NAME")
    ] = None,
    dimension: Annotated[
        list[str] | None,
        typer.Option("--dimension", help="For a root: its dimensions, least specific first.", metavar="NAME"),
    ] = None,
) -> None:
    """Create an environment.

    Example: trimtab env create paper-eu --parent production --reason "a paper copy for Europe"
    """
    why = given.why(name)
    with connecting.writer(given.directory) as writer:
        done = writer.create_environment(
            name, parent=parent, dimensions=dimension or None, author=given.who, reason=why
        )
        tell(done, given)


@command(env, "inherit")
def inherit(
    name: Name,
    parent: Annotated[str, typer.Argument(metavar="PARENT", help="The new parent; - for none.")],
    given: options.Committing,
    force: options.Force = None,
) -> None:
    """Make an environment inherit from another.

    Example: trimtab env inherit paper-eu staging --reason "production moved on"
    """
    why = given.why(name)
    with connecting.writer(given.directory) as writer:
        following = None if parent == "-" else parent
        done = writer.reparent_environment(name, following, author=given.who, reason=why, force=force)
        tell(done, given)


@command(env, "dimensions")
def dimensions(
    root: Annotated[str, typer.Argument(metavar="ROOT", help="The root of a tree of environments.")],
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Least specific first.")],
    given: options.Committing,
) -> None:
    """Declare the dimensions of a tree, which order its overlays.

    Example: trimtab env dimensions base region strategy venue mode node bot
    """
    why = given.why(root)
    with connecting.writer(given.directory) as writer:
        tell(writer.declare_dimensions(root, names, author=given.who, reason=why), given)


@command(epoch, "declare")
def declare(
    head: Annotated[
        int,
        typer.Option(
            "--from", help="The head of this database: history goes on from there.", metavar="REVISION", min=0
        ),
    ],
    given: options.Committing,
    lost: options.Lost = "",
    above: options.Above = None,
) -> None:
    """Declare a new epoch after a restore, or a failover to a standby that lagged.

    Example: trimtab epoch declare --from 10 --reason "restored from Sunday's backup" --lost "11 to 15"
    """
    with connecting.writer(given.directory) as writer:
        done = writer.declare_epoch(head, reason=given.reason, author=given.who, lost=lost, above=above)
        tell(done, given)
