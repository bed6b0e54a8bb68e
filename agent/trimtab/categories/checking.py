"""Checking: what a document's model refuses, all of it at once, said for people. A right one costs a glance only."""

from __future__ import annotations

from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trimtab.categories import explaining, spelling
from trimtab.categories.base import Category
from trimtab.categories.fields import Place, place_of
from trimtab.categories.glancing import Glance, glance_of
from trimtab.categories.models import MODELS
from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.errors import PathError
from trimtab.model.problems import Problem

_GLANCES: Final[dict[str, Glance]] = {}


def check(kind: str, value: Json, path: str) -> list[Problem]:
    """What is wrong with a document of a type, at a canonical path; nothing for a type that is not ours."""
    glance = _GLANCES.get(kind) or _glance(kind)
    if glance is None:
        return []
    try:
        if not glance(value):
            return _looked_at(kind, value, path)
    except RecursionError:
        return [Problem(path=path, rule="depth", why="it is nested far deeper than anything that can be stored")]
    return _misplaced(cast("dict[str, str]", value)["address"], path) if kind == "token" else []


def _glance(kind: str) -> Glance | None:
    """What looks at a type first, built at first need: most processes meet few types."""
    model = MODELS.get(kind)
    if model is None:
        return None
    _GLANCES[kind] = glance_of(model)
    return _GLANCES[kind]


def _looked_at(kind: str, value: Json, path: str) -> list[Problem]:
    """What the model says of a document that a glance did not take: in another spelling it may be right."""
    model = MODELS[kind]
    try:
        read = model.__pydantic_validator__.validate_python(value)
    except ValidationError:
        return _problems(model, value, path)
    return _misplaced(read.address, path) if kind == "token" else []


def clash_problems(clashes: list[spelling.Clash], path: str) -> list[Problem]:
    """Fields that are given twice with different values, as problems of a document at a path."""
    return [
        Problem(
            path=_written((*paths.parse(path), *clash.segments))[0],
            rule="spelling",
            why=f"{'.'.join(clash.first)} and {'.'.join(clash.second)} are one field with two different values",
            remedy="Keep one of them",
        )
        for clash in clashes
    ]


def _problems(model: type[Category], value: Json, path: str) -> list[Problem]:
    place = place_of(model)
    leaves, clashes = spelling.respelled(place, dict(spelling.leaves_of(value)))
    plain = spelling.assembled(leaves)
    said = _errors(model, plain)
    # what is said of several fields is said only where each of them is right: ask again without those that are not
    again = _errors(model, _without(plain, [_where(one)[0] for one in said])) if said else []
    told = {_where(one)[0] for one in said}
    said += [one for one in again if one["type"] != "missing" and _where(one)[0] not in told]
    return [*clash_problems(clashes, path), *(_problem(one, place, plain, path) for one in said)]


def _errors(model: type[Category], value: Json) -> list[ErrorDetails]:
    try:
        model.__pydantic_validator__.validate_python(value)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _without(value: Json, fields: list[tuple[str, ...]]) -> Json:
    """A document without some of its fields."""
    return spelling.assembled(
        {
            segments: leaf
            for segments, leaf in spelling.leaves_of(value)
            if not any(segments[: len(field)] == field for field in fields)
        }
    )


def _problem(said: ErrorDetails, place: Place, value: Json, path: str) -> Problem:
    where, item = _where(said)
    above, here = place, place
    secret = False
    inner: Any = value
    for segment in where:
        # what nobody knows beside secrets may be one that is misspelled
        above, here = here, here.below(segment) or Place(secret=here.guarded)
        secret = secret or here.secret
        inner = cast("dict[str, Any]", inner).get(segment) if isinstance(inner, dict) else None
    told = explaining.explain(said, here, above)
    shown = said["input"] if item is not None else inner
    spelled, rest = _written((*paths.parse(path), *where))
    why = told.why if item is None else f"its item {item + 1} {told.why}"
    return Problem(
        path=spelled,
        rule=told.rule,
        why=f"{rest!r}: {why}" if rest else why,
        remedy=told.remedy,
        value="" if told.rule == "required" else explaining.shown(shown, secret=secret or here.guarded),
    )


def _written(segments: tuple[str, ...]) -> tuple[str, str]:
    """A path as far as one can say it, and the name from where on none can, as a control character in it."""
    for length in range(len(segments), 0, -1):
        try:
            return paths.join(segments[:length]), "".join(segments[length : length + 1])
        except PathError:
            continue
    raise AssertionError("the document itself has a path")


def _where(said: ErrorDetails) -> tuple[tuple[str, ...], int | None]:
    """The segments of the field that an error is about, and which item of its list."""
    found: list[str] = []
    item = None
    for one in said["loc"]:
        if isinstance(one, int):
            item = one
            break
        if one != "[key]":
            found.append(one)
    context = said.get("ctx", {})
    return (*found, context["at"]) if "at" in context else tuple(found), item


def _misplaced(address: str, path: str) -> list[Problem]:
    """A token whose address is not the one that it stands under."""
    stands = paths.parse(path)[-1]
    if address == stands:
        return []
    return [
        Problem(
            path=paths.join((*paths.parse(path), "address")),
            rule="address",
            why=f"stands under {stands}, which is another token",
            remedy="A token stands at token.<its address>",
            value=explaining.shown(address, secret=False),
        )
    ]
