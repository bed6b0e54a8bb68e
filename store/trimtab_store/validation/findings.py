"""What validation found: the same problem of many targets is told once, with one of them and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from trimtab.model.problems import Problem
from trimtab_store.validation.line import Group
from trimtab_store.validation.targets import Labels

Key: TypeAlias = "tuple[str, str, str, str, str, str]"


@dataclass(slots=True)
class _Finding:
    problem: Problem
    environment: str
    labels: Labels
    is_declared: bool
    targets: int
    """How many are known; of those that are only supposed, where none is."""
    is_known: bool

    def told(self) -> Problem:
        """The problem with its target; only a warning where no configuration declares any."""
        severity = self.problem.severity if self.is_declared else "warn"
        return replace(
            self.problem,
            severity=severity,
            environment=self.environment,
            labels=dict(self.labels),
            others=self.targets - 1,
        )


class Findings:
    """Collects problems with the groups of targets that would see them."""

    def __init__(self) -> None:
        self._alone: list[Problem] = []
        self._found: dict[Key, _Finding] = {}

    def add(self, problem: Problem, environment: str, group: Group) -> None:
        """A problem that a group of targets would see."""
        key = (problem.path, problem.rule, problem.why, problem.remedy, problem.value, problem.severity)
        supposed = group.supposed
        found = _Finding(
            problem, environment, group.labels, group.is_declared, supposed or len(group.targets), not supposed
        )
        known = self._found.get(key)
        if known is None or found.is_known > known.is_known:
            self._found[key] = found
        elif found.is_known == known.is_known:
            known.targets += found.targets
            if found.is_declared and not known.is_declared:
                known.environment, known.labels, known.is_declared = environment, group.labels, True

    def note(self, problem: Problem) -> None:
        """A problem that is not about what any target sees."""
        self._alone.append(problem)

    def problems(self) -> Sequence[Problem]:
        """All of them, by path; those that refuse first."""
        found = [*self._alone, *(one.told() for one in self._found.values())]
        return sorted(found, key=lambda one: (one.severity != "refuse", one.path))
