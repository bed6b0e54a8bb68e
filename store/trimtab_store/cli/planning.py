"""`trimtab plan` and `trimtab apply`: a tree of files against the store."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from trimtab.model.errors import TrimtabError, UsageError
from trimtab_store.cli import connecting, options, progress, rows
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_error, print_json, print_lines
from trimtab_store.cli.telling import sentences, served, waited
from trimtab_store.editing import Request
from trimtab_store.files import FleetTree, read_tree
from trimtab_store.sources import applying, showing
from trimtab_store.sources.assigning import PREFIX
from trimtab_store.sources.following import Follower, follow
from trimtab_store.sources.planning import EnvironmentPlan, TreePlan, Wanted
from trimtab_store.sources.target import Sources
from trimtab_store.store import Store
from trimtab_store.writer import Committed, WaitOutcome

app = typer.Typer()
_COLUMNS: Final = ["layer", "path", "old", "new", "source"]

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="fleet.yaml, base/, production/, local/, …")]


@dataclass(frozen=True, kw_only=True)
class Sourcing(options.Common):
    """A command about a tree of files."""

    environment: Annotated[
        str | None,
        typer.Option(
            "--environment",
            "-e",
            envvar="TRIMTAB_ENVIRONMENT",
            help="Only this one, with local/ and variables over it [default: all of the files].",
            metavar="NAME",
        ),
    ] = None
    prune: Annotated[bool, typer.Option("--prune", help="Remove what the store holds and the files do not.")] = False
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            "--prefix",
            help=f"Variables that begin with it name paths; several times for several [default: {PREFIX}].",
            metavar="TEXT",
        ),
    ] = None
    no_variables: Annotated[bool, typer.Option("--no-variables", help="Variables of this process name no paths.")] = (
        False
    )

    force: Annotated[
        str | None,
        typer.Option("--force", help="Pass over guards, for this reason; the audit keeps it.", metavar="REASON"),
    ] = None

    def wanted(self, words: Request) -> Wanted:
        """What to make of the files."""
        prefixes = tuple(one for one in self.prefix or [PREFIX] if one)
        process = self.environment is not None and not self.no_variables
        sources = Sources(os.environ, () if self.no_variables else prefixes, process)
        words = replace(words, force=self.force)
        return Wanted(words=words, environment=self.environment, prune=self.prune, sources=sources)


@dataclass(frozen=True, kw_only=True)
class Applying(Sourcing, options.Committing):
    """A command that commits a tree of files."""

    urgent: Annotated[
        bool, typer.Option("--urgent", help="Agents that hold back a revision serve it all the same.")
    ] = False


@command(app, "plan")
def plan(folder: Folder, given: Sourcing) -> None:
    """Show what a directory of files would change, old and new. Checks everything, commits nothing.

    Example: trimtab plan config
    Example: trimtab plan config -e production --prune
    """
    words = Request(environment="", author="plan", reason="")
    with connecting.store(given.directory) as store:
        found = _planned(store, folder, given.wanted(words))
    if given.as_json:
        print_json(showing.to_dict(found))
    else:
        _print_plan(found, given)


@command(app, "apply")
def apply(
    folder: Folder,
    given: Applying,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and apply the files whenever they change.")] = False,
    seconds: options.Seconds = None,
) -> None:
    """Make the store hold what a directory of files says: one revision for each environment that differs.

    Example: trimtab apply config --reason "limits of March"
    Example: trimtab apply config -e production --reason "as reviewed" --watch
    """
    with connecting.store(given.directory) as store:
        if watch:
            _Watch(store, folder, given).run(seconds)
        else:
            _apply(store, folder, given)


def _apply(store: Store, folder: Path, given: Applying) -> None:
    commits: list[Committed] = []

    def done(committed: Committed) -> None:
        commits.append(committed)
        if not given.as_json:
            print_lines(sentences(committed))

    found = _planned(store, folder, given.wanted(_words(given)))
    _check_reasons(found, given)
    outcomes: list[WaitOutcome | None] = []
    try:
        applying.apply(store, found, done)
        outcomes = [waited(one, given) for one in commits]
    finally:  # what was committed before an error is said all the same
        if given.as_json:
            waits = [*outcomes, *[None] * (len(commits) - len(outcomes))]
            told = [{**one.to_dict(), **served(out)} for one, out in zip(commits, waits, strict=True)]
            print_json({"commits": told, "notes": _notes(found, given)})
        else:
            print_lines([*([] if commits else ["Nothing changed."]), *_notes(found, given)])
    for outcome in outcomes:
        if outcome is not None:
            outcome.require()


def _words(given: Applying) -> Request:
    return Request(environment="", author=given.who, reason=given.reason, urgent=given.urgent)


def _check_reasons(found: TreePlan, given: Applying) -> None:
    for one in found.environments:
        if one.changes:
            given.why(one.name)


def _planned(store: Store, folder: Path, wanted: Wanted) -> TreePlan:
    with progress.reading(folder) as bar:
        tree: FleetTree = read_tree(folder, on_file=bar.read, known=store.forest())
        bar.check()
        return store.plan_files(tree, wanted)


def _print_plan(found: TreePlan, given: Sourcing) -> None:
    for one in found.environments:
        if one.changes:
            print_lines([_headline(one)])
            table = [showing.row(item, one.origin(item), one.secrets) for item in one.differences]
            rows.print_rows(_COLUMNS, table)
        print_lines([f"Warning: {warning}" for warning in one.warnings])
    print_lines([*([] if found.changes else ["Nothing would change."]), *_notes(found, given)])


def _headline(one: EnvironmentPlan) -> str:
    count = len(one.differences)
    created = f" (created{f', inherits from {one.parent}' if one.parent else ''})" if one.creates else ""
    return f"{one.name}{created}: {count} {'item' if count == 1 else 'items'} would change"


def _notes(found: TreePlan, given: Sourcing) -> list[str]:
    left = {one.name: one.left for one in found.environments if one.left and not given.prune}
    kept = [f"{count} of {name}" for name, count in left.items()]
    said = [f"The store holds items that the files do not: {', '.join(kept)}; --prune removes them"] if kept else []
    return [*found.notes, *said]


@dataclass(slots=True)
class _Watch:
    """`--watch`: says what is committed, what is refused and that it is mended, a line each."""

    store: Store
    folder: Path
    given: Applying

    def run(self, seconds: float | None) -> None:
        """Until the time is over, or Ctrl-C."""
        if not self.folder.is_dir():
            why = "it is no directory" if self.folder.exists() else "there is none"
            raise UsageError(f"{self.folder} cannot be followed", why, "Name a directory of files")
        if not self.given.as_json:
            print_lines([f"Following {self.folder}; Ctrl-C ends."])
        follow(Follower(self.folder, self._attempt, self._refused, self._mended), seconds)

    def _attempt(self) -> None:
        found = _planned(self.store, self.folder, self.given.wanted(_words(self.given)))
        _check_reasons(found, self.given)
        applying.apply(self.store, found, self._committed)

    def _committed(self, done: Committed) -> None:
        if self.given.as_json:
            print_json({"event": "committed", **done.to_dict()})
        else:
            print_lines(sentences(done))

    def _refused(self, error: TrimtabError) -> None:
        if self.given.as_json:
            print_json({"event": "refused", "error": error.to_dict()})
        else:
            print_error(error, as_json=False)
            print_lines(["The store stays as it was; waiting for the files to be mended."])

    def _mended(self) -> None:
        if self.given.as_json:
            print_json({"event": "mended"})
        else:
            print_lines(["Mended: the files are applied again."])
