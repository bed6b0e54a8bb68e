"""Rules for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trimtab.model.canonical import Json
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab_store.validation.rules import Rule, Seen


class AsksNothing:
    """A rule that concerns no document: where it stands for the built-in ones, only shapes are judged."""

    name = "asks-nothing"
    reads: tuple[str, ...] = ()
    dimensions: frozenset[str] = frozenset()

    def watches(self, document: str) -> bool:
        """None."""
        del document
        return False

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """Nothing."""
        del document, before, after
        return ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """Nothing is wrong."""
        del seen
        return ()


ASKS_NOTHING: Final[Rule] = AsksNothing()
