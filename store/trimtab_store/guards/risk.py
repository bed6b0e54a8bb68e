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
from trimtab.model.layers import IDENTITY_DIMENSIONS, Selector
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab.model.states import LayerKey, State
from trimtab.model.trees import HIDDEN
from trimtab_store.guards.thresholds import REMEDY, Thresholds, number
from trimtab_store.validation.sides import Sides

CATEGORIES: Final = frozenset({"risk", "trading", "trader", "mev", "circuit_breaker", "token", "strategy", "bot"})
_MANY: Final = frozenset({"token", "strategy", "bot"})
"""Where a whole document may go with its limits: there is nothing left to limit."""
_THRESHOLDS: Final = frozenset({"risk", "circuit_breaker"})
"""Where a threshold is a limit as well."""


def direction(path: str) -> Literal["down", "up"] | None:
    """Where the limit at a path moves when it is tightened; None if the path is no risk limit."""
    segments = paths.parse(path)
    if segments[0] not in CATEGORIES or len(segments) == 1:
        return None
    if segments[0] in _THRESHOLDS and "threshold" in segments[-1].lower().split("_"):
        return "down"
    return tightening.direction(path)


def judge(environment: str, sides: Sides, edits: Sequence[LeafEdit], thresholds: Thresholds) -> Iterator[Problem]:
    """The limits that readers of a line would see loosened too far by edits of `environment`, each with one reader."""
    name = sides.after.lineage.environment
    bots: dict[str, dict[str, str]] = {}
    told: set[str] = set()
    for edit in edits:
        if paths.parse(edit.path)[0] not in CATEGORIES:
            continue
        for path in sorted(_limits(environment, sides, edit) - told):
            for seen in _readers(sides, edit.layer, path, bots):
                why = _loosened(sides, seen, path, thresholds.max_risk_factor)
                if why:
                    told.add(path)
                    yield Problem(path=path, rule="guard-risk", why=why, remedy=REMEDY, environment=name, labels=seen)
                    break


def judge_all(sides: Sides, thresholds: Thresholds) -> Iterator[Problem]:
    """The limits of a whole line that readers of some layer would see loosened too far, each with one of them."""
    for path in sorted({item.path for item in sides.before.items() if direction(item.path) is not None}):
        for selector in sorted({layers.COMMON, *_selectors(sides, path)}):
            seen = dict(selector.labels)
            why = _loosened(sides, seen, path, thresholds.max_risk_factor)
            if why:
                yield Problem(
                    path=path,
                    rule="guard-risk",
                    why=why,
                    remedy=REMEDY,
                    environment=sides.after.lineage.environment,
                    labels=seen,
                )
                break


def _limits(environment: str, sides: Sides, edit: LeafEdit) -> set[str]:
    """The limits that an edit may change: its own path, or what a tombstone masked there or masks now."""
    found = {edit.path}
    if HIDDEN in {edit.outcome, sides.before.content(environment, edit.layer, edit.path)}:
        for key in sides.before.trees:
            found.update(path for path, _ in sides.before.below(*key, edit.path))
    return {path for path in found if direction(path) is not None}


def _readers(sides: Sides, layer: str, path: str, bots: dict[str, dict[str, str]]) -> Iterator[Mapping[str, str]]:
    """Readers of an edited layer, as far as layers that have a say about the path tell them apart."""
    selector = layers.parse(layer)
    own = dict(selector.labels)
    yield own
    others = _selectors(sides, path) - {selector, layers.COMMON}
    if not others:
        return
    identity = {name: label for name, label in own.items() if name in IDENTITY_DIMENSIONS}
    known: set[frozenset[Selector]] = {frozenset(one for one in others if one.matches(own))}
    for bot in labels.declared_bots(sides.after):
        if bot not in bots:
            bots[bot] = labels.effective(sides.after, {"bot": bot})
        seen = {**bots[bot], **identity}
        kind = frozenset(one for one in others if one.matches(seen))
        if selector.matches(seen) and kind not in known:
            known.add(kind)
            yield seen


def _selectors(sides: Sides, path: str) -> set[Selector]:
    """The selectors of the layers that hold something at a path, or a tombstone above it."""
    return {
        layers.parse(key[1])
        for state in (sides.before, sides.after)
        for key in state.trees
        if _has_a_say(state, key, path)
    }


def _has_a_say(state: State, key: LayerKey, path: str) -> bool:
    return state.branch(*key, path) is not None or any(
        state.content(*key, above) == HIDDEN for above in paths.parents(path)
    )


def _loosened(sides: Sides, seen: Mapping[str, str], path: str, factor: float) -> str:
    """Why a reader's limit is loosened too far; empty if it is not."""
    old, new = (resolution.resolve_at(state, seen, path) for state in (sides.before, sides.after))
    before, after = number(old), number(new)
    if before is None:
        return ""
    if after is None:
        return "" if _goes_with_its_document(sides, seen, path) else f"a limit that was {before} would be taken away"
    times = Decimal(str(factor))
    if direction(path) == "down":
        loosened = after > before * times if before > 0 else after > max(before, Decimal(0))
    else:
        loosened = before > 0 and after < before / times
    return f"a limit would go from {before} to {after}, by more than a factor of {factor:g}" if loosened else ""


def _goes_with_its_document(sides: Sides, seen: Mapping[str, str], path: str) -> bool:
    if paths.parse(path)[0] not in _MANY:
        return False
    return isinstance(resolution.resolve_at(sides.after, seen, documents.document_of(path)), Absent)
