"""What a plan reads around an edit, in as few round trips as can be: structure, items, labels that agents reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from trimtab.model.structure import Forest, Lineage
from trimtab_store import reading
from trimtab_store.database import Connection
from trimtab_store.reading import Head, Near


@dataclass(frozen=True, slots=True)
class Structure:
    """The environments as they are since a revision of an epoch."""

    epoch: int
    revision: int
    forest: Forest
    _lineages: dict[str, Lineage] = field(default_factory=dict[str, Lineage], compare=False, repr=False)
    _near: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], compare=False, repr=False)
    _reached: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], compare=False, repr=False)

    def lineage(self, environment: str) -> Lineage:
        """The lineage of an environment, worked out once; raises `EnvironmentNotFound`."""
        found = self._lineages.get(environment)
        if found is None:
            found = self._lineages[environment] = self.forest.lineage(environment)
        return found

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

    def around(
        self, connection: Connection, environment: str, scopes: Sequence[str], *, reports: bool = False
    ) -> tuple[Near, Structure]:
        """The head and the items around the scopes, in one round trip; again if the structure is not the known one.

        `reports`: with the label sets that agents reported.
        """
        known = self._structure(connection, environment)
        while True:
            near = reading.near(
                connection, known.near(environment), scopes, known.reached(environment), reports=reports
            )
            if (near.head.epoch, near.head.structure_revision) == (known.epoch, known.revision):
                return near, known
            known = self._learn(connection, near.head)
            known.lineage(environment)

    def _structure(self, connection: Connection, environment: str) -> Structure:
        """The structure as last seen; read now if there is none yet or it does not know the environment."""
        known = self.known
        if known is None or environment not in known.forest.parents:
            known = self._learn(connection, reading.head(connection))
        known.lineage(environment)
        return known

    def _learn(self, connection: Connection, head: Head) -> Structure:
        """Read the forest after a head: it may be newer than the head says, which the locked part notices."""
        learnt = self.known = Structure(head.epoch, head.structure_revision, reading.forest(connection))
        return learnt


def neighbourhood(forest: Forest, environment: str) -> tuple[str, ...]:
    """The environments whose items matter to a change: what it inherits from, and what inherits from it."""
    return tuple(sorted({*forest.lineage(environment).environments, *forest.reached(environment)}))
