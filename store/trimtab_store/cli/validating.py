"""`trimtab validate`: what is stored, a file, or a directory of files, against everything that a commit has to fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from trimtab.model.canonical import Json
from trimtab_store import checking
from trimtab_store.cli import connecting, options
from trimtab_store.cli.arguments import format_of, read_file
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines
from trimtab_store.cli.telling import some
from trimtab_store.files import read_tree
from trimtab_store.sources.target import Sources

app = typer.Typer()


@command(app, "validate")
def validate(
    given: options.Place,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE|DIR]", help="A file that `trimtab import` would take, or a directory of files."),
    ] = None,
    form: options.FileFormat = "",
) -> None:
    """Check what is stored, a file, or a directory, as readers would see it. Tells all that is wrong, commits nothing.

    Documents have to fit their categories and schemas, and all rules. A directory is judged by itself, schemas and
    rules in it included: no server is asked. Exit 4 if anything is wrong; --json lists every problem.

    Example: trimtab validate -e production
    Example: trimtab validate production.yaml -e production
    Example: trimtab validate config
    """
    if file is not None and file.is_dir():
        result, line = _directory(file, given.environment)
    else:
        result, line = _store(given, file, form)
    if given.as_json:
        print_json({**result, "valid": True})
        return
    warnings = result["warnings"]
    print_lines([line, *(f"Warning: {one}" for one in warnings)] if isinstance(warnings, list) else [line])


def _store(given: options.Place, file: Path | None, form: str) -> tuple[dict[str, Json], str]:
    where = given.where
    with connecting.store(given.directory) as store:
        if file is None:
            checked = store.checked(where)
            held: dict[str, Json] = {"environment": where, "items": checked.items, "warnings": list(checked.warnings)}
            return held, f"All {checked.items} items of {where} are valid, inherited ones included."
        found = store.check_import(read_file(file), format_of(form, file), environment=where)
    changes: list[Json] = list(found.paths)
    told: dict[str, Json] = {
        "environment": where,
        "file": str(file),
        "changes": changes,
        "warnings": list(found.warnings),
    }
    return told, f"{file} is valid for {where}; importing it would change {some(found.paths) or 'nothing'}."


def _directory(folder: Path, environment: str | None) -> tuple[dict[str, Json], str]:
    tree = read_tree(folder)
    names = [environment] if environment else [one.name for one in tree.environments]
    checked = checking.check_tree(tree, environment, Sources(os.environ, process=environment is not None))
    told: dict[str, Json] = {
        "directory": str(folder),
        "environments": list[Json](names),
        "items": checked.items,
        "warnings": list(checked.warnings),
    }
    return told, f"{folder} is valid: {checked.items} items in {some(names)}."
