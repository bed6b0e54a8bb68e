"""What variables mean: the path that each of them names, and its text as the JSON that the path takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from trimtab.model import canonical
from trimtab.model.canonical import Json
from trimtab.model.errors import TrimtabError, ValidationError, ValueRefused
from trimtab_store.files import Assignment, FileRefused, load_json
from trimtab_store.files.yaml_core import plain_scalar
from trimtab_store.sources.fields import ANY, Types
from trimtab_store.sources.known import CATEGORIES, Known

PREFIX: Final = "QUANTBOT_"
OWN_PREFIX: Final = "TRIMTAB_"
"""Variables that configure Trimtab itself are never configuration of bots."""
_SHOWN: Final = 5
_KINDS: Final = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list, written a,b or as JSON",
    "null": "null",
}


class VariableRefused(ValidationError):
    """A variable that names no path, several, or whose text its path does not take."""

    code: ClassVar[str] = "variable"


@dataclass(frozen=True, slots=True)
class Assigned:
    """A path and what a variable puts there; `source` says where the variable stands."""

    path: str
    content: bytes
    variable: str
    source: str


def of_process(variables: Mapping[str, str], prefixes: Sequence[str]) -> Iterator[Assignment]:
    """The variables of a process that are looked at: those with a prefix, and those that begin with a category."""
    for name in sorted(variables):
        if name.startswith(OWN_PREFIX):
            continue
        if _prefix(name, prefixes) or (name.isupper() and _category(name)):
            yield Assignment(name, variables[name], "")


def assigned(
    assignments: Iterable[Assignment], known: Known, prefixes: Sequence[str]
) -> tuple[list[Assigned], list[str]]:
    """What assignments put where, and the names of those that were passed over because no path is known for them.

    Passed over are only variables of the process without a prefix: they may be anybody's. Raises `FileRefused` or
    `VariableRefused`; no message shows a text.
    """
    found: dict[str, Assigned] = {}
    passed_over: list[str] = []
    for one in assignments:
        path, types = _place(one, known, prefixes)
        if path is None:
            passed_over.append(one.name)
            continue
        source = f"{one.file}, line {one.line}" if one.file else f"variable {one.name}"
        if path in found:
            why = f"{found[path].variable} sets {path}, too"
            raise _refusal(one, "duplicate", why, "Remove one of the two")
        found[path] = Assigned(path, canonical.encode(_value(one, path, types)), one.name, source)
    return list(found.values()), passed_over


def _place(one: Assignment, known: Known, prefixes: Sequence[str]) -> tuple[str | None, Types]:
    prefix = _prefix(one.name, prefixes)
    name = one.name.removeprefix(prefix)
    candidates = known.candidates(name)
    if len(candidates) == 1:
        return next(iter(candidates.items()))
    if candidates:
        listed = ", ".join([*candidates][:_SHOWN]) + (", …" if len(candidates) > _SHOWN else "")
        raise _refusal(one, "ambiguous", f"{one.name} may mean {listed}", "Write the one that is meant into a file")
    if not prefix and not one.file:
        return None, ANY
    why = f"{one.name} names no path that is known"
    remedy = known.nearest(name) or "Names are paths in capitals, such as RISK_GLOBAL_MAX_LEVERAGE"
    raise _refusal(one, "unknown", why, remedy)


def _prefix(name: str, prefixes: Sequence[str]) -> str:
    """The longest prefix that a name begins with; empty for none."""
    return max((prefix for prefix in prefixes if name.startswith(prefix)), key=len, default="")


def _category(name: str) -> bool:
    return any(name.startswith(f"{category}_") for category in CATEGORIES)


def _value(one: Assignment, path: str, types: Types) -> Json:
    try:
        return typed(one.text, types)
    except TrimtabError:
        kinds = " or ".join(word for kind, word in _KINDS.items() if kind in types and not _implied(kind, types))
        why = f"what {one.name} says is not what {path} takes{f': {kinds}' if kinds else ''}"
    raise _refusal(one, "type", why, "Correct it")  # outside of `except`: its cause could show the text


def _implied(kind: str, types: Types) -> bool:
    return kind == "integer" and "number" in types


def typed(text: str, types: Types) -> Json:
    """A text as JSON of one of these types; raises `ValueRefused` or `FileRefused` where it is none of them."""
    if types == frozenset({"string"}):
        return text
    if "array" in types and not (text in {"", "null", "~"} and "null" in types):
        return _list(text)
    try:
        found = plain_scalar(text)
    except ValueRefused:
        if "string" not in types:
            raise
        return text
    if types == ANY or fits(found, types):
        return found
    if "string" in types:
        return text
    raise ValueRefused("This text is refused", "it has another type", "Correct it")


def fits(value: Json, types: Types) -> bool:
    """Whether a scalar is of one of some types."""
    if value is None or isinstance(value, bool):
        return ("null" if value is None else "boolean") in types
    if isinstance(value, int):
        return bool(types & {"integer", "number"})
    return ("number" if isinstance(value, float) else "string") in types


def _list(text: str) -> Json:
    if text.lstrip().startswith("["):
        found = load_json(text.encode("utf-8", "surrogatepass"), name="the list")
        if isinstance(found, list):
            return found
    return [plain_scalar(part.strip()) if part.strip() else "" for part in text.split(",")] if text else []


def _refusal(one: Assignment, rule: str, why: str, remedy: str) -> TrimtabError:
    if one.file:
        return FileRefused(one.file, rule, why, remedy, line=one.line)
    return VariableRefused(f"The variable {one.name} is refused", why, remedy)
