"""Questions: what stands where, now or back then. Reading changes nothing and sees one state of the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trimtab.model import labels as labelling
from trimtab.model import layers, paths, resolution
from trimtab.model.documents import ELSEWHERE
from trimtab.model.errors import PathNotFound, nearest
from trimtab.model.items import Item
from trimtab.model.resolution import Absent, Candidate
from trimtab.model.states import State
from trimtab.model.structure import Forest
from trimtab.model.values import Document, Value
from trimtab_store import reading
from trimtab_store.database import Connection, Database
from trimtab_store.operations import EVERYTHING
from trimtab_store.reading import Moment
from trimtab_store.writer import Difference

AsOf = int | datetime | None
NAMES_LOOKED_AT: Final = 5_000


@dataclass(frozen=True, slots=True)
class Found:
    """A resolved value, the labels that it was resolved with, and the revision that was asked."""

    value: Value
    labels: Mapping[str, str]
    moment: Moment


@dataclass(frozen=True, slots=True)
class Queries:
    """Reads one store.

    `labels` are those of a process (node, region, bot); attribute labels follow from the configuration as they do in an
    agent, and may be overridden to ask what would be.
    """

    database: Database

    def forest(self, as_of: AsOf = None) -> Forest:
        """The environments, now or at a revision or time."""
        if as_of is None:
            return self.database.read(reading.forest)
        return self.database.snapshot(
            lambda connection: reading.forest_at(connection, reading.moment(connection, as_of).revision)
        )

    def get(self, path: str, environment: str, labels: Mapping[str, str] | None = None, as_of: AsOf = None) -> Found:
        """The value at a path for a reader with these labels; raises `PathNotFound` with the nearest known path."""
        wanted = paths.canonical(path)

        def work(connection: Connection) -> Found:
            state, at = self._line(connection, environment, _with_labels((wanted,), labels), as_of)
            seen = effective(state, labels or {})
            value = resolution.resolve_at(state, seen, wanted)
            if isinstance(value, Absent):
                raise self._not_found(connection, wanted, environment)
            return Found(value, seen, at)

        return self.database.snapshot(work)

    def document(
        self, environment: str, prefix: str = "", labels: Mapping[str, str] | None = None, as_of: AsOf = None
    ) -> Found:
        """Everything that such a reader sees at and below a prefix, as one document; empty where there is nothing."""
        scope = paths.canonical(prefix) if prefix else EVERYTHING

        def work(connection: Connection) -> Found:
            state, at = self._line(connection, environment, _with_labels((scope,), labels), as_of)
            seen = effective(state, labels or {})
            value = resolution.resolve_at(state, seen, scope) if scope else resolution.resolve_all(state, seen)
            return Found(Document({}) if isinstance(value, Absent) else value, seen, at)

        return self.database.snapshot(work)

    def items(self, environment: str, prefix: str = "", *, own: bool = False, as_of: AsOf = None) -> tuple[Item, ...]:
        """The items of a line (or the environment's own) at and below a prefix, as they are stored, root first."""
        scope = paths.canonical(prefix) if prefix else EVERYTHING

        def work(connection: Connection) -> tuple[Item, ...]:
            state, _ = self._line(connection, environment, (scope,), as_of)
            return tuple(
                item
                for item in state.items(environment if own else None)
                if not scope or item.path == scope or paths.is_below(item.path, scope)
            )

        return self.database.snapshot(work)

    def state(self, environment: str, as_of: AsOf = None) -> tuple[State, Moment]:
        """The whole line of an environment, now or as it was."""
        return self.database.snapshot(lambda connection: self._line(connection, environment, (EVERYTHING,), as_of))

    def explain(
        self, path: str, environment: str, labels: Mapping[str, str] | None = None, as_of: AsOf = None
    ) -> tuple[Candidate, ...]:
        """Every layer that has a say about a path, the winner first; raises `PathNotFound` if none has."""
        wanted = paths.canonical(path)

        def work(connection: Connection) -> tuple[Candidate, ...]:
            state, _ = self._line(connection, environment, _with_labels((wanted,), labels), as_of)
            found = resolution.explain(state, effective(state, labels or {}), wanted)
            if not found and isinstance(resolution.resolve_at(state, effective(state, labels or {}), wanted), Absent):
                raise self._not_found(connection, wanted, environment)
            return tuple(found)

        return self.database.snapshot(work)

    def diff(self, environment: str, old: AsOf, new: AsOf = None) -> tuple[Difference, ...]:
        """What differs between two revisions of a line, item by item, inherited items included."""

        def work(connection: Connection) -> tuple[Difference, ...]:
            before, _ = self._line(connection, environment, (EVERYTHING,), 0 if old is None else old)
            after, _ = self._line(connection, environment, (EVERYTHING,), new)
            return differences(before, after)

        return self.database.snapshot(work)

    def _line(
        self, connection: Connection, environment: str, scopes: Sequence[str], as_of: AsOf
    ) -> tuple[State, Moment]:
        at = reading.moment(connection, as_of)
        return reading.line(connection, environment, scopes, None if as_of is None else at), at

    def _not_found(self, connection: Connection, path: str, environment: str) -> PathNotFound:
        lineage = reading.forest(connection).lineage(environment)
        rows = connection.execute(
            "SELECT DISTINCT path FROM trimtab.configuration_current WHERE environment = ANY(%s) LIMIT %s",
            (list(lineage.environments), NAMES_LOOKED_AT),
        ).fetchall()
        known = {row[0] for row in rows}
        known |= {above for one in known for above in paths.parents(one)}
        remedy = ELSEWHERE.get(path) or nearest(path, sorted(known)) or "See `trimtab list`"
        return PathNotFound(f"Nothing resolves at {path} in {environment}", "", remedy)


def effective(state: State, given: Mapping[str, str]) -> dict[str, str]:
    """The labels of a reader: its identity, what the configuration gives its bot, and attributes that it insists on."""
    for dimension, label in given.items():
        layers.check_label(dimension, label)
    identity = {name: label for name, label in given.items() if name in layers.IDENTITY_DIMENSIONS}
    return {**labelling.effective(state, identity), **given}


def differences(before: State, after: State) -> tuple[Difference, ...]:
    """The items that differ between two states, sorted by environment, layer and path."""
    old = {(item.environment, item.layer, item.path): item.content for item in before.items()}
    new = {(item.environment, item.layer, item.path): item.content for item in after.items()}
    places: Iterable[tuple[str, str, str]] = sorted(old.keys() | new.keys())
    return tuple(
        Difference(*place, old.get(place), new.get(place)) for place in places if old.get(place) != new.get(place)
    )


def _with_labels(scopes: tuple[str, ...], given: Mapping[str, str] | None) -> tuple[str, ...]:
    """The scopes, and where the labels of the asking bot stand."""
    bot = (given or {}).get("bot")
    if bot is None or EVERYTHING in scopes:
        return scopes
    at = labelling.labels_path(bot)
    covered = any(scope == at or paths.is_below(at, scope) for scope in scopes)
    return scopes if covered else (*(one for one in scopes if not paths.is_below(one, at)), at)
