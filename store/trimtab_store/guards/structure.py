"""The guards of a change of structure: what readers of a line lose because it inherits from somebody else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trimtab.model.problems import DocumentsRefused, Problem
from trimtab.model.states import State
from trimtab.model.trees import HIDDEN
from trimtab_store.guards import removal, risk
from trimtab_store.guards.removal import Gone, Totals
from trimtab_store.guards.thresholds import Thresholds
from trimtab_store.validation.sides import Sides


def check(environment: str, lines: Mapping[str, Sides]) -> None:
    """Raise `DocumentsRefused` with everything that needs `force`; `lines` are whole, `environment` gets the parent.

    An environment that holds nothing of its own loosens no limit by inheriting others.
    """
    found: list[Problem] = []
    for name, sides in lines.items():
        thresholds = Thresholds.of(sides.before)
        found += _lost(name, sides, thresholds)
        if any(True for _ in sides.before.items(environment)):
            found += risk.judge_all(sides, thresholds)
    if found:
        raise DocumentsRefused(found, "This change needs force")


def _lost(name: str, sides: Sides, thresholds: Thresholds) -> Iterator[Problem]:
    before, after = _places(sides.before), _places(sides.after)
    if before:
        lost = Gone(name, 0, len(before - after), len(after - before))
        yield from removal.judge(lost, Totals(0, len(before)), thresholds)


def _places(state: State) -> set[tuple[str, str]]:
    """The layers and paths where a line holds something, in whichever environment."""
    return {(item.layer, item.path) for item in state.items() if item.content != HIDDEN}
