"""JSON Schema of users' documents: drafts 2020-12 and 7, compiled once, checked in bounded time.

Nothing is ever fetched: `$ref` leads into the same text only. Patterns run in an engine whose time grows with the text
and with nothing else; one that it cannot do is refused with the reason. A text, its depth, its keywords and what a
check may cost are bounded (`json_schema_cost`). `format` is checked. Beside the drafts two words are ours: `x-unit`
says what a number is counted in (a `ratio` is at most 1 unless `maximum` says otherwise), `x-secret` (or
`writeOnly`, or the format `password`) that nobody is shown it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import jsonschema_rs

from trimtab.model import canonical
from trimtab.model.canonical import MAX_ITEM_BYTES, Json
from trimtab.model.errors import ValueRefused
from trimtab.model.problems import Problem
from trimtab_store.validation import json_schema_cost
from trimtab_store.validation.json_schema_cost import REGEX_BYTES, Weights
from trimtab_store.validation.json_schema_faults import Fault, SchemaRefused
from trimtab_store.validation.json_schema_nodes import HINTS, MAX_KEYWORDS, UNIT, Graph, graph_of
from trimtab_store.validation.json_schema_problems import Account

DRAFTS: Final = {
    "https://json-schema.org/draft/2020-12/schema": 2020,
    "http://json-schema.org/draft-07/schema": 7,
    "https://json-schema.org/draft-07/schema": 7,
}
UNITS: Final = ("ratio", "bps", "pct", "factor", "count", "ms", "s", "h", "MB", "amount", "usd")
_KEPT: Final = 256
_TOO_MUCH: Final = "it does not fit its schema, and is too large to tell everything"


class CompiledSchema:
    """A schema that is ready to check documents. Immutable; may be shared between threads."""

    def __init__(self, graph: Graph, weights: Weights, validator: jsonschema_rs.Validator) -> None:
        self._graph, self._weights, self._validator = graph, weights, validator
        self._is_light = weights.is_light
        self._is_valid = validator.is_valid

    @property
    def schema(self) -> dict[str, Json]:
        """The schema as it is applied; not to be changed."""
        return self._graph.root.schema

    @property
    def graph(self) -> Graph:
        """The schema as a graph of its subschemas."""
        return self._graph

    def check(self, value: Json, path: str) -> list[Problem]:
        """Everything that is wrong with a document that stands at a canonical path; nothing if it is valid.

        The document is what `trimtab.model.canonical` accepts, as all that is stored: the checker takes an integer of
        more than 4,299 digits for none at all.
        """
        if not self._is_light and (why := self._weights.refuses(value)):
            return [Problem(path=path, rule="size", why=why, remedy="Make the document smaller or the schema simpler")]
        try:
            if self._is_valid(value):
                return []
            if not self._weights.can_tell(value):
                return self._briefly(value, path)
            return Account(self._graph, path).problems(self._validator.iter_errors(value))
        except ValueError as error:  # what is no JSON, and what is nested deeper than the checker goes
            return [Problem(path=path, rule="type", why=f"it cannot be checked ({error})")]

    def _briefly(self, value: Json, path: str) -> list[Problem]:
        """The first thing that is wrong with a document that is too large for all of it, where that is one thing."""
        found: list[Problem] = []
        if not self._graph.has_forms:
            try:
                self._validator.validate(value)
            except jsonschema_rs.ValidationError as error:
                found = Account(self._graph, path).problems(iter([error]))
        return [*found, Problem(path=path, rule="schema", why=_TOO_MUCH, remedy="Check it in parts")]


@lru_cache(maxsize=_KEPT)
def compile_schema(text: str) -> CompiledSchema:
    """The schema of a JSON text; raises `SchemaRefused` with all that is wrong with it."""
    schema = _parse(text)
    draft = _draft(schema)
    graph = graph_of(schema, draft)
    if graph.keywords > MAX_KEYWORDS:
        raise SchemaRefused([Fault((), "size", f"it holds more than {MAX_KEYWORDS} keywords", "Divide it")])
    if not graph.faults:
        _apply_units(graph)
    weights = json_schema_cost.weigh(graph)
    if graph.faults:
        raise SchemaRefused(graph.faults)
    return CompiledSchema(graph, weights, _validator(schema, draft))


def _parse(text: str) -> dict[str, Json]:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_ITEM_BYTES:
        raise SchemaRefused([Fault((), "size", f"it is longer than {MAX_ITEM_BYTES} bytes", "Divide it")])
    try:
        schema = canonical.decode(text.encode("utf-8", "surrogatepass"))
    except ValueRefused as error:
        raise SchemaRefused([Fault((), "json", f"{error.what}: {error.why}", error.remedy)]) from error
    if not isinstance(schema, dict):
        raise SchemaRefused([Fault((), "type", "a schema is an object", 'Begin with {"type": "object"')])
    return schema


def _draft(schema: dict[str, Json]) -> int:
    named = schema.get("$schema", next(iter(DRAFTS)))
    found = DRAFTS.get(named.removesuffix("#")) if isinstance(named, str) else None
    if found is None:
        raise SchemaRefused([Fault((), "draft", "$schema names neither draft 2020-12 nor draft 7", "Name one of them")])
    return found


def _apply_units(graph: Graph) -> None:
    """Give ratios their bound; adds a fault for a unit that nobody knows."""
    for node in graph.nodes.values():
        unit = node.schema.get(UNIT)
        if unit is not None and unit not in UNITS:
            why = f"the unit {unit!r} is not known" if isinstance(unit, str) else "a unit is a word"
            graph.faults.append(Fault((*node.pointer, UNIT), "unit", why, f"Units are {', '.join(UNITS)}"))
        elif unit == "ratio" and not node.schema.keys() & {"maximum", "exclusiveMaximum"}:
            node.schema["maximum"] = 1


def _validator(schema: dict[str, Json], draft: int) -> jsonschema_rs.Validator:
    kind = jsonschema_rs.Draft202012Validator if draft != 7 else jsonschema_rs.Draft7Validator  # noqa: PLR2004
    try:
        return kind(
            schema,
            formats=dict.fromkeys(HINTS, _anything),
            validate_formats=True,
            ignore_unknown_formats=False,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=REGEX_BYTES, dfa_size_limit=REGEX_BYTES),
            offline=True,
        )
    except jsonschema_rs.ValidationError as error:
        where = tuple(str(step) for step in error.instance_path)
        why = error.message.splitlines()[0]
        raise SchemaRefused([Fault(where, "schema", why)]) from error


def _anything(value: str) -> bool:
    del value
    return True
