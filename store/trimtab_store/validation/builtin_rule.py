"""What the built-in rules share: which documents they watch, and looking into what need not have been read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.problems import Problem
from trimtab.model.resolution import ABSENT, Absent
from trimtab_store.validation.rules import Seen


class BuiltInRule:
    """A rule that always holds. It watches some documents by name and all of some categories."""

    name: str = ""
    reads: tuple[str, ...] = ()
    dimensions: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()
    """Documents, and categories of two segments' documents (`fleet.bots`: of three) with everything in them."""

    categories: frozenset[str] | None = None
    """Where everything stands that it watches; None for a rule that may watch anything."""

    def __init_subclass__(cls) -> None:
        if cls.watches is BuiltInRule.watches:
            cls.categories = frozenset(paths.parse(path)[0] for path in cls.watched)

    def watches(self, document: str) -> bool:
        """Whether it is one of those named, or in one of the categories."""
        return document in self.watched or paths.parent(document) in self.watched

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """Nothing."""
        del document, before, after
        return ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """What is wrong, if anything."""
        raise NotImplementedError


def held(seen: Seen, path: str) -> Json | Absent:
    """What resolves at a path, `ABSENT` also where it was not read since nothing about it changes."""
    try:
        return seen.at(path)
    except LookupError:
        return ABSENT


def part(value: Json | Absent, *fields: str) -> Json:
    """What stands in an object, None where there is nothing."""
    found: Json = None if isinstance(value, Absent) else value
    for field in fields:
        found = found.get(field) if isinstance(found, dict) else None
    return found


def texts(value: Json) -> list[str]:
    """The texts of a list, or the one text that stands for it."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def number(value: Json) -> Decimal | None:
    """A number, or a text that is one, exactly; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def changed_in(seen: Seen, category: str) -> list[str]:
    """The changed documents of a category."""
    return [document for document in seen.changed if paths.parent(document) == category]


def bot_of(labels: Mapping[str, str]) -> str | None:
    """The bot that a reader is, as it stands in paths."""
    return None if "bot" not in labels else paths.write(labels["bot"])
