"""What the checker found, as problems: each with path, rule, value (masked where the schema says so) and remedy.

The checker's own messages are not used: they show values.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeAlias, cast

import jsonschema_rs

from trimtab.categories import hints
from trimtab.categories.fields import Place
from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.errors import PathError, nearest
from trimtab.model.problems import MASK, Problem
from trimtab_store.validation.json_schema_nodes import Graph, Node, closure

Steps: TypeAlias = "tuple[str | int, ...]"
MAX_PROBLEMS: Final = 200
"""Of one document; the rest is counted."""
_GUESSES: Final = 20
"""So often the nearest word is looked for: with thousands of words to choose from it takes its time."""
_SHOWN: Final = 60
_OPTIONS: Final = 8

_RULES: Final = {
    "maximum": ("range", "it must be at most {}"),
    "exclusiveMaximum": ("range", "it must be less than {}"),
    "minimum": ("range", "it must be at least {}"),
    "exclusiveMinimum": ("range", "it must be more than {}"),
    "multipleOf": ("range", "it must be a multiple of {}"),
    "maxLength": ("length", "it must have at most {} characters"),
    "minLength": ("length", "it must have at least {} characters"),
    "maxItems": ("length", "it must have at most {} elements"),
    "minItems": ("length", "it must have at least {} elements"),
    "additionalItems": ("length", "it must have at most {} elements"),
    "maxProperties": ("length", "it must have at most {} fields"),
    "minProperties": ("length", "it must have at least {} fields"),
    "pattern": ("pattern", "it must match {}"),
    "format": ("format", "it must be written as {}"),
    "contentEncoding": ("format", "it must be written as {}"),
    "contentMediaType": ("format", "it must be {}"),
    "const": ("choice", "it must be {}"),
}
"""Keyword → rule, sentence with the keyword's value."""
_PLAIN: Final = {
    "falseSchema": ("unknown-field", "nothing may stand here"),
    "uniqueItems": ("unique", "its elements must differ"),
    "contains": ("contains", "too few or too many of its elements are of the kind that must be among them"),
    "not": ("not", "it is what must not stand here"),
    "unevaluatedItems": ("length", "it has more elements than the schema knows"),
}
_BOUNDS: Final = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}
_NUMBERS: Final = frozenset({"integer", "number"})
_TYPES: Final = {"object": "an object", "array": "an array", "integer": "an integer", "null": "null"}
_UNKNOWN: Final = {"additionalProperties", "unevaluatedProperties"}
_BRANCHES: Final = {"anyOf", "oneOf"}


class Account:
    """Turns what the checker found in one document into problems."""

    def __init__(self, graph: Graph, path: str) -> None:
        self._graph, self._path = graph, path
        self._guesses = _GUESSES

    def problems(self, errors: Iterator[jsonschema_rs.ValidationError]) -> list[Problem]:
        """The problems, at most `MAX_PROBLEMS` and one that says that there are more; each once."""
        every = (problem for error in errors for problem in self._of(error))
        found = list(dict.fromkeys(map(_Same, islice(every, MAX_PROBLEMS + 1))))
        told = [one.problem for one in found[:MAX_PROBLEMS]]
        if len(found) > MAX_PROBLEMS:
            told.append(Problem(path=self._path, rule="more", why=f"it has more than {MAX_PROBLEMS} problems"))
        return told

    def _of(self, error: jsonschema_rs.ValidationError) -> Iterator[Problem]:
        name, steps = error.kind.name, tuple(error.instance_path)
        if name in _UNKNOWN:
            known = sorted(name for node in self._graph.reaching(steps) for name in node.named if not name.isdecimal())
            for unexpected in cast("list[str]", error.kind.value):
                remedy = nearest(unexpected, known) if self._may_guess() else ""
                yield self._problem((*steps, unexpected), "unknown-field", "no such field is known", remedy)
        elif name == "required":
            yield self._problem((*steps, cast("str", error.kind.value)), "required", "it must be given")
        elif name in _BRANCHES:
            yield from self._branches(error, steps)
        elif name == "propertyNames":
            named = cast("jsonschema_rs.ValidationError", error.kind.value)
            why = f"the name {_short(cast('Json', named.instance))} is not permitted"
            yield self._problem(steps, "name", why)
        else:
            yield self._plain(error, steps)

    def _plain(self, error: jsonschema_rs.ValidationError, steps: Steps) -> Problem:
        name, value = error.kind.name, cast("Json", error.instance)
        remedy = ""
        if name in _RULES:
            rule, sentence = _RULES[name]
            why = sentence.format(_short(cast("Json", error.kind.value)))
        elif name == "type":
            rule, why = "type", f"it must be {_types(cast('list[str]', error.kind.value))}"
        elif name == "enum":
            options = cast("list[Json]", error.kind.value)
            rule, why = "choice", _choice(options)
            remedy = _near(value, options) if self._may_guess() else ""
        else:
            rule, why = _PLAIN.get(name, (name, f"it breaks the schema's {name}"))
        if self._is_masked(steps):
            return self._problem(steps, rule, why, value=MASK)
        place = _place(self._graph.reaching(steps))
        if name in _BOUNDS and (hint := hints.of_number(value, place)):
            rule, why = "unit", hint
        elif name == "type" and _NUMBERS.intersection(cast("list[str]", error.kind.value)):
            remedy = hints.of_writing(value, place)
        shown = "" if name == "falseSchema" else _short(value)
        return self._problem(steps, rule, why, remedy, shown)

    def _may_guess(self) -> bool:
        self._guesses -= 1
        return self._guesses >= 0

    def _branches(self, error: jsonschema_rs.ValidationError, steps: Steps) -> Iterator[Problem]:
        """No form fits: what is wrong with the nearest one; or several do."""
        forms = cast("list[list[jsonschema_rs.ValidationError]]", error.kind.value)
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.OneOfMultipleValid):
            yield self._problem(steps, "choice", f"it fits more than one of {len(forms)} forms, of which one is meant")
            return
        at_once = [form[0] for form in forms if len(form) == 1 and form[0].kind.name == "type"]
        if len(at_once) == len(forms) and all(tuple(one.instance_path) == steps for one in at_once):
            types = [name for one in at_once for name in cast("list[str]", one.kind.value)]
            value = MASK if self._is_masked(steps) else _short(cast("Json", error.instance))
            yield self._problem(steps, "type", f"it must be {_types(types)}", value=value)
            return
        closest = min(forms, key=lambda form: (any(_says_another(one, steps) for one in form), len(form)))
        for one in closest:
            yield from self._of(one)

    def _is_masked(self, steps: Steps) -> bool:
        return is_masked(self._graph, steps)

    def _problem(self, steps: Steps, rule: str, why: str, remedy: str = "", value: str = "") -> Problem:
        """A problem at the deepest place that a path can name; what lies in an array is told in words."""
        path, rest = self._path, ""
        for step in steps:
            if not rest and isinstance(step, str):
                try:
                    path = paths.canonical(paths.child(path, step))
                except PathError:
                    rest = f"[{_short(step)}]"
                continue
            rest += f"[{step}]" if isinstance(step, int) else f".{step}"
        said = f"at {rest}: {why}" if rest else why
        return Problem(path=path, rule=rule, why=said, remedy=remedy, value=value)


class _Same:
    """A problem, equal to another one that says the same."""

    __slots__ = ("_key", "problem")

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._key = (problem.path, problem.rule, problem.why)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def _says_another(error: jsonschema_rs.ValidationError, steps: Steps) -> bool:
    """Whether an error tells that another form was meant: a wrong type, or another value of a distinguishing field."""
    depth = len(error.instance_path) - len(steps)
    return (depth == 0 and error.kind.name == "type") or (depth <= 1 and error.kind.name in {"const", "enum"})


def is_masked(graph: Graph, steps: Steps) -> bool:
    """Whether a schema of this place, of one above it or of one below it says that it is secret."""
    above = (node for length in range(len(steps) + 1) for node in graph.reaching(steps[:length]))
    return any(node.is_secret for node in above) or _holds_secret(graph.reaching(steps))


def _holds_secret(nodes: list[Node]) -> bool:
    seen = dict.fromkeys(closure(nodes))
    waiting = list(seen)
    while waiting:
        node = waiting.pop()
        if node.is_secret:
            return True
        for below in closure([*node.named.values(), *node.others]):
            if below not in seen:
                seen[below] = None
                waiting.append(below)
    return False


def _place(nodes: list[Node]) -> Place:
    """What the schemas of one place say of a number, as the built-in categories say it."""
    bounds: dict[str, Json] = {}
    for node in nodes:
        for keyword, bound in _BOUNDS.items():
            if keyword in node.schema:
                bounds.setdefault(bound, node.schema[keyword])
    return Place(unit=next((node.unit for node in nodes if node.unit), None), bounds=bounds)


def _types(names: list[str]) -> str:
    return " or ".join(_TYPES.get(name, f"a {name}") for name in dict.fromkeys(names))


def _choice(options: list[Json]) -> str:
    shown = ", ".join(_short(option) for option in options[:_OPTIONS])
    more = f" or one of {len(options) - _OPTIONS} more" if len(options) > _OPTIONS else ""
    return f"it must be one of {shown}{more}"


def _near(value: Json, options: list[Json]) -> str:
    words = [option for option in options if isinstance(option, str)]
    close = difflib.get_close_matches(value[:_SHOWN], words, n=1) if isinstance(value, str) else []
    return f"Did you mean {close[0]}?" if close else ""


def _short(value: Json) -> str:
    """A value as short JSON; what is in an object or an array is not shown."""
    if isinstance(value, dict | list):
        inside = "…" if value else ""
        return f"{{{inside}}}" if isinstance(value, dict) else f"[{inside}]"
    text = json.dumps(value if not isinstance(value, str) else value[: _SHOWN + 1], ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
