"""Guards: changes so large, or so surprising, that somebody has to mean them. `force`, a reason, lets them past.

What the guards go by stands in `guard.config`, as it was before the change; see docs/registry.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trimtab.model.items import LeafEdit
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab_store.database import Connection
from trimtab_store.guards import counting, names, removal, risk, understanding
from trimtab_store.guards.structure import check as check_structure
from trimtab_store.guards.thresholds import CONFIG, Thresholds
from trimtab_store.validation.sides import Sides

__all__ = ["CONFIG", "check", "check_structure"]


def check(connection: Connection, environment: str, sides: Mapping[str, Sides], edits: Sequence[LeafEdit]) -> bool:
    """Raise `DocumentsRefused` with everything that needs `force`.

    `sides` are the lines that the edits of `environment` extend, as far as they were read: `CONFIG` must be among it.
    Returns whether the answer depends on how many items there are, so that what others commit meanwhile matters.
    """
    before = sides[environment].before
    found: list[Problem] = []
    depends = False
    gone = removal.gone(before, environment, edits)
    if gone:
        thresholds = Thresholds.of(before)
        totals = counting.count(connection, before.lineage, gone.enough(thresholds))
        found += removal.judge(gone, totals, thresholds)
        depends = not totals.plenty
    found += _loosened(connection, environment, sides, edits)
    found += _unreadable(connection, sides, edits)
    if asked := names.named_anew(sides, edits):
        around = sorted({name for reached in sides.values() for name in reached.before.lineage.environments})
        found += names.judge(environment, asked, names.past(connection, around, asked))
    if found:
        raise DocumentsRefused(found, "This change needs force")
    return depends


def _loosened(
    connection: Connection, environment: str, sides: Mapping[str, Sides], edits: Sequence[LeafEdit]
) -> list[Problem]:
    limiting = [edit for edit in edits if risk.concerns(edit)]
    if not limiting:
        return []
    found = [one for reached in sides.values() for one in risk.judge(reached, limiting, Thresholds.of(reached.before))]
    # the first items of an environment loosen nothing
    return found if found and counting.holds_any(connection, environment) else []


def _unreadable(connection: Connection, sides: Mapping[str, Sides], edits: Sequence[LeafEdit]) -> Iterator[Problem]:
    risen = {name: found for name, reached in sides.items() if (found := understanding.risen(reached, edits))}
    agents = understanding.agents_of(connection, sorted(risen)) if risen else {}
    for name, found in risen.items():
        yield from understanding.judge(name, found, agents.get(name, {}))
