"""The guard of risk limits: a change that loosens one by more than a factor, or takes it away.

Which way a limit is loosened is read from its name (`trimtab.model.tightening`). It is judged as readers see it, with
the labels that they have after the change both times: moving a bot to other labels changes no limit. Readers are, for
each edited layer, one with exactly its labels, and every declared bot that sees it and is told apart by other layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal

from trimtab.model import documents, labels, layers, paths, resolution, tightening
from trimtab.model.items import LeafEdit
from trimtab.model.layers import IDENTITY_DIMENSIONS
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab.model.states import LayerKey
from trimtab_store.guards.thresholds import REMEDY, Thresholds, number
from trimtab_store.sight import Sight
from trimtab_store.validation.sides import Sides

CATEGORIES: Final = frozenset({"risk", "trading", "trader", "mev", "circuit_breaker", "token", "strategy", "bot"})
_MANY: Final = frozenset({"token", "strategy", "bot"})
"""Where a whole document may go with its limits: there is nothing left to limit."""
_PARAMETER: Final = 4  # strategy.<id>.parameters.<name>
_THRESHOLDS: Final = frozenset({"risk", "circuit_breaker"})
"""Where a threshold is a limit as well."""


def direction(path: str) -> Literal["down", "up"] | None:
    """Where the limit at a path moves when it is tightened; None if the path is no risk limit."""
    segments = paths.parse(path)
    if segments[0] not in CATEGORIES or len(segments) == 1:
        return None
    if _is_free(segments):
        return None
    if segments[0] in _THRESHOLDS and "threshold" in segments[-1].lower().split("_"):
        return "down"
    return tightening.direction(path)


def _is_free(segments: tuple[str, ...]) -> bool:
    """Whether a path lies in what authors of strategies call as they like: below their own parameters, or a bot's."""
    if segments[0] == "strategy":
        return len(segments) > _PARAMETER
    return segments[0] == "bot" and segments[2:3] == ("strategy",)


def concerns(edit: LeafEdit) -> bool:
    """Whether an edit may loosen anything: it changes a limit, or masks what may be one."""
    if edit.operation == "hide":
        return paths.parse(edit.path)[0] in CATEGORIES
    return direction(edit.path) is not None


def judge(sides: Sides, edits: Sequence[LeafEdit], thresholds: Thresholds) -> Iterator[Problem]:
    """The limits that readers of a line would see loosened too far by edits, each with one reader."""
    bots: dict[str, dict[str, str]] | None = None
    told: set[str] = set()
    for edit in filter(concerns, edits):
        for path in sorted(_limits(sides, edit) - told):
            looked = Looked(sides, path)
            if bots is None and looked.others(edit.layer):
                sight = Sight(sides.after)
                bots = {bot: sight.labels({"bot": bot}) for bot in labels.declared_bots(sides.after)}
            for seen in looked.readers(edit.layer, bots or {}):
                why = looked.loosened(seen, thresholds.max_risk_factor)
                if why:
                    told.add(path)
                    yield looked.problem(seen, why)
                    break


def judge_all(sides: Sides, thresholds: Thresholds) -> Iterator[Problem]:
    """The limits of a whole line that readers of some layer would see loosened too far, each with one of them."""
    for path in sorted({item.path for item in sides.before.items() if direction(item.path) is not None}):
        looked = Looked(sides, path)
        for selector in sorted({layers.COMMON, *looked.selectors}):
            seen = dict(selector.labels)
            why = looked.loosened(seen, thresholds.max_risk_factor)
            if why:
                yield looked.problem(seen, why)
                break


def _limits(sides: Sides, edit: LeafEdit) -> set[str]:
    """The limits that an edit may change: its own path, or what a tombstone masks now."""
    found = {edit.path}
    if edit.operation == "hide":
        for key in sides.before.trees:
            found.update(path for path, _ in sides.before.below(*key, edit.path))
    return {path for path in found if direction(path) is not None}


class Looked:
    """One limit of a line, before and after a change."""

    def __init__(self, sides: Sides, path: str) -> None:
        self._sides, self._path = sides, path
        self._before, self._after = Sight.at(sides.before, path), Sight.at(sides.after, path)
        self.selectors = self._before.selectors | self._after.selectors

    def others(self, layer: str) -> bool:
        """Whether overlays beside the edited one have a say, so that its readers are told apart."""
        return bool(self.selectors - {layers.parse(layer), layers.COMMON})

    def readers(self, layer: str, bots: Mapping[str, Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
        """Readers of an edited layer: one with just its labels, and a declared bot of each kind that there is."""
        selector = layers.parse(layer)
        own = dict(selector.labels)
        yield own
        identity = {name: label for name, label in own.items() if name in IDENTITY_DIMENSIONS}
        known = {self._kind(own)}
        for attributes in bots.values():
            seen = {**attributes, **identity}
            kind = self._kind(seen)
            if kind not in known and selector.matches(seen):
                known.add(kind)
                yield seen

    def loosened(self, seen: Mapping[str, str], factor: float) -> str:
        """Why a reader's limit is loosened too far; empty if it is not."""
        before, after = number(self._before.value(seen, self._path)), number(self._after.value(seen, self._path))
        if before is None:
            return ""
        if after is None:
            whole = _goes_with_its_document(self._sides, seen, self._path)
            return "" if whole else f"a limit that was {before} would be taken away"
        times = Decimal(str(factor))
        if direction(self._path) == "down":
            loosened = after > before * times if before > 0 else after > max(before, Decimal(0))
        else:
            loosened = before > 0 and after < before / times
        return f"a limit would go from {before} to {after}, by more than a factor of {factor:g}" if loosened else ""

    def problem(self, seen: Mapping[str, str], why: str) -> Problem:
        """What a reader has to say."""
        environment = self._sides.after.lineage.environment
        return Problem(path=self._path, rule="guard-risk", why=why, remedy=REMEDY, environment=environment, labels=seen)

    def _kind(self, seen: Mapping[str, str]) -> tuple[tuple[LayerKey, ...], tuple[LayerKey, ...]]:
        return self._before.matching(seen), self._after.matching(seen)


def _goes_with_its_document(sides: Sides, seen: Mapping[str, str], path: str) -> bool:
    if paths.parse(path)[0] not in _MANY:
        return False
    return isinstance(resolution.resolve_at(sides.after, seen, documents.document_of(path)), Absent)
