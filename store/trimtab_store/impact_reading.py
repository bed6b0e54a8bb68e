"""What impact is worked out from: the lines that a request would extend, and the agents that reported from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from trimtab.model import paths
from trimtab.model.items import Item, LeafEdit
from trimtab.model.layers import IDENTITY_DIMENSIONS
from trimtab.model.states import State
from trimtab.model.structure import Forest
from trimtab_store import impact, reading
from trimtab_store.database import Connection
from trimtab_store.drafts import Draft
from trimtab_store.editing import Request, outermost
from trimtab_store.impact import Effect, Impact
from trimtab_store.masking import SCHEMAS, Secrets
from trimtab_store.operations import EVERYTHING
from trimtab_store.surroundings import neighbourhood

_LABELS_SCOPE: Final = "fleet.bots"
_AGENTS: Final = """
    SELECT environment, agent, report -> 'labels' FROM trimtab.agent_reports
     WHERE environment = ANY(%s) AND report -> 'closed' IS DISTINCT FROM 'true'::jsonb
"""


@dataclass(frozen=True, slots=True)
class _Read:
    """The items of the environments around a request, at and around some paths, and its edits there."""

    forest: Forest
    items: Sequence[Item]
    scopes: tuple[str, ...]
    edits: tuple[LeafEdit, ...]

    def sides(self, request: Request, name: str) -> tuple[State, State]:
        """One line before and after."""
        before = reading.state_of(self.forest.lineage(name), self.items)
        return before, before.apply(request.environment, self.edits)


def impact_of(connection: Connection, request: Request) -> Impact:
    """What a request would change for whom; nothing is validated. Call it within one state of the database."""
    head = reading.head(connection)
    read = _read(connection, request)
    agents = _agents(connection, read.forest.reached(request.environment))
    found: list[Effect] = []
    for name in read.forest.reached(request.environment) if read.edits else ():
        before, after = read.sides(request, name)
        asked = impact.asked(before, after, read.edits, agents.get(name, {}))
        if EVERYTHING not in read.scopes and impact.moved(before, after, asked):
            lineage = read.forest.lineage(name)
            before = reading.state_of(lineage, reading.items(connection, lineage.environments, (EVERYTHING,)))
            after = before.apply(request.environment, read.edits)
        found += impact.effects(before, after, asked, impact.scopes_of(read.edits, before, after))
    return Impact(request.environment, head.revision, read.edits, tuple(found), _secrets(connection, request, read))


def _secrets(connection: Connection, request: Request, read: _Read) -> Secrets:
    stored = reading.items(connection, neighbourhood(read.forest, request.environment), (SCHEMAS,))
    return Secrets.of(
        [(one.path, one.content) for one in stored],
        [(one.path, one.outcome) for one in read.edits if one.outcome is not None],
    )


def _read(connection: Connection, request: Request) -> _Read:
    """Read what the request touches, and what may begin to show above it."""
    forest = reading.forest(connection)
    scopes = outermost([*request.scopes, _LABELS_SCOPE])
    while True:
        items = reading.items(connection, neighbourhood(forest, request.environment), scopes)
        edited = reading.state_of(forest.lineage(request.environment), items)
        draft = Draft(request.environment, edited, edited)
        for operation in request.operations:
            operation.apply(draft)
        read = _Read(forest, items, scopes, draft.edits())
        wanted = {
            path
            for name in forest.reached(request.environment)
            for path in impact.scopes_of(read.edits, *read.sides(request, name))
        }
        if all(_covered(path, scopes) for path in wanted):
            return read
        scopes = outermost([*scopes, *wanted])


def _covered(path: str, scopes: Iterable[str]) -> bool:
    return any(scope in {EVERYTHING, path} or paths.is_below(path, scope) for scope in scopes)


def _agents(connection: Connection, environments: Iterable[str]) -> dict[str, dict[str, Mapping[str, str]]]:
    """The identity labels that agents reported, by environment and name; agents write these."""
    found: dict[str, dict[str, Mapping[str, str]]] = {}
    for environment, agent, claimed in connection.execute(_AGENTS, (list(environments),)).fetchall():
        said = cast("dict[str, object]", claimed) if isinstance(claimed, dict) else {}
        found.setdefault(environment, {})[agent] = {
            name: label for name, label in said.items() if name in IDENTITY_DIMENSIONS and isinstance(label, str)
        }
    return found
