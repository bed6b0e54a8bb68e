"""The page of the categories says what the models do: every field, its unit, its bounds, its default."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.categories.samples import PATHS
from trimtab import categories
from trimtab.categories.fields import Place, place_of
from trimtab.model.documents import BUILT_IN

PAGE = Path(__file__).parents[3] / "docs" / "categories.md"
SIGNS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}
LENGTHS = {"minLength": "≥ {} characters", "maxLength": "≤ {} characters"}
LONGEST = 1_000
"""A text that may be longer is free for all that people write."""


def rows(kind: str) -> list[str]:
    """The table of a document: `field | what | default`."""
    schema: Any = categories.json_schema(kind)
    return list(_rows(schema, schema, place_of(categories.MODELS[kind]), ""))


def _rows(whole: dict[str, Any], schema: dict[str, Any], place: Place, above: str) -> list[str]:
    found: list[str] = []
    for name, said in schema.get("properties", {}).items():
        inside = _resolved(whole, said)
        below = place.fields[name]
        if "properties" in inside:
            found += _rows(whole, inside, below, f"{above}{name}.")
        elif below.values is not None and below.values.fields:
            found += _rows(whole, _resolved(whole, inside["additionalProperties"]), below.values, f"{above}{name}.*.")
        else:
            required = name in schema.get("required", ())
            found.append(f"| `{above}{name}` | {_what(whole, inside, below)} | {_default(said, required=required)} |")
    return found


def _resolved(whole: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Without None beside it, and what a reference leads to."""
    choices = [one for one in said.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        return _resolved(whole, choices[0])
    if "$ref" in said:
        return cast("dict[str, Any]", whole["$defs"][said["$ref"].rpartition("/")[2]])
    return said


def _what(whole: dict[str, Any], said: dict[str, Any], place: Place) -> str:
    if "enum" in said or "const" in said:
        return ", ".join(said.get("enum") or [said["const"]])
    if place.values is not None and not place.secret:
        return f"by name: {_what(whole, _resolved(whole, said['additionalProperties']), place.values)}"
    if place.name == "exchange" and "anyOf" in said:
        return "one or a list"
    kinds = {"array": "list", "string": "text", "boolean": "true or false"}
    number = next((one for one in said.get("anyOf", ()) if one.get("type") == "number"), said)
    kind = str(kinds.get(said.get("type", ""), said.get("type", "")))
    first: str = "secret" if place.secret else place.unit or kind
    whole_only = place.unit not in {None, "count"} and said.get("type") == "integer"
    words = [f"{first}, whole" if whole_only else first]
    words += [sign.format(_number(number[key])) for key, sign in SIGNS.items() if key in number]
    words += [sign.format(said[key]) for key, sign in LENGTHS.items() if 1 < said.get(key, 0) < LONGEST]
    return ", ".join([*words, *([place.said] if place.said else [])])


def _default(said: dict[str, Any], *, required: bool) -> str:
    default = said.get("default")
    shown = {True: "true", False: "false"}.get(default, default) if isinstance(default, bool) else default
    if isinstance(default, int | float) and not isinstance(default, bool):
        shown = _number(default)
    if required:
        return "required" if default is None else f"required; {shown} is usual"
    return "" if default in (None, "", [], {}) else str(shown)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def table(kind: str) -> str:
    return "\n".join(["| field | | default |", "|---|---|---|", *rows(kind)])


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_every_field_stands_there_as_the_model_has_it(kind: str) -> None:
    page = PAGE.read_text()
    if rows(kind):
        assert table(kind) in page, table(kind)


def test_every_pattern_stands_there() -> None:
    page = PAGE.read_text()
    names = {"*": "<…>"}
    for pattern in BUILT_IN:
        assert f"`{pattern.replace('*', names['*'])}`" in page, pattern
