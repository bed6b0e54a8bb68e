"""Structure: environments that inherit, and the dimensions that order overlays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trimtab.model.errors import EnvironmentNotFound, LayerError, StructureRefused, nearest
from trimtab.model.layers import Selector, check_label

MAX_LINEAGE: Final = 16
DEFAULT_DIMENSIONS: Final = ("region", "strategy", "mode", "node", "bot")
_NAME: Final = re.compile(r"[a-z][a-z0-9_\-]{0,62}")


@dataclass(frozen=True, slots=True)
class Lineage:
    """What one environment inherits from: `environments` root first, itself last; `dimensions` least specific first."""

    environments: tuple[str, ...]
    dimensions: tuple[str, ...] = DEFAULT_DIMENSIONS

    @property
    def environment(self) -> str:
        """The environment whose lineage this is."""
        return self.environments[-1]

    def rank(self, environment: str, selector: Selector) -> int:
        """Which of two candidates wins: the more specific selector, then the nearer environment (DESIGN §3)."""
        return selector.specificity(self.dimensions) * MAX_LINEAGE + self.environments.index(environment)

    def check_selector(self, selector: Selector) -> None:
        """Refuse a selector on a dimension that the root of the tree does not declare."""
        for dimension in selector.dimensions:
            if dimension not in self.dimensions:
                known = ", ".join(self.dimensions)
                hint = nearest(dimension, self.dimensions) or f"Declared are {known}"
                raise LayerError(f"The dimension {dimension!r} is refused", "the environment does not declare it", hint)


@dataclass(frozen=True, slots=True)
class Forest:
    """All environments of a store: parent by name (None for a root), and the dimensions that each root declares."""

    parents: Mapping[str, str | None]
    dimensions: Mapping[str, tuple[str, ...]]

    def lineage(self, environment: str) -> Lineage:
        """The lineage of one environment; raises `EnvironmentNotFound` with the nearest name."""
        if environment not in self.parents:
            known = ", ".join(sorted(self.parents)) or "none yet"
            remedy = nearest(environment, self.parents) or f"Known are: {known}"
            raise EnvironmentNotFound(f"There is no environment {environment!r}", "", remedy)
        chain: list[str] = []
        here: str | None = environment
        while here is not None:
            chain.append(here)
            here = self.parents[here]
        return Lineage(tuple(reversed(chain)), self.dimensions[chain[-1]])

    def reached(self, environment: str) -> tuple[str, ...]:
        """The environment and every one that inherits from it, sorted: the lines that a commit extends."""
        self.lineage(environment)
        return tuple(sorted(name for name in self.parents if environment in self.lineage(name).environments))

    def with_environment(self, name: str, parent: str | None, dimensions: tuple[str, ...] | None = None) -> Forest:
        """The forest with one environment created or re-parented; refuses cycles, unknown parents and long lineages."""
        check_name(name)
        if parent is not None and parent not in self.parents:
            raise EnvironmentNotFound(
                f"There is no environment {parent!r} to inherit from", "", nearest(parent, self.parents)
            )
        if parent is not None and name in self.parents and name in self.lineage(parent).environments:
            raise StructureRefused(
                f"{name!r} cannot inherit from {parent!r}", "that would be a cycle", "Choose another parent"
            )
        if parent is not None and dimensions is not None:
            raise StructureRefused(
                f"{name!r} cannot declare dimensions", "only a root does", "Declare them at the root"
            )
        declared = {**self.dimensions}
        if parent is None:
            declared[name] = dimensions or declared.get(name, DEFAULT_DIMENSIONS)
        else:
            declared.pop(name, None)
        forest = Forest({**self.parents, name: parent}, declared)
        for reached in forest.reached(name):
            if len(forest.lineage(reached).environments) > MAX_LINEAGE:
                raise StructureRefused(
                    f"{reached!r} would have too many ancestors",
                    f"at most {MAX_LINEAGE - 1} are allowed",
                    "Flatten the tree",
                )
        return forest


def check_name(name: str) -> str:
    """Refuse an environment name outside the grammar."""
    if not _NAME.fullmatch(name):
        raise StructureRefused(
            f"The environment name {name[:80]!r} is refused",
            "it is 1 to 63 lower-case letters, digits, _ and -, and starts with a letter",
            "Try a name such as paper-eu",
        )
    return name


def check_dimensions(dimensions: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse dimension names that no selector could use, and duplicates."""
    for dimension in dimensions:
        check_label(dimension, "x")
    if len(set(dimensions)) != len(dimensions) or not dimensions or len(dimensions) > MAX_LINEAGE:
        raise StructureRefused(
            "These dimensions are refused", "they are 1 to 16 different names", "Remove the duplicate"
        )
    return dimensions
