"""Parameters: what an instance may be given, the type, bounds and unit of each, and what is wrong with a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, TypeAlias, cast, get_args

from trimtab.model import canonical
from trimtab.model.canonical import Json
from trimtab.model.errors import ValueRefused, nearest
from trimtab.model.problems import MASK, Problem

Kind: TypeAlias = Literal["any", "amount", "boolean", "integer", "list", "number", "object", "text"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NUMERIC: Final[frozenset[Kind]] = frozenset({"amount", "integer", "number"})
SIZED: Final[frozenset[Kind]] = frozenset({"list", "text"})

_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_LONGEST_AMOUNT: Final = 100
_WORDS: Final[Mapping[Kind, str]] = {
    "any": "a value",
    "amount": "a number, or one as text so that it stays exact",
    "boolean": "true or false",
    "integer": "a whole number",
    "list": "a list",
    "number": "a number",
    "object": "an object",
    "text": "text",
}
_SHOWN: Final = 80
_HUNDRED: Final = 100


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit of a number. `sign` is what must hold of value and limit."""

    sign: Literal[">=", "<=", ">", "<"]
    limit: Decimal

    def holds(self, number: Decimal) -> bool:
        """Whether a number keeps it."""
        match self.sign:
            case ">=":
                return number >= self.limit
            case "<=":
                return number <= self.limit
            case ">":
                return number > self.limit
            case "<":
                return number < self.limit

    def __str__(self) -> str:
        words = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
        return f"{words[self.sign]} {self.limit:f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a template. `choices` and bounds are empty where any value of the kind will do.

    `items` is the kind of a list's elements; `shortest` and `longest` are characters of a text, elements of a list.
    """

    name: str
    kind: Kind = "any"
    unit: str = ""
    description: str = ""
    bounds: tuple[Bound, ...] = ()
    choices: tuple[Json, ...] = ()
    items: Kind = "any"
    shortest: int | None = None
    longest: int | None = None
    secret: bool = False
    example: Json = None

    def problems(self, value: Json) -> Iterator[Problem]:
        """Everything that is wrong with a plain JSON value."""
        if not _is(self.kind, value):
            yield self.problem("type", f"expected is {_WORDS[self.kind]}, this is {_found(value)}", value)
            return
        if self.choices and value not in self.choices:
            yield self._no_choice(value)
        if self.bounds:
            number = exact(value)
            yield from (self._outside(bound, value) for bound in self.bounds if not bound.holds(number))
        yield from self._misfits(value)

    def problem(self, rule: str, why: str, value: Json = None, remedy: str = "") -> Problem:
        """A problem at this parameter; the value of a secret is masked."""
        shown = MASK if self.secret and value is not None else short(value)
        return Problem(path=self.name, rule=rule, why=why, remedy=remedy, value=shown)

    def to_dict(self) -> dict[str, Json]:
        """The parameter for programs."""
        return {
            "name": self.name,
            "type": self.kind,
            "unit": self.unit,
            "description": self.description,
            "bounds": [str(bound) for bound in self.bounds],
            "choices": list(self.choices),
            "items": self.items,
            "min_length": self.shortest,
            "max_length": self.longest,
            "secret": self.secret,
            "example": self.example,
        }

    @property
    def length(self) -> str:
        """How long a text or a list may be, in words; empty if nobody says."""
        least, most = self.shortest, self.longest
        what = "character" if self.kind == "text" else "element"
        what += "" if (most or least) == 1 else "s"
        if least is None or most is None:
            return f"at least {least} {what}" if least is not None else f"at most {most} {what}" if most else ""
        return f"{least} {what}" if least == most else f"{least} to {most} {what}"

    def _no_choice(self, value: Json) -> Problem:
        known = ", ".join(short(one) for one in self.choices)
        texts = [one for one in self.choices if isinstance(one, str)]
        close = nearest(value, texts) if isinstance(value, str) else ""
        return self.problem("choice", f"it is none of {known}", value, close or f"Choose one of {known}")

    def _outside(self, bound: Bound, value: Json) -> Problem:
        number = exact(value)
        if self.unit == "ratio" and bound.sign in {"<", "<="} and number > 1 >= bound.limit:
            share = f"{(number / _HUNDRED).normalize():f}"
            why = f"{number:f} is no ratio: ratios are fractions of 1, {number:f} % is {share}"
            return self.problem("unit", why, value, f"Write {share}" if self._keeps(number / _HUNDRED) else "")
        said = " and ".join(map(str, self.bounds))
        return self.problem("range", f"it must be {bound}", value, f"Choose one that is {said}")

    def _keeps(self, number: Decimal) -> bool:
        return all(bound.holds(number) for bound in self.bounds)

    def _misfits(self, value: Json) -> Iterator[Problem]:
        """What is wrong with the length of a text or list, and with a list's elements."""
        if isinstance(value, str | list) and self.kind in SIZED:
            what = "characters" if isinstance(value, str) else "elements"
            if self.shortest is not None and len(value) < self.shortest:
                yield self.problem("length", f"it must have at least {self.shortest} {what}", value)
            if self.longest is not None and len(value) > self.longest:
                yield self.problem("length", f"it must have at most {self.longest} {what}", value)
        if isinstance(value, list):
            for number, element in enumerate(value, 1):
                if not _is(self.items, element):
                    why = f"element {number} is {_found(element)}, expected is {_WORDS[self.items]}"
                    yield self.problem("type", why, element)


def plain(kind: Kind, value: object) -> Json:
    """A value of the caller as JSON of our own, which nobody else holds; raises `ValueRefused`."""
    if kind == "amount" and isinstance(value, Decimal) and value.is_finite():
        return f"{value:f}"
    if isinstance(value, list | tuple | dict):
        return canonical.trusted(canonical.encode(cast("object", value)))
    canonical.encode(value)
    return cast("Json", value)


def unfit(name: str, error: ValueRefused) -> Problem:
    """The problem of a value that is no JSON within the limits."""
    return Problem(path=name, rule="value", why=f"{error.what}: {error.why}", remedy=error.remedy)


def exact(value: Json) -> Decimal:
    """The number that a numeric value stands for, in decimal."""
    return Decimal(str(value))


def short(value: Json) -> str:
    """A value for a message, as short JSON; empty for none."""
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _is(kind: Kind, value: Json) -> bool:
    if kind == "any":
        return True
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, str):
        return kind == "text" or (kind == "amount" and _is_amount(value))
    if isinstance(value, int):
        return kind in NUMERIC
    if isinstance(value, float):
        return kind in NUMERIC and kind != "integer"
    return kind == "list" if isinstance(value, list) else kind == "object" and value is not None


def _is_amount(text: str) -> bool:
    return len(text) <= _LONGEST_AMOUNT and _DECIMAL.fullmatch(text) is not None


def _found(value: Json) -> str:
    if value is None:
        return "null"
    words = {
        bool: "a boolean",
        int: "a whole number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return words[type(value)]
