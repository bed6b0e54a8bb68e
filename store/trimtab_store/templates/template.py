"""Templates: definitions that are ready to make documents from parameters, and the instances that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from trimtab.model import documents, paths
from trimtab.model.canonical import Json
from trimtab.model.errors import PathError, ValueRefused, nearest
from trimtab.model.problems import MASK, DocumentsRefused, Problem
from trimtab_store.ports import Edits
from trimtab_store.templates.bodies import Body
from trimtab_store.templates.conditions import Condition
from trimtab_store.templates.parameters import Parameter, plain, unfit
from trimtab_store.writer import LayerLike

BUILT_IN: Final = "built in"
ID: Final = "id"
"""The parameter that names what is made; every template may use it without declaring it."""

REFERENCE: Final = "SECURE:"
"""What begins a reference to a secret that is kept elsewhere."""

Check: TypeAlias = Callable[[str, Json, str], list[Problem]]
"""Problems of a document: its type, its value, its path."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What a template made: documents by their canonical paths, in the template's order."""

    template: str
    version: str
    documents: Mapping[str, Json]
    secrets: frozenset[str] = frozenset()
    """Values that are not shown."""

    def put(self, edit: Edits, layer: LayerLike = None) -> None:
        """Put every document into a block of edits; what the layer itself holds there is replaced."""
        for path, value in self.documents.items():
            edit.set(path, value, layer)

    def shown(self) -> dict[str, Json]:
        """The documents for a person, secrets masked."""
        return {path: _masked(value, self.secrets) for path, value in self.documents.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template. Immutable, and shared by all who make instances of it.

    A parameter is `required` (without a default, it must be given), `optional` (left out where it is not given),
    `customizable` (with a default that an instance may replace), or else fixed: its default always counts. `origin` is
    `BUILT_IN`, or the environments that hold a part of it.
    """

    name: str
    category: str
    version: str
    description: str
    tags: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    customizable: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter]
    defaults: Mapping[str, Json]
    conditions: tuple[Condition, ...] = ()
    bodies: tuple[Body, ...]
    definition: Mapping[str, Json] = field(repr=False)
    origin: str = BUILT_IN

    @property
    def open(self) -> tuple[str, ...]:
        """The parameters that may be given, those that must be first."""
        return (*self.required, *self.optional, *self.customizable)

    @property
    def takes_id(self) -> bool:
        """Whether what it makes is named by the caller."""
        return ID in self.required

    def use(self, name: str) -> str:
        """How a parameter is used: required, optional, customizable or fixed."""
        lists = {"required": self.required, "optional": self.optional, "customizable": self.customizable}
        return next((word for word, names in lists.items() if name in names), "fixed")

    def instance(self, given: Mapping[str, object] | None = None, *, check: Check | None = None) -> Instance:
        """The documents for these parameters; pure, and the same for the same parameters.

        Raises `DocumentsRefused` with everything that is wrong: unknown parameters, missing ones, those that may not
        be given, types, bounds, conditions, and then what `check` finds in a document of a built-in type.
        """
        values, problems = self._values(given or {})
        problems += self._unmet(values, problems)
        if problems:
            raise self._refused(problems)
        made, problems = self._made(values)
        if check is not None:
            problems += [one for path, value in made.items() for one in _checked(check, path, value)]
        if problems:
            raise self._refused(problems)
        return Instance(self.name, self.version, made, self._secrets(values))

    def examples(self) -> dict[str, Json]:
        """An example of each required parameter that has one: what a first instance may be made with."""
        shown = {name: self.parameters[name].example for name in self.required}
        return {name: value for name, value in shown.items() if value is not None}

    def _values(self, given: Mapping[str, object]) -> tuple[dict[str, Json], list[Problem]]:
        """The value of every parameter that has one and is sound, and what is wrong with the others."""
        values = dict(self.defaults)
        problems: list[Problem] = []
        for name, value in given.items():
            if name not in self.open:
                problems.append(self._not_open(name))
                values.pop(name, None)
                continue
            parameter = self.parameters[name]
            try:
                values[name] = plain(parameter.kind, value)
            except ValueRefused as error:
                found = [unfit(name, error)]
            else:
                found = list(parameter.problems(values[name]))
            if found:
                values.pop(name, None)
                problems += found
        problems += [self._missing(name) for name in self.required if name not in given]
        return values, problems

    def _unmet(self, values: Mapping[str, Json], problems: list[Problem]) -> list[Problem]:
        """The conditions that do not hold, of those whose parameters are all known and sound."""
        unsound = {one.path for one in problems}
        return [
            Problem(
                path=one.names[0],
                rule="condition",
                why=f"{one.text} does not hold",
                remedy=f"Change {' or '.join(one.names)}",
                value=_said(one, values),
            )
            for one in self.conditions
            if all(name in values and name not in unsound for name in one.names) and not one.holds(values)
        ]

    def _made(self, values: Mapping[str, Json]) -> tuple[dict[str, Json], list[Problem]]:
        """Every document, and the paths that these values spoil."""
        made: dict[str, Json] = {}
        problems: list[Problem] = []
        for body in self.bodies:
            try:
                filled = body.fill(values)
            except PathError as error:
                problems.append(Problem(path=body.path, rule="path", why=f"{error.what}: {error.why}"))
                continue
            if filled is None:
                continue
            path, value = filled
            other = next((one for one in made if _meet(one, path)), "")
            if other:
                why = f"the document {body.path} would lie in another one, at {other}"
                problems.append(Problem(path=path, rule="duplicate", why=why))
            made[path] = value
        if not made and not problems:
            problems.append(
                Problem(path=self.name, rule="empty", why="nothing is given, so there is no document to make")
            )
        return made, problems

    def _secrets(self, values: Mapping[str, Json]) -> frozenset[str]:
        """The values of secret parameters; a reference to a secret is none itself."""
        given = (str(values[name]) for name, one in self.parameters.items() if one.secret and name in values)
        return frozenset(value for value in given if not value.startswith(REFERENCE))

    def _not_open(self, name: str) -> Problem:
        if name in self.defaults:
            value = self.parameters[name].problem("", "", self.defaults[name]).value
            why = f"{self.name} fixes it at {value}; it is not customizable"
            return Problem(path=name, rule="not-customizable", why=why, remedy="Leave it out, or use another template")
        known = ", ".join(self.open)
        remedy = nearest(name, self.open) or (f"Known are {known}" if known else "Leave it out")
        return Problem(path=name, rule="unknown-parameter", why=f"{self.name} has no such parameter", remedy=remedy)

    def _missing(self, name: str) -> Problem:
        parameter = self.parameters[name]
        example = parameter.problem("", "", parameter.example).value
        said = f" ({parameter.description})" if parameter.description else ""
        remedy = f"Give it, such as {example}" if example else "Give it"
        return parameter.problem("required", f"{self.name} needs it{said}", remedy=remedy)

    def _refused(self, problems: list[Problem]) -> DocumentsRefused:
        return DocumentsRefused(problems, f"This instance of the template {self.name} is refused")


def _checked(check: Check, path: str, value: Json) -> list[Problem]:
    kind = documents.KNOWN.type_of(path)
    return [] if kind is None else check(kind, value, path)


def _meet(one: str, other: str) -> bool:
    return one == other or paths.is_below(one, other) or paths.is_below(other, one)


def _said(condition: Condition, values: Mapping[str, Json]) -> str:
    return ", ".join(f"{name} {values[name]}" for name in condition.names)


def _masked(value: Json, secrets: frozenset[str]) -> Json:
    if isinstance(value, dict):
        return {key: _masked(child, secrets) for key, child in value.items()}
    if isinstance(value, list):
        return [_masked(element, secrets) for element in value]
    return MASK if isinstance(value, str) and value in secrets else value
