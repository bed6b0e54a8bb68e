"""How long changes took from commit to visible, from what was noted while they happened."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.model.canonical import Json


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A commit: its revision, and when Postgres acknowledged it (seconds of CLOCK_MONOTONIC)."""

    revision: int
    at: float


def sightings(journal: Path) -> list[tuple[int, float]]:
    """From a bot's journal: (revision, when it was first seen), in order."""
    records = (json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines())
    return [(int(record["seen"][1]), float(record["at"])) for record in records if "reads" in record]


def delays(commits: Sequence[Acknowledged], seen: Sequence[tuple[int, float]]) -> dict[int, float]:
    """Milliseconds from acknowledgement to the first view that holds the revision, by revision.

    A view that skips revisions shows all of them; a revision that was never shown is left out.
    """
    found: dict[int, float] = {}
    views = iter(seen)
    view = next(views, None)
    for commit in sorted(commits, key=lambda one: one.revision):
        while view is not None and view[0] < commit.revision:
            view = next(views, None)
        if view is None:
            break
        found[commit.revision] = max(0.0, (view[1] - commit.at) * 1000)  # a poll may see it before we hear of it
    return found


def summary(milliseconds: Iterable[float]) -> dict[str, Json]:
    """p50, p99 and max (nearest rank); nulls where nothing was measured."""
    ordered = sorted(milliseconds)
    if not ordered:
        return {"p50": None, "p99": None, "max": None}
    return {"p50": _rank(ordered, 0.5), "p99": _rank(ordered, 0.99), "max": round(ordered[-1], 3)}


def _rank(ordered: Sequence[float], share: float) -> float:
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3)
