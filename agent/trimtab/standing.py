"""What a follower is given, what it tells, and whom: the values and the port between it and an agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from trimtab.errands import ReportingFeed, ReportingPushFeed
from trimtab.feeds.disk import DiskFeed
from trimtab.model.errors import TrimtabError
from trimtab.model.links import START, Position
from trimtab.model.overriding import LocalOverride, Overrides
from trimtab.model.reports import AttachedBots, Refusal, Status
from trimtab.model.snapshots import Snapshot
from trimtab.model.statements import Trust
from trimtab.model.views import View
from trimtab.reader import Held
from trimtab.replica.events import Recovered, Serve, Source
from trimtab.replica.freshness import Freshness
from trimtab.replica.serving import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to follow, and as whom. `agent` is this follower's name in the fleet."""

    environment: str
    trust: Trust
    agent: str
    identity: Mapping[str, str] = field(default_factory=dict[str, str])
    require: Mapping[str, str] = field(default_factory=dict[str, str])
    hold: Hold = "binding"
    overrides: Overrides | None = None
    understands: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What it follows from. `lacking` says what could not be opened and is done without."""

    postgres: ReportingFeed
    redis: ReportingPushFeed | None = None
    disk: DiskFeed | None = None
    lacking: str = ""


OpenSources: TypeAlias = Callable[[Plan, bool], Sources]
"""Opens what a plan follows from; the flag says whether the directory may be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is true about the served view, apart from the view itself. Immutable."""

    freshness: Freshness = field(default_factory=Freshness)
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    alarms: Mapping[str, str] = field(default_factory=dict[str, str])
    tried: frozenset[Source] = frozenset()
    problems: Mapping[Source, TrimtabError] = field(default_factory=dict["Source", TrimtabError])
    held: tuple[Refusal, ...] = ()
    overridden: tuple[LocalOverride, ...] = ()
    caught_up: bool = False
    """Whether a primary has named its head and the verified line has reached it, served or not."""
    following: bool = False

    def status(self, now: float) -> Status:
        """How far freshness can be trusted at a time; nobody keeps it fresh while nobody follows."""
        status = self.freshness.status(now)
        if not self.following and status in {Status.LIVE, Status.DEGRADED}:
            return Status.STALE
        return status


@dataclass(frozen=True, slots=True)
class Seed:
    """Where a replica begins that is not the first: a verified state, and what was known about it."""

    snapshot: Snapshot | None = None
    floor: Position = START
    recovered: Recovered | None = None
    """How it was recovered, while what is served is still in quarantine."""

    def recovery(self, snapshot: Snapshot) -> Recovered:
        """What a replica is told that begins with this snapshot of ours."""
        if self.recovered is None or self.recovered.proven is None:
            return Recovered(snapshot=snapshot, generation="memory")
        return Recovered(snapshot=snapshot, generation="memory", proven=self.recovered.proven, quarantined=True)


class Face(Protocol):
    """What the follower serves. Called on its thread; must neither block nor raise."""

    @property
    def held(self) -> Held:
        """What is served now."""
        ...

    def judge(self, view: View, position: Position) -> Sequence[Refusal]:
        """What bindings would refuse of a view."""
        ...

    def refusals(self) -> tuple[Refusal, ...]:
        """What bindings refuse of the served view."""
        ...

    def alarms(self) -> Mapping[str, str]:
        """What the fleet should know of the readers: name → text."""
        ...

    def attached(self) -> AttachedBots | None:
        """The bots that read through this one, where it is a sidecar."""
        ...

    def overridden(self) -> tuple[LocalOverride, ...]:
        """What became of overrides that the face puts in itself, for all who read through it."""
        ...

    def serve(self, served: Serve, *, first: bool) -> Iterator[None]:
        """Swap a view in, then tell the subscribers, in steps.

        `first` of a replica: its differences are not those from what is held, for it does not know of that.
        """
        ...

    def withhold(self, reason: str) -> None:
        """Let every read raise from now on."""
        ...

    def stand(self, standing: Standing) -> None:
        """Take note of what is true now."""
        ...
