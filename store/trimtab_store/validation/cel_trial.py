"""Trying a rule on what stands: every document that it is about, as one reader sees it now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.documents import Shape
from trimtab.model.problems import Problem
from trimtab.model.resolution import ABSENT, Absent
from trimtab_store.validation.cel_rules import MODE, CelRule


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a reader sees, as if it had just been put there: `rules.Seen` of one target."""

    environment: str
    labels: Mapping[str, str]
    tree: Json
    changed: tuple[str, ...] = ()

    def at(self, path: str) -> Json | Absent:
        """What resolves at a path."""
        here: Json | Absent = self.tree
        for segment in paths.parse(path):
            here = here.get(segment, ABSENT) if isinstance(here, dict) else ABSENT
        return here

    def before(self, path: str) -> Json | Absent:
        """The same: nothing changes."""
        return self.at(path)

    def documents(self, category: str) -> tuple[str, ...]:
        """None: a trial names the documents itself."""
        del category
        return ()

    def matching(self, shape: Shape) -> Iterator[str]:
        """The documents of a pattern that are there, sorted."""
        found: list[tuple[tuple[str, ...], Json]] = [((), self.tree)]
        for segment in shape:
            found = [
                ((*way, name), below)
                for way, here in found
                if isinstance(here, dict)
                for name, below in sorted(here.items())
                if segment in {None, name}
            ]
        yield from (paths.join(way) for way, _ in found)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one document: nothing wrong, or a problem."""

    document: str
    problem: Problem | None


def holds_for(rule: CelRule, seen: Standing) -> str:
    """Why a rule does not hold for a reader at all; nothing if it does."""
    if rule.environments and seen.environment not in rule.environments:
        return f"it holds in {', '.join(rule.environments)} only"
    if rule.modes and seen.labels.get(MODE) not in rule.modes:
        return (
            f"it holds in the modes {', '.join(rule.modes)} only; this reader's is {seen.labels.get(MODE, 'not set')}"
        )
    return ""


def trial(rule: CelRule, seen: Standing) -> list[Tried]:
    """Ask a rule about every document of its patterns, whether or not it holds for this reader."""
    found = sorted({document for shape in rule.shapes for document in seen.matching(shape)})
    return [Tried(document, next(rule.judge_one(seen, document), None)) for document in found]
