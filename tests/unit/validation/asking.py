"""Asks a rule about a change as the planner does, with nothing to see but what the rule may look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.documents import KNOWN, Documents
from trimtab.model.items import leaves
from trimtab.model.problems import Problem
from trimtab.model.resolution import ABSENT, Absent
from trimtab_store.validation.rules import Rule

Tree = Mapping[str, Any]


def documents(tree: Tree, known: Documents) -> dict[str, Json]:
    """Path → value of every document in a tree."""
    found = {known.of(path) for category, below in tree.items() for path, _ in leaves(category, below)}
    return {path: value for path in found if not isinstance(value := at(tree, path), Absent)}


def at(tree: Tree, path: str) -> Json | Absent:
    here: Json = dict(tree)
    for segment in paths.parse(path):
        if not isinstance(here, dict) or segment not in here:
            return ABSENT
        here = here[segment]
    return here


@dataclass(frozen=True)
class FakeSeen:
    """One target's sight. Raises `LookupError` for what the rule did not say that it reads."""

    old: Tree
    new: Tree
    labels: Mapping[str, str]
    changed: tuple[str, ...]
    scopes: tuple[str, ...]
    environment: str = "production"
    known: Documents = KNOWN

    def at(self, path: str) -> Json | Absent:
        self._check(path)
        return at(self.new, path)

    def before(self, path: str) -> Json | Absent:
        self._check(path)
        return at(self.old, path)

    def documents(self, category: str) -> tuple[str, ...]:
        found = [path for path in documents(self.new, self.known) if paths.is_below(path, category)]
        return tuple(sorted(path for path in found if self._may(path)))

    def _may(self, path: str) -> bool:
        return any(path == scope or paths.is_below(path, scope) for scope in self.scopes)

    def _check(self, path: str) -> None:
        if not self._may(path):
            raise LookupError(path)


def ask(
    rule: Rule,
    old: Tree,
    new: Tree,
    labels: Mapping[str, str] | None = None,
    *,
    environment: str = "production",
    moved: bool = False,
) -> list[Problem]:
    """What a rule says to a change from one tree to another; `moved`: the reader's labels change with it."""
    before, after = documents(old, KNOWN), documents(new, KNOWN)
    changed = {path for path in before.keys() | after.keys() if before.get(path, ABSENT) != after.get(path, ABSENT)}
    if moved and rule.dimensions:
        changed |= before.keys() | after.keys()
    watched = tuple(sorted(filter(rule.watches, changed)))
    if not watched:
        return []
    also = [path for one in watched for path in rule.reads_also(one, before.get(one, ABSENT), after.get(one, ABSENT))]
    seen = FakeSeen(old, new, labels or {}, watched, (*watched, *rule.reads, *also), environment)
    return list(rule.judge(seen))


def said(problems: list[Problem]) -> list[str]:
    """Problems as short lines: severity, path, why."""
    return [f"{one.severity} {one.path}: {one.why}" for one in problems]
