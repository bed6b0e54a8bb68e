"""Users' JSON Schemas: what a document is told, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trimtab import categories
from trimtab.model.problems import Problem
from trimtab_store.validation.json_schema import compile_schema
from trimtab_store.validation.json_schema_faults import SchemaRefused
from trimtab_store.validation.json_schema_nodes import FORMATS, HINTS

PATH = "strategy_params.mm"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "size": {"type": "number", "minimum": 1, "maximum": 10},
        "timeframe": {"enum": ["1m", "5m", "15m"]},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 8},
        "share": {"type": "number", "x-unit": "ratio"},
        "api_key": {"type": "string", "minLength": 8, "x-secret": True},
        "legs": {"type": "array", "items": {"$ref": "#/$defs/leg"}, "uniqueItems": True},
        "stop": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "at": {"type": "string", "format": "date-time"},
    },
    "required": ["size"],
    "additionalProperties": False,
    "$defs": {"leg": {"type": "object", "properties": {"left": {"type": "string"}}, "required": ["left"]}},
}


def told(schema: dict[str, Any], value: Any) -> list[str]:
    return [str(problem) for problem in compile_schema(json.dumps(schema)).check(value, PATH)]


def faults(schema: dict[str, Any] | str) -> list[str]:
    with pytest.raises(SchemaRefused) as refused:
        compile_schema(schema if isinstance(schema, str) else json.dumps(schema))
    assert refused.value.exit_code == 4
    return [str(problem) for problem in refused.value.problems]


def test_a_valid_document_has_no_problems() -> None:
    value = {"size": 1, "share": 1, "legs": [{"left": "a"}, {"left": "b"}], "stop": None, "at": "2026-01-01T00:00:00Z"}
    assert told(SCHEMA, value) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"size": 0.5}, "strategy_params.mm.size (is 0.5): it must be at least 1"),
        ({"size": 10.5}, "strategy_params.mm.size (is 10.5): it must be at most 10"),
        ({"size": "1"}, 'strategy_params.mm.size (is "1"): it must be a number. Write 1 without quotes'),
        (
            {"timeframe": "15min"},
            'strategy_params.mm.timeframe (is "15min"): it must be one of "1m", "5m", "15m". Did you mean 15m?',
        ),
        ({"name": "A"}, 'strategy_params.mm.name (is "A"): it must match "^[a-z]+$"'),
        ({"name": "abcdefghi"}, 'strategy_params.mm.name (is "abcdefghi"): it must have at most 8 characters'),
        (
            {"share": 50},
            "strategy_params.mm.share (is 50): 50 is no ratio: ratios are fractions of 1, 50 % is 0.5",
        ),
        ({"sise": 1}, "strategy_params.mm.sise: no such field is known. Did you mean size?"),
        ({"legs": [{"left": "a"}, {}]}, "strategy_params.mm.legs: at [1].left: it must be given"),
        ({"legs": [{"left": 1}]}, "strategy_params.mm.legs (is 1): at [0].left: it must be a string"),
        ({"stop": "2"}, 'strategy_params.mm.stop (is "2"): it must be a number or null'),
        ({"at": "noon"}, 'strategy_params.mm.at (is "noon"): it must be written as "date-time"'),
    ],
)
def test_a_problem_names_path_value_and_remedy(fields: dict[str, Any], expected: str) -> None:
    assert told(SCHEMA, {"size": 1, **fields}) == [expected]


def test_all_problems_are_told_at_once() -> None:
    found = compile_schema(json.dumps(SCHEMA)).check({"name": 1, "share": 2, "zzz": 0}, PATH)
    assert sorted((problem.path.rpartition(".")[2], problem.rule) for problem in found) == [
        ("name", "type"),
        ("share", "unit"),
        ("size", "required"),
        ("zzz", "unknown-field"),
    ]


def test_a_field_that_no_path_can_name_is_told_in_words() -> None:
    assert told({"additionalProperties": {"type": "integer"}}, {"\n": "x", "a.b": "y"}) == [
        'strategy_params.mm (is "x"): at ["\\n"]: it must be an integer',
        'strategy_params.mm."a.b" (is "y"): it must be an integer',
    ]


def test_many_problems_are_cut_off() -> None:
    found = compile_schema('{"additionalProperties": {"type": "null"}}').check({f"k{n}": n for n in range(1000)}, PATH)
    assert (len(found), found[-1].rule) == (201, "more")


def secrets_of(schema: dict[str, Any], value: Any) -> list[Problem]:
    found = compile_schema(json.dumps(schema)).check(value, PATH)
    assert found
    assert "s3cret" not in str(found)
    return found


@pytest.mark.parametrize("word", [{"x-secret": True}, {"writeOnly": True}, {"format": "password"}])
@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ({"properties": {"key": {"type": "integer", "WORD": 1}}}, {"key": "s3cret"}),
        ({"properties": {"key": {"const": "a", "WORD": 1}}}, {"key": "s3cret"}),
        ({"properties": {"key": {"anyOf": [{"type": "null"}, {"type": "integer"}], "WORD": 1}}}, {"key": "s3cret"}),
        ({"properties": {"key": {"WORD": 1, "properties": {"a": {"type": "null"}}}}}, {"key": {"a": "s3cret"}}),
        ({"properties": {"key": {"type": "object", "properties": {"a": {"WORD": 1}}}}}, {"key": "s3cret"}),
        ({"$ref": "#/$defs/k", "$defs": {"k": {"additionalProperties": {"type": "null", "WORD": 1}}}}, {"b": "s3cret"}),
        ({"items": {"allOf": [{"WORD": 1}, {"maxLength": 1}]}}, ["s3cret"]),
        ({"patternProperties": {"^k": {"WORD": 1}}, "additionalProperties": {"type": "null"}}, {"z": "s3cret"}),
    ],
)
def test_a_secret_is_never_shown(word: dict[str, Any], shape: dict[str, Any], value: Any) -> None:
    schema = json.loads(json.dumps(shape).replace('"WORD": 1', json.dumps(word)[1:-1]))
    assert {problem.value for problem in secrets_of(schema, value)} <= {"***", ""}


def test_what_stands_in_an_unknown_field_is_not_shown_since_it_may_be_a_misspelt_secret() -> None:
    assert secrets_of(SCHEMA, {"size": 1, "api_kye": "s3cret"})[0].remedy == "Did you mean api_key?"
    secrets_of({"properties": {"old": False}}, {"old": "s3cret"})


def test_what_stands_in_an_object_is_not_shown_with_it() -> None:
    assert secrets_of({"type": "array"}, {"a": "s3cret"})[0].value == "{…}"


def test_the_nearest_of_several_forms_is_told() -> None:
    forms = [
        {"properties": {"kind": {"const": "limit"}, "price": {"type": "number"}}, "required": ["price"]},
        {"properties": {"kind": {"const": "market"}}, "maxProperties": 1},
    ]
    assert told({"oneOf": forms}, {"kind": "limit", "price": "9"}) == [
        'strategy_params.mm.price (is "9"): it must be a number. Write 9 without quotes'
    ]


def test_a_ratio_may_have_a_bound_of_its_own() -> None:
    schema = {"x-unit": "ratio", "maximum": 2}
    assert told(schema, 2) == []
    assert told(schema, 150) == ["strategy_params.mm (is 150): 150 is no ratio: ratios are fractions of 1"]


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"x-unit": "ms", "minimum": 50}, 2, "these are milliseconds: 2 s is 2000 ms"),
        ({"x-unit": "s", "maximum": 600}, 5000, "these are seconds: 5000 ms is 5 s"),
        ({"x-unit": "bps", "minimum": 1}, 0.01, "0.01 are no basis points: as a fraction it would be 100 basis points"),
        ({"x-unit": "ratio", "type": "number"}, "5%", "it must be a number. Write 0.05"),
        ({"x-unit": "ratio", "minimum": 0}, -1, "it must be at least 0"),
        ({"x-unit": "usd", "maximum": 600}, 5000, "it must be at most 600"),
        ({"type": "boolean"}, "5", "it must be a boolean"),
    ],
)
def test_units_are_explained_as_those_of_the_built_in_categories(
    schema: dict[str, Any], value: Any, expected: str
) -> None:
    (said,) = told(schema, value)
    assert said.partition("): ")[2] == expected


def test_a_draft_7_schema_is_read_by_the_rules_of_draft_7() -> None:
    schema = {
        "$schema": DRAFT_7,
        "items": [{"type": "integer"}, {"type": "string"}],
        "additionalItems": False,
        "definitions": {"a": {"type": "null"}},
    }
    assert told(schema, [1, "a"]) == []
    assert len(told(schema, ["a", "a", 3])) == 2


def test_in_draft_7_a_reference_makes_its_neighbours_void() -> None:
    schema = {"definitions": {"n": {"type": "number"}}, "$ref": "#/definitions/n", "maximum": 1}
    assert told({"$schema": DRAFT_7, **schema}, 5) == []
    assert len(told(schema, 5)) == 1


def test_recursion_through_the_value_is_free() -> None:
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "n": {"type": "integer"}}}
    value: dict[str, Any] = {"n": "x"}
    for _ in range(40):
        value = {"left": value, "right": {"n": 1}}
    assert len(told(tree, value)) == 1


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("[]", "#: a schema is an object."),
        ("{", "#: This is not JSON"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "#: $schema names neither draft 2020-12 nor draft 7"),
        ({"$schema": 7}, "#: $schema names neither"),
        ({"type": "strnig"}, "#/type: "),
        ({"properties": {"a": {"maximun": 3}}}, "#/properties/a: 'maximun' is no keyword. Did you mean maximum?"),
        ({"$schema": DRAFT_7, "prefixItems": []}, "#: prefixItems belongs to draft"),
        ({"additionalItems": False}, "#: additionalItems belongs to draft 7 and would be ignored"),
        ({"$dynamicRef": "#a"}, "#: $dynamicRef is not supported"),
        ({"format": "tiem"}, "#/format: the format 'tiem' is not known. Did you mean time?"),
        ({"$schema": DRAFT_7, "format": "uuid"}, "#/format: the format 'uuid' is"),
        ({"properties": {"a/b": {"x-unit": "parsec"}}}, "#/properties/a~1b/x-unit: the unit 'parsec' is not known"),
        ({"x-unit": 3}, "#/x-unit: a unit is a word"),
        ({"$ref": "#/$defs/no"}, "#: $ref '#/$defs/no' leads nowhere"),
    ],
)
def test_a_schema_that_cannot_be_meant_is_refused_with_its_place(schema: dict[str, Any] | str, expected: str) -> None:
    assert faults(schema)[0].startswith(expected)


def test_all_faults_of_a_schema_are_told_at_once_and_as_problems_of_the_field_that_holds_it() -> None:
    with pytest.raises(SchemaRefused) as refused:
        compile_schema(json.dumps({"maximun": 1, "properties": {"a": {"$ref": "file:///a"}}}))
    assert [(one.path, one.rule) for one in refused.value.at("schema.x.text")] == [
        ("schema.x.text", "keyword"),
        ("schema.x.text", "reference"),
    ]
    assert refused.value.at("schema.x.text")[1].why.startswith("at #/properties/a: $ref")


@pytest.mark.parametrize("kind", sorted(categories.MODELS))
def test_the_schemas_of_the_built_in_categories_are_among_those_that_are_taken(kind: str) -> None:
    assert compile_schema(json.dumps(categories.json_schema(kind))).check([], PATH)


def test_every_format_that_is_known_is_checked_or_a_hint() -> None:
    for draft, more in (("https://json-schema.org/draft/2020-12/schema", ["duration", "uuid"]), (DRAFT_7, [])):
        for name in [*FORMATS, *HINTS, *more]:
            assert (told({"$schema": draft, "format": name}, "\\[[%") == []) == (name in HINTS), name


def test_words_of_other_tools_are_annotations() -> None:
    assert told({"discriminator": {"propertyName": "kind"}, "x-order": 3, "markdownDescription": "…"}, 1) == []


def test_a_field_may_be_called_like_a_keyword() -> None:
    schema = {"properties": {"$ref": {"type": "integer"}, "pattern": {"type": "string"}}, "const": {"$ref": 1}}
    assert told(schema, {"$ref": 1}) == []


def test_an_anchor_is_followed() -> None:
    assert len(told({"$ref": "#n", "$defs": {"n": {"$anchor": "n", "type": "number"}, "any": True}}, "x")) == 1
