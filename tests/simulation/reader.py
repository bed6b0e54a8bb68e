"""A reader with a binding whose model refuses one value."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.model.links import Position
from trimtab.model.reports import Refusal
from trimtab.model.views import View

REFUSED_PATH = "risk.global.max_leverage"
REFUSED_VALUE = 99


def admit(view: View, position: Position) -> Sequence[Refusal]:
    """A binding whose model refuses one value."""
    if view.index.get(REFUSED_PATH) == REFUSED_VALUE:
        return (Refusal(REFUSED_PATH, position.revision, "too much"),)
    return ()
