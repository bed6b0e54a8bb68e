"""The options that many commands share, each with one spelling and one help text, in groups."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from trimtab.model import layers
from trimtab.model.errors import SettingError
from trimtab_store.cli.arguments import moment, seconds
from trimtab_store.queries import AsOf

Directory: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        envvar="TRIMTAB_DIRECTORY",
        help="The data directory of `trimtab up` [default: ./.trimtab].",
        metavar="DIR",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Prefix: TypeAlias = Annotated[str, typer.Option("--prefix", help="Only at and below this path.", metavar="PATH")]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", "-n", help="At most so many rows.", min=1, max=100_000)]
Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file instead of standard output.", metavar="FILE")
]
FileFormat: TypeAlias = Annotated[
    str, typer.Option("--format", help="json, yaml or toml [default: by the file's name, else json].", metavar="FORMAT")
]
Seconds: TypeAlias = Annotated[
    float | None, typer.Option("--seconds", help="Stop by itself after so long.", metavar="N", min=0)
]

Lost: TypeAlias = Annotated[str, typer.Option("--lost", help="What is known to be lost.", metavar="TEXT")]
Above: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--above", help="The highest revision known anywhere, where Redis cannot be asked.", metavar="REVISION", min=0
    ),
]
Force: TypeAlias = Annotated[
    str | None,
    typer.Option("--force", help="Pass over guards, for this reason; the audit keeps it.", metavar="REASON"),
]


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command has that talks to a store."""

    directory: Directory = None
    as_json: AsJson = False


@dataclass(frozen=True, kw_only=True)
class Place(Common):
    """A command about one environment."""

    environment: Annotated[
        str | None,
        typer.Option(
            "--environment",
            "-e",
            envvar="TRIMTAB_ENVIRONMENT",
            help="The environment; there is no default.",
            metavar="NAME",
        ),
    ] = None

    @property
    def where(self) -> str:
        """The environment, which must be named somewhere."""
        if not self.environment:
            raise SettingError(
                "No environment is named",
                "there is no default, so that nobody changes production by accident",
                "Add -e NAME, or set TRIMTAB_ENVIRONMENT",
            )
        return self.environment


@dataclass(frozen=True, kw_only=True)
class Reading(Place):
    """A command that reads as a process with labels would, now or as of then."""

    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label", help="Read as a process with this label; several times for several.", metavar="DIMENSION=LABEL"
        ),
    ] = None
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="A revision, or a time such as 2026-01-05T14:03:07Z.", metavar="REVISION|TIME"),
    ] = None

    @property
    def labels(self) -> dict[str, str]:
        """The labels; raises `LayerError` for a word that is none."""
        return dict(layers.parse(",".join(self.label or [])).labels)

    @property
    def at(self) -> AsOf:
        """The moment that `--as-of` names, None for now."""
        return moment(self.as_of)


@dataclass(frozen=True, kw_only=True)
class Committing(Common):
    """A command that commits a revision."""

    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; required for production.", metavar="TEXT")] = ""
    author: Annotated[
        str | None,
        typer.Option(
            "--author", "--user", help="Who makes the change [default: the user of this system].", metavar="NAME"
        ),
    ] = None
    wait: Annotated[
        str | None,
        typer.Option(
            "--wait", help="Wait until every live agent serves it, at most so long: 2s, 500ms.", metavar="TIME"
        ),
    ] = None

    def __post_init__(self) -> None:
        _ = self.patience  # a duration that cannot be read is refused before anything is committed

    @property
    def who(self) -> str:
        """Who makes the change: as named, else the user of this system."""
        if self.author is not None:
            return self.author
        try:
            return getpass.getuser()
        except (OSError, KeyError) as error:
            raise SettingError(
                "No author is named", "the user of this process has no name", "Add --author NAME"
            ) from error

    @property
    def patience(self) -> float | None:
        """How long to wait for agents, None for not at all."""
        return None if self.wait is None else seconds(self.wait, "--wait")

    def why(self, where: str) -> str:
        """The reason, which production requires."""
        if where == "production" and not self.reason.strip():
            raise SettingError("No reason is given", "changes to production need one", "Add --reason TEXT")
        return self.reason


@dataclass(frozen=True, kw_only=True)
class Replacing(Place, Committing):
    """A command that commits a revision of one environment."""

    expect: Annotated[
        int | None,
        typer.Option(
            "--expect", help="Refuse if what this touches changed after that revision.", metavar="REVISION", min=0
        ),
    ] = None
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="Makes a repeated command safe: it commits once.", metavar="KEY"),
    ] = None
    urgent: Annotated[
        bool, typer.Option("--urgent", help="Agents that hold back a revision serve it all the same.")
    ] = False
    force: Force = None

    def refuse_early(self, *, dry_run: bool = False) -> None:
        """Raise what is wrong with the words of a commit before anything is connected; a dry run needs no reason."""
        where = self.where
        if not dry_run:
            self.why(where)
        _ = self.who


@dataclass(frozen=True, kw_only=True)
class Changing(Replacing):
    """A command that edits items."""

    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer", "-l", help="Overlay: DIMENSION=LABEL; several times for several labels.", metavar="LABEL"
        ),
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, commit nothing.")] = False

    @property
    def overlay(self) -> str:
        """The layer text; `common` and nothing are the common layer."""
        return ",".join(label for label in self.layer or [] if label != "common")
