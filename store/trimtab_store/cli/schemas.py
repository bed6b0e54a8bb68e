"""`trimtab schema`: JSON Schemas of one's own, kept in the configuration whose documents they describe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from trimtab import categories
from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.documents import BUILT_IN, KNOWN, METADATA
from trimtab.model.errors import PathNotFound, UsageError, nearest
from trimtab.model.values import thaw
from trimtab_store.cli import connecting, editing, options
from trimtab_store.cli.arguments import format_of, read_file
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines, print_table
from trimtab_store.cli.telling import tell
from trimtab_store.files import load_json, load_toml, load_yaml
from trimtab_store.store import Store
from trimtab_store.validation.schemas import Schema, schema_of

schema = typer.Typer(help="JSON Schemas: put your own, list and get them and the built-in ones.", no_args_is_help=True)
CATEGORY: Final = "schema"
Name = Annotated[str, typer.Argument(metavar="NAME", help="The schema; it stands at schema.<NAME>.")]


@command(schema, "put")
def put(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A JSON Schema, as JSON or YAML; - reads JSON.")],
    given: options.Replacing,
    *,
    documents: Annotated[
        str, typer.Option("--documents", help="What it describes: strategy_params.*", metavar="PATTERN")
    ] = "",
    version: Annotated[
        int | None,
        typer.Option("--version", help="Its number [default: one more if it changed].", metavar="N", min=1),
    ] = None,
    description: Annotated[str, typer.Option("--description", help="What it is for.", metavar="TEXT")] = "",
    upgrades: Annotated[
        Path | None,
        typer.Option("--upgrades", help="Steps that lead to newer versions, as a list: JSON, YAML.", metavar="FILE"),
    ] = None,
) -> None:
    """Register a schema, or its next version. What is stored for its pattern must fit it already, or be upgraded next.

    Drafts 2020-12 and 7 are understood. Nothing is ever fetched: a $ref leads into the same file.

    Example: trimtab schema put momentum momentum.json --documents 'strategy_params.*' -e base --reason "new strategy"
    """
    given.refuse_early()
    text, path = _text(file), paths.child(CATEGORY, name)
    with connecting.store(given.directory) as store:
        held = _stored(store, given.where).get(name)
        value = _value(held, documents, text, version, description)
        if upgrades is not None:
            value["upgrades"] = load_json(_text(upgrades).encode(), name=str(upgrades))
        with editing.edit(store, given) as edit:
            edit.merge(path, value)
        tell(edit.committed, given, {"schema": name, "version": value["version"]})


@command(schema, "list")
def list_schemas(given: options.Place) -> None:
    """The built-in schemas; with -e also those that the environment stores or inherits.

    Example: trimtab schema list -e production
    """
    stored = _registered_for(given)
    own: list[dict[str, Json]] = [
        {"name": one.name, "documents": one.documents, "version": one.version, "built_in": False} for one in stored
    ]
    ours: list[dict[str, Json]] = [
        {"name": kind, "documents": pattern, "version": None, "built_in": True}
        for pattern, kind in sorted({**BUILT_IN, f"{METADATA}.**": METADATA}.items())
        if kind in categories.MODELS
    ]
    if given.as_json:
        print_json({"schemas": [*own, *ours]})
        return
    rows = [[one["name"], one["documents"], one["version"] or "built in"] for one in (*own, *ours)]
    print_table(["schema", "documents", "version"], rows)


@command(schema, "get")
def get(name: Name, given: options.Place) -> None:
    """One schema as JSON Schema: a built-in one by its type or a document's path, with -e one of your own by its name.

    Example: trimtab schema get risk.global
    Example: trimtab schema get optimizer_grid -e production
    """
    stored = {one.name: one for one in _registered_for(given)}
    found = stored.get(name)
    if found is not None:
        content: Any = load_json(found.text.encode(), name=name)
        about: dict[str, Json] = {"name": name, "documents": found.documents, "version": found.version}
    else:
        kind = _built_in(name, stored, "See `trimtab schema list`" if given.environment else "For your own add -e NAME")
        content = categories.json_schema(kind)
        about = {"name": kind, "documents": [pattern for pattern, one in BUILT_IN.items() if one == kind]}
    if given.as_json:
        print_json({**about, "schema": content})
    else:
        print_lines(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode().splitlines())


def _built_in(name: str, stored: dict[str, Schema], otherwise: str) -> str:
    """The built-in type that a word names: itself, or a document of it."""
    if name in categories.MODELS:
        return name
    kind = BUILT_IN.get(name) or KNOWN.type_of(paths.canonical(name))
    if kind is None or kind not in categories.MODELS:
        remedy = nearest(name, sorted({*stored, *categories.MODELS, *BUILT_IN})) or otherwise
        raise PathNotFound(f"There is no schema {name[:80]}", "", remedy)
    return kind


def _value(held: Json, documents: str, text: str, version: int | None, description: str) -> dict[str, Json]:
    """The document of a schema: what is not named stays as it was."""
    before = held if isinstance(held, dict) else {}
    pattern = documents or before.get("documents")
    if not pattern:
        raise UsageError("A new schema needs --documents", "it describes nothing yet", "Name a pattern such as mine.*")
    last = before.get("version")
    following = last if isinstance(last, int) else 0
    if (before.get("text"), before.get("documents")) != (text, pattern):
        following += 1
    value: dict[str, Json] = {"documents": pattern, "version": version or following, "text": text}
    return {**value, "description": description} if description else value


def _text(file: Path) -> str:
    """The text of a schema: JSON as it is written, anything else as JSON."""
    content = read_file(file)
    form = format_of("", file)
    if form == "json":
        load_json(content, name=str(file))
        return content.decode("utf-8-sig").strip()
    found = load_yaml(content, name=str(file)) if form == "yaml" else load_toml(content, name=str(file))
    return orjson.dumps(found).decode()


def _stored(store: Store, where: str) -> dict[str, Json]:
    found = thaw(store.queries.document(where, CATEGORY).value)
    return found if isinstance(found, dict) else {}


def _registered_for(given: options.Place) -> list[Schema]:
    """What the named environment registers; nothing where none is named, and no store is asked."""
    if not given.environment:
        return []
    with connecting.store(given.directory) as store:
        return _registered(store, given.where)


def _registered(store: Store, where: str) -> list[Schema]:
    found = (schema_of(name, value) for name, value in sorted(_stored(store, where).items()))
    return [one for one in found if one is not None]
