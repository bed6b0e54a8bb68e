"""Any schema, any document: an answer, the bare checker's answer, and no secret in it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab_store.validation.json_schema import compile_schema
from trimtab_store.validation.json_schema_faults import SchemaRefused

NAMES = st.sampled_from(["a", "b", "c", "api_key", "x.y", ""])
SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1.5, 1e300]) | st.text("ab1", max_size=4)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    every: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
        "enum": st.lists(SCALARS, min_size=1, max_size=3, unique_by=repr),
        "const": VALUES,
        "minimum": st.integers(-3, 3),
        "exclusiveMaximum": st.integers(-3, 3),
        "maxLength": st.integers(0, 3),
        "pattern": st.sampled_from(["^a", "b$", "(a|b)+"]),
        "properties": st.dictionaries(NAMES, inner, max_size=3),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
        "additionalProperties": inner | st.booleans(),
        "required": st.lists(NAMES, max_size=2, unique=True),
        "items": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "contains": inner,
        "minItems": st.integers(0, 3),
        "uniqueItems": st.booleans(),
        "propertyNames": inner,
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
        "if": inner,
        "then": inner,
        "unevaluatedProperties": st.booleans(),
        "$ref": st.sampled_from(["#", "#/$defs/d"]),
        "$defs": st.fixed_dictionaries({"d": inner}),
        "x-secret": st.just(value=True),
    }
    several = st.lists(st.sampled_from(sorted(every)), max_size=4, unique=True)
    return several.flatmap(lambda names: st.fixed_dictionaries({name: every[name] for name in names}))


SCHEMAS = _schemas(st.recursive(st.fixed_dictionaries({}, optional={"type": TYPES}), _schemas, max_leaves=5))


@given(SCHEMAS, VALUES)
@settings(max_examples=100, deadline=None)
def test_a_schema_is_refused_or_says_what_the_bare_checker_says(schema: dict[str, Any], value: Any) -> None:
    try:
        compiled = compile_schema(json.dumps(schema))
    except SchemaRefused:  # by a bound, or for what cannot be meant
        return
    found = compiled.check(value, "doc.x")
    assert (found == []) == jsonschema_rs.is_valid(schema, value, validate_formats=True, offline=True)
    for problem in found:
        assert paths.canonical(problem.path) == problem.path
        assert problem.why
        assert not problem.why.endswith(".")


def _with_secrets(value: Json) -> Json:
    """The document with a secret in place of everything that is called `api_key`."""
    if isinstance(value, dict):
        return {name: "s3cret" if name == "api_key" else _with_secrets(one) for name, one in value.items()}
    return [_with_secrets(one) for one in value] if isinstance(value, list) else value


def _declared(schema: Json) -> Json:
    """The schema with an `api_key` among all properties that is secret, and without values to compare with."""
    if isinstance(schema, list):
        return [_declared(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _declared(one) for name, one in schema.items() if name not in {"const", "enum"}}
    fields = made.get("properties")
    secret: Json = {"x-secret": True, "maxLength": 1}
    return {**made, "properties": {**(fields if isinstance(fields, dict) else {}), "api_key": secret}}


@given(SCHEMAS, VALUES)
@settings(max_examples=100, deadline=None)
def test_no_problem_shows_a_secret(schema: dict[str, Any], value: Any) -> None:
    try:
        compiled = compile_schema(json.dumps(_declared(schema)))
    except SchemaRefused:
        return
    assert "s3cret" not in str(compiled.check(_with_secrets(value), "doc.x"))
