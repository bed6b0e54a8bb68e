"""What a database holds at one instant, and what writers want of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from trimtab.model.changes import Change, StructureEdit
from trimtab.model.items import LeafEdit
from trimtab.model.links import START, Position
from trimtab.model.states import State
from trimtab.model.structure import Forest

TIME: Final = "2026-01-05T14:03:07Z"


class Entry(NamedTuple):
    """One link of a line as it stands in a store and travels. `urgent`: the epoch's newest urgent revision, or 0."""

    position: Position
    previous_revision: int
    previous_hash: bytes
    hash: bytes
    raw: bytes
    urgent: int = 0


class Signed(NamedTuple):
    """A signed snapshot."""

    position: Position
    hash: bytes
    statement: bytes
    body: bytes


@dataclass(frozen=True)
class Image:
    """The whole database at one instant. `commits` counts them; `time` is when the newest transaction was committed."""

    time: float
    commits: int
    epoch: int
    revision: int
    forest: Forest
    states: Mapping[str, State]
    lines: Mapping[str, tuple[Entry, ...]]
    snapshots: Mapping[str, Signed]

    def head(self, environment: str) -> Entry | None:
        """The newest link of a line."""
        line = self.lines.get(environment)
        return line[-1] if line else None


@dataclass(frozen=True)
class Plan:
    """What a writer wants. `unsaid` and `garbled` make a writer whose change does not say what it does.

    `fault` is the kind of fault that takes effect with it, if any.
    """

    environment: str
    edits: tuple[LeafEdit, ...] = ()
    urgent: bool = False
    structure: StructureEdit | None = None
    unsaid: LeafEdit | None = None
    garbled: bool = False
    frozen: bool = False
    killed: bool = False
    note: str = ""
    fault: str = ""


def written(plan: Plan) -> bytes:
    """The bytes of the change that a plan becomes."""
    change = Change(
        environment=plan.environment,
        author="sim",
        reason=plan.note,
        time=TIME,
        kind="structure" if plan.structure else "edit",
        urgent=plan.urgent,
        edits=tuple(sorted(plan.edits)),
        structure=plan.structure,
    )
    return change.encode().replace(b'"v":1', b'"v":2') if plan.garbled else change.encode()


@dataclass
class Commit:
    """A commit on its way."""

    plan: Plan
    read: Image
    reserved: int
    term: int
    acknowledged: bool = False


@dataclass(frozen=True)
class Acknowledged:
    """What a writer was told."""

    epoch: int
    revision: int
    change: bytes


class Watcher:
    """Who wants to know what the store does; the run's checks and the publisher do."""

    def committed(self, image: Image, entries: Mapping[str, Entry], before: Image) -> None: ...

    def publish(self, image: Image, environments: Sequence[str]) -> None: ...

    def fire(self, kind: str) -> None:
        """A fault took effect."""

    def highest_seen(self) -> Position:
        """The highest epoch and the highest revision that Redis or an agent's report knows."""
        return START
