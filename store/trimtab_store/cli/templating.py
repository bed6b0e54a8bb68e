"""`trimtab template`: find templates, make instances of them, keep templates of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from trimtab.model.canonical import Json
from trimtab.model.errors import UsageError, nearest
from trimtab_store.cli import connecting, editing, options
from trimtab_store.cli import templates_shown as shown
from trimtab_store.cli.arguments import format_of, read_file
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines, print_table
from trimtab_store.cli.telling import tell
from trimtab_store.cli.values import parse_value
from trimtab_store.files.formats import READERS
from trimtab_store.portable import Format
from trimtab_store.ports import Edits, Writer
from trimtab_store.templates import Instance, Template, Templates, definition, standing
from trimtab_store.templates.catalogue import check_name, path_of

template = typer.Typer(help="Templates: list, show, make documents from them, put your own.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The template; see `trimtab template list`.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, commit nothing.")]


@command(template, "list")
def list_templates(
    given: options.Place,
    category: Annotated[
        str | None, typer.Option("--category", help="Only of this category, such as bot.", metavar="NAME")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only with this tag; several times for several.", metavar="TAG")
    ] = None,
) -> None:
    """List the built-in templates; with -e also those that the environment stores or inherits.

    Example: trimtab template list --category bot --tag live
    Example: trimtab template list -e production --json
    """
    found = _templates(given)
    _know("category", [category] if category else [], {one.category for one in found})
    _know("tag", tag or [], {word for one in found for word in one.tags})
    listed = found.find(category=category, tags=tuple(tag or ()))
    if given.as_json:
        broken: dict[str, Json] = {name: [one.to_dict() for one in problems] for name, problems in found.broken.items()}
        print_json({"templates": [shown.summary(one) for one in listed], "broken": broken})
        return
    print_table(
        ["template", "origin", "needs", "tags", "description"],
        [[one.name, one.origin, ", ".join(one.required), ", ".join(one.tags), one.description] for one in listed],
    )
    print_lines(f"{name} is stored and broken: {problems[0]}" for name, problems in found.broken.items())


@command(template, "show")
def show_template(
    name: Name, given: options.Place, output: options.Output = None, form: options.FileFormat = ""
) -> None:
    """Show a template: its parameters with their bounds, and the documents that it makes.

    Example: trimtab template show bot_scalper_paper
    Example: trimtab template show bot_scalper_paper --output mine.yaml
    """
    found = _templates(given)[name]
    if output is not None:
        shown.write(dict(found.definition), output, format_of(form, output))
    elif given.as_json:
        print_json({**shown.summary(found), "definition": dict(found.definition)})
    else:
        shown.tell(found)


@command(template, "new")
def new(
    name: Name,
    given: options.Changing,
    id: Annotated[  # noqa: A002 - the word for it
        str | None, typer.Argument(metavar="[ID]", help="What is made is called so, where the template takes a name.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A parameter: JSON, a bare word, or a,b,c for a list; several times.", metavar="NAME=VALUE"
        ),
    ] = None,
    output: options.Output = None,
    form: options.FileFormat = "",
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where the layer holds something else already.")
    ] = False,
) -> None:
    """Make the documents of a template, as one revision; with --output into a file instead.

    Example: trimtab template new bot_scalper_paper scalper-2 --set position_size=0.03 -e staging
    Example: trimtab template new risk_conservative --set max_position_size=500 --set daily_loss_limit=100 --dry-run
    Example: trimtab template new data_fred --output fred.yaml
    """
    if output is not None or (given.dry_run and not given.environment):
        shown.hand_over(
            _instance(_templates(given), name, id, sets or [], given), given, output, format_of(form, output)
        )
        return
    where, why = given.where, given.reason if given.dry_run else given.why(given.where)
    with connecting.store(given.directory) as store:
        made = _instance(Templates.of(store.queries, where), name, id, sets or [], given)
        seen = standing.look(store.queries, where, given.overlay, made)
        if not replace:
            seen.require_free(named=id is not None)
        if given.dry_run:
            with editing.dry_run(store, given) as check:
                made.put(check, given.overlay)
            shown.tell_check(made, check.result, given)
        else:
            _commit(store, made, given, why, seen.revision)


@command(template, "put")
def put(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The definition; - reads standard input.")],
    given: options.Replacing,
    form: options.FileFormat = "",
    *,
    dry_run: DryRun = False,
) -> None:
    """Store a template of your own in the common layer, where environments that inherit find it too.

    Example: trimtab template put opening.yaml -e base --dry-run
    """
    given.refuse_early(dry_run=dry_run)
    found = _read(file, format_of(form, file))
    check_name(found.name)
    path, value = path_of(found.name), dict(found.definition)

    def apply(edit: Edits) -> None:
        edit.set(path, value)

    with connecting.writer(given.directory) as writer:
        if dry_run:
            with editing.dry_run(writer, given) as check:
                apply(check)
            shown.tell_put(found, check.result, given)
            return
        with editing.edit(writer, given) as edit:
            apply(edit)
        tell(edit.committed, given, {"template": found.name})


def _know(what: str, wanted: list[str], known: set[str]) -> None:
    """Refuse a word that no template has: an empty list would look like an answer."""
    for word in wanted:
        if word not in known:
            remedy = nearest(word, known) or f"There are {', '.join(sorted(known))}"
            raise UsageError(f"No template has the {what} {word[:80]}", "", remedy)


def _commit(writer: Writer, made: Instance, given: options.Changing, why: str, seen: int) -> None:
    """Commit an instance; whoever changed what stands there since it was looked at was first."""
    reason = why or f"from the template {made.template} {made.version}"
    with editing.edit(writer, given, reason=reason, expect=seen if given.expect is None else None) as edit:
        made.put(edit, given.overlay)
    tell(edit.committed, given, {"template": made.template, "documents": list(made.documents)})


def _templates(given: options.Place) -> Templates:
    """The built-in templates, and those of the environment if one is named."""
    if not given.environment:
        return Templates()
    with connecting.store(given.directory) as store:
        return Templates.of(store.queries, given.environment)


def _instance(found: Templates, name: str, identity: str | None, sets: list[str], given: options.Place) -> Instance:
    wanted = found[name]
    values = dict(_values(wanted, sets))
    if "environment" in wanted.open and given.environment:
        values.setdefault("environment", given.environment)
    return found.new(name, identity, values)


def _values(wanted: Template, sets: list[str]) -> Iterator[tuple[str, Json]]:
    """What `--set` gives: text for a parameter that is text, a list at commas, else as everywhere on this line."""
    seen = set[str]()
    for one in sets:
        name, sign, text = one.partition("=")
        if not sign or not name:
            raise UsageError(f"--set {one[:80]} is refused", "it names no value", "Write --set position_size=0.03")
        if name in seen:
            raise UsageError(f"--set {name[:80]} stands twice", "one of the two would be lost", "Remove one")
        seen.add(name)
        kind = wanted.parameters[name].kind if name in wanted.parameters else "any"
        if kind == "text":
            yield name, parse_value(text, string=True)
        elif kind == "list" and not text.lstrip().startswith("["):
            yield name, [word.strip() for word in text.split(",")]
        else:
            yield name, parse_value(text, option="")


def _read(file: Path, form: Format) -> Template:
    text = read_file(file)
    return definition.read(READERS[f".{form}"](text, name=str(file)))
