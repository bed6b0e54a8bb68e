"""What `trimtab template` prints: templates, the documents that they make, and what committing them would do."""

from __future__ import annotations

from pathlib import Path

from trimtab.model.canonical import Json
from trimtab.model.errors import UsageError
from trimtab.model.problems import MASK
from trimtab_store.cli import options
from trimtab_store.cli.arguments import write_file
from trimtab_store.cli.output import print_json, print_lines, print_table, shown
from trimtab_store.cli.telling import some
from trimtab_store.files.toml_writer import dump_toml
from trimtab_store.files.yaml_writer import dump_yaml
from trimtab_store.portable import Format
from trimtab_store.templates import Instance, Template, standing
from trimtab_store.writer import Validated


def tell(found: Template) -> None:
    """A template for a person."""
    print_lines([f"{found.name} {found.version} ({found.origin}): {found.description}", ""])
    fixed = [name for name in found.parameters if name not in found.open]
    print_table(
        ["parameter", "", "type", "unit", "bounds", "default", "description"],
        (_row(found, name) for name in (*found.open, *fixed)),
    )
    if found.conditions:
        print_lines(["", f"Must hold: {'; '.join(one.text for one in found.conditions)}"])
    documents: Json = found.definition["documents"]
    print_lines(["", *dump_yaml(documents).splitlines()])


def hand_over(made: Instance, given: options.Changing, output: Path | None, form: Format) -> None:
    """Documents that are not committed: into a file, or to whoever looks."""
    if output is None:
        _print(made, given)
        return
    if made.secrets:
        raise UsageError(
            "A secret is not written into a file", "", "Leave it out here, or write SECURE: and the name of a secret"
        )
    write(standing.nested(made.documents), output, form)


def write(value: dict[str, Json], output: Path, form: Format) -> None:
    """A value into a file that the user named."""
    text = f"{shown(value)}\n"
    if form != "json":
        text = dump_yaml(value) if form == "yaml" else dump_toml(value)
    write_file(output, text.encode())


def _print(made: Instance, given: options.Changing) -> None:
    if given.as_json:
        print_json({"template": made.template, "documents": made.shown()})
    else:
        print_lines(dump_yaml(made.shown()).splitlines())


def tell_check(made: Instance, found: Validated, given: options.Changing) -> None:
    """An instance that was checked, and what committing it would do."""
    if given.as_json:
        print_json({"template": made.template, "documents": made.shown(), **_found(found)})
        return
    print_lines([*dump_yaml(made.shown()).splitlines(), "", _would(found), *found.warnings])


def tell_put(made: Template, found: Validated, given: options.Replacing) -> None:
    """What storing a template would do."""
    if given.as_json:
        print_json({"template": made.name, **_found(found)})
    else:
        print_lines([_would(found), *found.warnings])


def _found(found: Validated) -> dict[str, Json]:
    return {
        "paths": list(found.paths),
        "environments": list(found.environments),
        "warnings": list(found.warnings),
    }


def _would(found: Validated) -> str:
    if not found.paths:
        return "Would change nothing."
    return f"Would change {some(found.paths)}; reaches {', '.join(found.environments)}."


def _row(found: Template, name: str) -> tuple[str, ...]:
    one = found.parameters[name]
    default = shown(found.defaults[name]) if name in found.defaults else ""
    default = MASK if one.secret and default else default
    bounds = ", ".join(map(str, one.bounds)) or " | ".join(shown(choice) for choice in one.choices) or one.length
    return (
        name,
        found.use(name),
        one.kind if one.items == "any" else f"{one.kind} of {one.items}",
        one.unit,
        bounds,
        MASK if one.secret and default else default,
        one.description,
    )


def summary(one: Template) -> dict[str, Json]:
    """A template for programs."""
    return {
        "name": one.name,
        "category": one.category,
        "version": one.version,
        "description": one.description,
        "tags": list(one.tags),
        "origin": one.origin,
        "required": list(one.required),
        "optional": list(one.optional),
        "customizable": list(one.customizable),
        "parameters": [parameter.to_dict() for parameter in one.parameters.values()],
        "defaults": dict(one.defaults),
        "conditions": [condition.text for condition in one.conditions],
    }
