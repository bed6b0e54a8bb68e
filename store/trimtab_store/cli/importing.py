"""The command that reads files: what `trimtab export` wrote, and files of other bot programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, cast

import typer

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.errors import SettingError, UsageError
from trimtab.model.values import Document
from trimtab_store import foreign
from trimtab_store.cli import connecting, editing, options
from trimtab_store.cli.arguments import format_of, read_file, write_file
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines, print_table
from trimtab_store.cli.telling import some, tell
from trimtab_store.foreign import Held, Import, Project
from trimtab_store.foreign.returning import CATEGORY
from trimtab_store.foreign.secrets import REFERENCE
from trimtab_store.store import Store
from trimtab_store.writer import Validated

app = typer.Typer()
_TWO_WORDS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Importing(options.Replacing):
    """The options of an import; those from `bot` to `template` are for files of other programs."""

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, commit nothing.")] = False
    bot: Annotated[str | None, typer.Option("--bot", help="Whose file it is, of another program's.", metavar="ID")] = (
        None
    )
    named: Annotated[
        str | None, typer.Option("--as", help="What to call the file [default: its name].", metavar="NAME")
    ] = None
    strategy: Annotated[
        str | None, typer.Option("--strategy", help="Where its parameters go [default: the bot's].", metavar="ID")
    ] = None
    secrets: Annotated[
        str,
        typer.Option("--secrets", help="keep-out puts references in their place, refuse refuses the file."),
    ] = "keep-out"
    template: Annotated[
        Path | None, typer.Option("--template", help="Write the template that renders it back.", metavar="FILE")
    ] = None


@command(app, "import")
def import_file(
    given: Importing,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[freqtrade|hummingbot] FILE",
            help="What `trimtab export` wrote, or with a word before it another program's; - reads standard input.",
        ),
    ],
    form: options.FileFormat = "",
) -> None:
    """Make an environment's own items exactly what a file says, or take a bot's file into documents; one revision.

    Example: trimtab import production.yaml -e production --reason "restored by hand"
    Example: trimtab import freqtrade config.json --bot ft-btc -e staging --dry-run
    Example: trimtab import hummingbot conf_pure_mm_1.yml --bot hb-eth -e staging --template pure_mm.yml.j2
    """
    file = Path(words[-1])
    if len(words) == 1:
        _import_export(given, file, form)
    elif len(words) == _TWO_WORDS and not form:
        _import_foreign(given, words[0], file)
    else:
        raise UsageError(
            "This call is refused", "a program's file has one name and no --format", "See trimtab import --help"
        )


def _import_export(given: Importing, file: Path, form: str) -> None:
    if given.bot or given.named or given.strategy or given.template:
        why = "--bot, --as, --strategy and --template are for files of other programs"
        raise UsageError("This call is refused", why, f"Write trimtab import freqtrade {file}, or leave them out")
    why, text = "" if given.dry_run else given.why(given.where), read_file(file)
    if given.dry_run:
        with connecting.store(given.directory) as store:
            _tell_checked(store.check_import(text, format_of(form, file), environment=given.where), given, {})
        return
    with connecting.writer(given.directory) as writer:
        done = writer.import_environment(
            text,
            format_of(form, file),
            environment=given.where,
            author=given.who,
            reason=why,
            expect=given.expect,
            idempotency_key=given.key,
            urgent=given.urgent,
            force=given.force,
        )
        tell(done, given)


def _import_foreign(given: Importing, program: str, file: Path) -> None:
    project = foreign.project(program)
    if not given.dry_run:
        given.why(given.where)
    made = _planned(given, project, file)
    if not given.as_json:
        _print(made)
    if given.dry_run:
        with (
            connecting.writer(given.directory) as writer,
            editing.dry_run(writer, given) as check,
        ):
            made.apply(check)
        _tell_checked(check.result, given, _told(made))
        return
    if given.template is not None:  # before the commit: a name that cannot be written stops both
        write_file(given.template, foreign.template(project, made.file).encode())
    with connecting.writer(given.directory) as writer:
        with editing.edit(writer, given) as edit:
            made.apply(edit)
        tell(edit.committed, given, _told(made))


def _planned(given: Importing, project: Project, file: Path) -> Import:
    """How a file would be imported; raises `SettingError` or `UsageError` for options that do not say it."""
    if not given.bot:
        raise SettingError("No bot is named", "what is imported belongs to one", "Add --bot ID")
    if given.secrets not in {"keep-out", "refuse"}:
        raise UsageError(f"--secrets {given.secrets[:40]} is refused", "", "Write keep-out or refuse")
    text = read_file(file)
    with connecting.store(given.directory) as store:
        return foreign.plan(
            project,
            text,
            str(file),
            bot=given.bot,
            file=given.named or (file.stem if str(file) != "-" else project.name),
            strategy=given.strategy or "",
            held=_held(store, given.where, given.bot),
            keep=cast("Literal['keep-out', 'refuse']", given.secrets),
        )


def _held(store: Store, environment: str, bot: str) -> Held:
    """What an import has to know of an environment."""
    found = store.queries.document(environment, paths.join((CATEGORY, bot)), {"bot": bot}).value

    def holds(layer: str, path: str) -> bool:
        return any(one.layer == layer for one in store.queries.items(environment, path, own=True))

    return Held(
        files=found.to_dict() if isinstance(found, Document) else {},
        per_bot="bot" in store.queries.forest().lineage(environment).dimensions,
        holds=holds,
    )


def _told(made: Import) -> dict[str, Json]:
    """An import for programs."""
    return {
        "bot": made.bot,
        "file": made.file,
        "documents": list(_rows(made)),
        "kept": dict(made.kept),
        "secrets": dict(made.secrets),
    }


def _rows(made: Import) -> Iterator[Json]:
    for home in made.homes:
        yield {"field": home.place, "path": home.path, "layer": home.layer or "common"}


def _print(made: Import) -> None:
    shown = [(some(home.place.split(", ")), home.path, home.layer or "common") for home in made.homes]
    print_table(["field", "path", "layer"], [*shown, ("the rest", made.path, "common")])
    print_lines(f"Stays there: {place}, for {why}." for place, why in made.kept.items())
    print_lines(
        f"Left out: {place}, a secret; {REFERENCE}{name} stands for it." for place, name in made.secrets.items()
    )


def _tell_checked(found: Validated, given: Importing, more: Mapping[str, Json]) -> None:
    if given.as_json:
        told: dict[str, Json] = {
            "paths": list(found.paths),
            "environments": list(found.environments),
            "warnings": list(found.warnings),
        }
        print_json({**told, **more})
    elif found.paths:
        print_lines([f"Would change {some(found.paths)}; reaches {', '.join(found.environments)}.", *found.warnings])
    else:
        print_lines(["Would change nothing."])
