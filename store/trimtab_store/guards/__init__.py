"""Guards: changes so large that somebody has to mean them. They are let past with `force`, which is the reason.

Pure, but for the counting that `check` asks a connection for. What the guards go by stands in `guard.config`, as it was
before the change; see docs/registry.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimtab.model.items import LeafEdit
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab_store.database import Connection
from trimtab_store.guards import counting, removal, risk
from trimtab_store.guards.thresholds import CONFIG, Thresholds
from trimtab_store.validation.sides import Sides

__all__ = ["CONFIG", "check"]


def check(connection: Connection, environment: str, sides: Mapping[str, Sides], edits: Sequence[LeafEdit]) -> bool:
    """Raise `DocumentsRefused` with everything that needs `force`.

    `sides` are the lines that the edits of `environment` extend, as far as they were read: `CONFIG` must be among it.
    Returns whether the answer depends on how many items there are, so that what others commit meanwhile matters.
    """
    own = sides[environment]
    found: list[Problem] = []
    depends = False
    gone = removal.gone(own.before, environment, edits)
    if gone:
        thresholds = Thresholds.of(own.before)
        totals = counting.count(connection, own.before.lineage, gone.enough(thresholds))
        found += removal.judge(gone, totals, thresholds)
        depends = not totals.plenty
    loosened = [
        one
        for reached in sides.values()
        for one in risk.judge(environment, reached, edits, Thresholds.of(reached.before))
    ]
    if loosened and counting.holds_any(connection, environment):  # the first items of an environment loosen nothing
        found += loosened
    if found:
        raise DocumentsRefused(found, "This change needs force")
    return depends
