"""Definitions: from the JSON of a template to one that makes documents, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from trimtab import categories
from trimtab.model import canonical, paths
from trimtab.model.canonical import Json
from trimtab.model.errors import PathError, ValueRefused, nearest
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab_store.templates import conditions
from trimtab_store.templates.bodies import Body, Place, places
from trimtab_store.templates.conditions import Condition
from trimtab_store.templates.parameters import NUMERIC, SIZED, Bound, Kind, Parameter, unfit
from trimtab_store.templates.strangers import strangers
from trimtab_store.templates.template import BUILT_IN, ID, Template

CATEGORY: Final = "template"
Definition: TypeAlias = Mapping[str, Any]
"""A definition whose shape `trimtab.categories` has checked."""

_SIGNS: Final[Mapping[str, Literal[">=", "<=", ">", "<"]]] = {
    "minimum": ">=",
    "exclusive_minimum": ">",
    "maximum": "<=",
    "exclusive_maximum": "<",
}
_LISTS: Final = ("required", "optional", "customizable")
_ID: Final = Parameter(
    name=ID, kind="text", description="the name of what is made", shortest=1, longest=50, example="my-first"
)
_IN_TEXT: Final[frozenset[Kind]] = frozenset({"amount", "boolean", "integer", "number", "text"})


def read(definition: Json, name: str | None = None, *, origin: str = BUILT_IN) -> Template:
    """The template that a definition says; raises `DocumentsRefused` with everything that is wrong with it.

    `name` is what it must be called: the segment that it is stored under.
    """
    problems = faults(definition, name)
    if problems:
        raise DocumentsRefused(problems, f"The template {name or _called(definition)} is refused")
    return _compiled(_canonical(definition), origin)


def faults(definition: Json, name: str | None = None) -> list[Problem]:
    """Everything that is wrong with a definition: its shape, or else what its parts say of each other."""
    at = paths.join((CATEGORY, name or _called(definition)))
    try:
        canonical.encode(definition)
    except ValueRefused as error:
        return [unfit(at, error)]
    return categories.check(CATEGORY, definition, at) or contradictions(definition, name)


def contradictions(definition: Json, name: str | None = None) -> list[Problem]:
    """What the parts of a definition say of each other that cannot be; nothing is wrong with its shape."""
    plain = _canonical(definition)
    at = paths.join((CATEGORY, name or plain["name"]))
    told = [*_misnamed(plain, name), *_lists(plain), *_defaults(plain), *_conditions(plain), *_documents(plain)]
    if not told:
        found = strangers(plain["documents"], _parameters(plain), plain.get("defaults", {}))
        told = [("documents", "unknown-field", why, remedy) for why, remedy in found]
    return [Problem(path=f"{at}.{field}", rule=rule, why=why, remedy=remedy) for field, rule, why, remedy in told]


def _canonical(definition: Json) -> Definition:
    """A definition in canonical spelling, in its own order if that is how it is spelled already."""
    plain, _ = categories.respell_document(CATEGORY, definition)
    chosen = definition if plain == definition else plain
    assert isinstance(chosen, dict), "its shape is checked"
    return chosen


Told: TypeAlias = "Iterator[tuple[str, str, str, str]]"
"""Field, rule, why and remedy of each problem."""


def _misnamed(definition: Definition, name: str | None) -> Told:
    if name is not None and definition["name"] != name:
        yield "name", "name", f"it is stored as {name} and calls itself {definition['name']}", f"Call it {name}"


def _lists(definition: Definition) -> Told:
    """What is wrong with who may give what: each parameter has one place, and a default where it needs one."""
    defaults, seen = definition.get("defaults", {}), dict[str, str]()
    for listed in _LISTS:
        for name in definition.get(listed, []):
            if name in seen:
                where = "once" if seen[name] == listed else f"in {seen[name]} or in {listed}"
                yield listed, "duplicate", f"{name} is named twice", f"Name it {where}"
            seen[name] = listed
            if listed == "customizable" and name not in defaults:
                yield listed, "default", f"{name} has no default", "Give it one, or make it required or optional"
            if listed != "customizable" and name in defaults:
                yield listed, "default", f"{name} has a default", "List it as customizable, or remove the default"
    for name in definition.get("parameters", {}):
        if name not in seen and name not in defaults and name != ID:
            yield "parameters", "unused", f"nobody can give {name}, and it has no default", "List it, or remove it"


def _defaults(definition: Definition) -> Told:
    """What is wrong with bounds, and with the defaults and examples within them."""
    for name, parameter in _parameters(definition).items():
        said = definition.get("parameters", {}).get(name, {})
        lower, upper = _limits(parameter, {">", ">="}), _limits(parameter, {"<", "<="})
        if parameter.bounds and parameter.kind not in NUMERIC:
            yield "parameters", "bounds", f"{name} is of the type {parameter.kind}, which has no bounds", "Remove them"
        elif lower and upper and max(lower) > min(upper):
            yield "parameters", "bounds", f"no value of {name} keeps its bounds", "Change one of them"
        elif (parameter.shortest, parameter.longest) != (None, None) and parameter.kind not in SIZED:
            yield "parameters", "bounds", f"{name} is of the type {parameter.kind}, which has no length", "Remove it"
        else:
            for what, value in _samples(definition, name, said):
                for one in parameter.problems(value):
                    yield what, one.rule, f"{name}: {one.why}", one.remedy


def _limits(parameter: Parameter, signs: Iterable[str]) -> list[Decimal]:
    return [bound.limit for bound in parameter.bounds if bound.sign in signs]


def _samples(definition: Definition, name: str, said: Definition) -> Iterator[tuple[str, Json]]:
    if name in definition.get("defaults", {}):
        yield "defaults", definition["defaults"][name]
    if said.get("example") is not None:
        yield "parameters", said["example"]


def _conditions(definition: Definition) -> Told:
    known, defaults = _parameters(definition), definition.get("defaults", {})
    for text in definition.get("validation_rules", []):
        try:
            condition = conditions.parse(text)
        except ValueRefused as error:
            yield "validation_rules", "condition", f"{error.what}: {error.why}", error.remedy
            continue
        strangers = [name for name in condition.names if name not in known]
        wordy = [name for name in condition.names if name in known and known[name].kind not in NUMERIC]
        for name in strangers:
            yield "validation_rules", "unknown-parameter", f"{text} names {name}", nearest(name, known)
        for name in wordy:
            yield "validation_rules", "type", f"{text} compares {name}, which is no number", "Give it a number's type"
        sound = not strangers and not wordy and all(name in defaults for name in condition.names)
        if sound and not condition.holds(defaults):
            yield "validation_rules", "condition", f"{text} does not hold for the defaults", "Change one of them"


def _documents(definition: Definition) -> Told:
    """What is wrong with the documents: their paths, and the parameters that they name or never use."""
    known, used = _parameters(definition), set[str]()
    for path, value in definition["documents"].items():
        try:
            found = list(places(path, value))
        except PathError as error:
            yield "documents", "path", f"{error.what}: {error.why}", error.remedy
            used.update(known)  # what this document uses is not known
            continue
        for place in found:
            used.add(place.name)
            yield from _misplaced(definition, known, place)
    for name in known:
        if name not in used:
            yield "documents", "unused", f"no document uses the parameter {name}", f"Write <{name}> where it goes"


def _misplaced(definition: Definition, known: Mapping[str, Parameter], place: Place) -> Told:
    written = f"<{place.name}> at {place.where}"
    if place.name not in known:
        remedy = nearest(place.name, known) or "Declare it; a plain < before letters is written <<"
        yield "documents", "unknown-parameter", f"{written} is no parameter", remedy
    elif place.key:
        yield "documents", "key", f"{written} stands in a key", "Put it into the path of a document, or into a value"
    elif not place.alone and place.name in definition.get("optional", []):
        why = f"{written} stands inside a text, and nothing is there when it is not given"
        yield "documents", "optional", why, "Let it stand alone, or make it required"
    elif not place.alone and known[place.name].kind not in _IN_TEXT:
        why = f"{written} stands inside a text, and its type is {known[place.name].kind}"
        yield "documents", "type", why, "Give it a type that has a text, or let it stand alone"


def _compiled(definition: Definition, origin: str) -> Template:
    parameters = _parameters(definition)
    required = tuple(definition.get("required", []))
    if ID in parameters and ID not in required:
        required = (ID, *required)
    return Template(
        name=definition["name"],
        category=definition["category"],
        version=definition.get("version", "1.0.0"),
        description=definition.get("description", ""),
        tags=tuple(definition.get("tags", [])),
        required=required,
        optional=tuple(definition.get("optional", [])),
        customizable=tuple(definition.get("customizable", [])),
        parameters=parameters,
        defaults=definition.get("defaults", {}),
        conditions=_parsed(definition),
        bodies=tuple(Body(path, value) for path, value in definition["documents"].items()),
        definition=definition,
        origin=origin,
    )


def _parsed(definition: Definition) -> tuple[Condition, ...]:
    return tuple(conditions.parse(text) for text in definition.get("validation_rules", []))


def _parameters(definition: Definition) -> dict[str, Parameter]:
    """Every parameter: those that are listed or have a default, and the id if a document uses it."""
    said, defaults = definition.get("parameters", {}), definition.get("defaults", {})
    listed = [name for group in _LISTS for name in definition.get(group, [])]
    own = [ID] if _uses_id(definition) or ID in said else []
    known: list[str] = [*own, *listed, *defaults]
    return {name: _parameter(name, said.get(name), defaults.get(name)) for name in known}


def _uses_id(definition: Definition) -> bool:
    documents: Mapping[str, Json] = definition["documents"]
    try:
        return any(place.name == ID for path, value in documents.items() for place in places(path, value))
    except PathError:
        return False  # told of the document itself


def _parameter(name: str, said: Definition | None, default: Json) -> Parameter:
    """A parameter as it is declared; the type that is not declared is its default's."""
    if said is None:
        return _ID if name == ID else Parameter(name=name, kind=_kind_of(default))
    bounds = [Bound(sign, Decimal(str(said[word]))) for word, sign in _SIGNS.items() if said.get(word) is not None]
    return Parameter(
        name=name,
        kind=said.get("type") or _kind_of(default),
        unit=said.get("unit", ""),
        description=said.get("description", ""),
        bounds=tuple(bounds),
        choices=tuple(said.get("choices", [])),
        items=said.get("items", "any"),
        shortest=said.get("min_length"),
        longest=said.get("max_length"),
        secret=said.get("secret", False),
        example=said.get("example"),
    )


def _kind_of(default: Json) -> Kind:
    """The type of a default; numbers and whole numbers are told apart."""
    if isinstance(default, bool):
        return "boolean"
    kinds: Mapping[type, Kind] = {int: "integer", float: "number", str: "text", list: "list", dict: "object"}
    return kinds.get(type(default), "any")


def _called(definition: Json) -> str:
    name = definition.get("name") if isinstance(definition, dict) else None
    return name if isinstance(name, str) and name else "unnamed"
