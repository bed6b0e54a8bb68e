"""What a plan reads around an edit, in as few round trips as can be: structure, items, reported labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from trimtab.model import layers
from trimtab.model.errors import LayerError
from trimtab.model.items import LeafEdit
from trimtab.model.structure import Forest
from trimtab_store import reading
from trimtab_store.database import Connection
from trimtab_store.hooks import Sides
from trimtab_store.operations import EVERYTHING
from trimtab_store.reading import Head, Near


@dataclass(frozen=True, slots=True)
class Structure:
    """The environments as they are since a revision of an epoch."""

    epoch: int
    revision: int
    forest: Forest
    _near: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], compare=False, repr=False)
    _reached: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], compare=False, repr=False)

    def near(self, environment: str) -> tuple[str, ...]:
        """The `neighbourhood` of an environment, worked out once."""
        found = self._near.get(environment)
        if found is None:
            found = self._near[environment] = neighbourhood(self.forest, environment)
        return found

    def reached(self, environment: str) -> tuple[str, ...]:
        """The environments whose lines a change of this one extends, worked out once."""
        found = self._reached.get(environment)
        if found is None:
            found = self._reached[environment] = tuple(self.forest.reached(environment))
        return found


@dataclass(slots=True)
class Surroundings:
    """Reads what is around edits. `known` is kept between requests and read again when the structure moved."""

    known: Structure | None = None

    def around(self, connection: Connection, environment: str, scopes: Sequence[str]) -> tuple[Near, Structure]:
        """The head and the items around the scopes, in one round trip; again if the structure is not the known one."""
        known = self._structure(connection, environment)
        while True:
            near = reading.near(connection, known.near(environment), scopes, known.reached(environment))
            if (near.head.epoch, near.head.structure_revision) == (known.epoch, known.revision):
                return near, known
            known = self._learn(connection, near.head)
            known.forest.lineage(environment)

    def _structure(self, connection: Connection, environment: str) -> Structure:
        """The structure as last seen; read now if there is none yet or it does not know the environment."""
        known = self.known
        if known is None or environment not in known.forest.parents:
            known = self._learn(connection, reading.head(connection))
        known.forest.lineage(environment)
        return known

    def _learn(self, connection: Connection, head: Head) -> Structure:
        """Read the forest after a head: it may be newer than the head says, which the locked part notices."""
        learnt = self.known = Structure(head.epoch, head.structure_revision, reading.forest(connection))
        return learnt


def neighbourhood(forest: Forest, environment: str) -> tuple[str, ...]:
    """The environments whose items matter to a change: what it inherits from, and what inherits from it."""
    return tuple(sorted({*forest.lineage(environment).environments, *forest.reached(environment)}))


def whole(connection: Connection, sides: Sides, environment: str, edits: Sequence[LeafEdit]) -> Sides:
    """A line with every item, before and after: a change of labels may show any of them."""
    lineage = sides.before.lineage
    before = reading.state_of(lineage, reading.items(connection, lineage.environments, (EVERYTHING,)))
    return Sides(before, before.apply(environment, edits))


def reported_labels(connection: Connection, environments: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """The label sets that agents of these environments reported to Postgres."""
    rows = connection.execute(
        "SELECT DISTINCT environment, report -> 'labels' FROM trimtab.agent_reports WHERE environment = ANY(%s)",
        (list(environments),),
    ).fetchall()
    found: dict[str, list[dict[str, str]]] = {}
    for environment, claimed in rows:
        if isinstance(claimed, dict):
            found.setdefault(environment, []).append(_identity(cast("dict[str, object]", claimed)))
    return found


def _identity(claimed: Mapping[str, object]) -> dict[str, str]:
    """The identity labels in a report, less what is none: agents write these, and no report may stop a commit."""
    found: dict[str, str] = {}
    for dimension, label in claimed.items():
        if isinstance(label, str):
            with contextlib.suppress(LayerError):
                found.update(layers.check_identity({dimension: label}))
    return found
