"""What a replica hears and what it asks for: the whole interface of the sans-I/O core.

Events are facts, named in the past tense; effects are wishes that the driver carries out, each in its own time. A
request carries a number; its answer repeats it, and an answer to a request that is no longer open is ignored. All times
are seconds on one clock that never goes back and counts suspend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trimtab.model.changes import Change
from trimtab.model.links import START, Position
from trimtab.model.resolution import Absent
from trimtab.model.snapshots import Snapshot
from trimtab.model.values import Value
from trimtab.model.views import View

Source: TypeAlias = Literal["redis", "postgres"]
Differences: TypeAlias = "Mapping[str, tuple[Value | Absent, Value | Absent]]"
"""Leaf path → (old, new), `ABSENT` where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """The disk gave back a verified state. `proven` is what to serve if the last ends of this bot were unclean."""

    snapshot: Snapshot
    generation: str
    proven: Snapshot | None = None
    quarantined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorRead:
    """The disk remembers the newest position ever served; comes before `Recovered`."""

    position: Position


@dataclass(frozen=True, slots=True)
class Started:
    """The driver runs; feeds may be asked from now on. `awaits_redis`: a subscription is being set up meanwhile."""

    awaits_redis: bool = False


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The subscription was confirmed, first or again: news may have been missed before it."""


@dataclass(frozen=True, slots=True)
class SubscriptionLost:
    """News may be missed from now on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes from the channel. Nothing is known about them."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Named:
    """The channel named a revision without its bytes. A hint, like everything from there."""

    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadAnswered:
    """A feed's word on the newest link of the line, with messages if it sent any along.

    Only `postgres` knows the store revision.
    """

    source: Source
    request: int
    position: Position
    hash: bytes
    store_revision: int = 0
    is_replica: bool = True
    poll_after_ms: int = 500
    messages: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesAnswered:
    """Messages after the position that was asked for. `trimmed`: the history from there is gone."""

    source: Source
    request: int
    messages: tuple[bytes, ...]
    complete: bool = True
    trimmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotAnswered:
    """A snapshot's statement and bytes, unverified; both empty where the feed has none."""

    source: Source
    request: int
    statement: bytes = b""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailed:
    """A request of any kind came to nothing."""

    source: Source
    request: int
    reason: str


@dataclass(frozen=True, slots=True)
class PersistLost:
    """The disk holds nothing that could be appended to: it needs a snapshot."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""


Event: TypeAlias = (
    Recovered
    | FloorRead
    | Started
    | Subscribed
    | SubscriptionLost
    | Arrived
    | Named
    | HeadAnswered
    | ChangesAnswered
    | SnapshotAnswered
    | RequestFailed
    | PersistLost
    | Ticked
)


@dataclass(frozen=True, slots=True)
class Pause:
    """A step is done: let other threads run before going on."""


@dataclass(frozen=True, slots=True)
class AskHead:
    """Ask a feed for the head of the line, and for what follows `after`, if the feed can tell both at once."""

    source: Source
    request: int
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class FetchChanges:
    """Fetch the messages strictly after a position."""

    source: Source
    request: int
    after: Position


@dataclass(frozen=True, slots=True)
class FetchSnapshot:
    """Fetch the newest signed snapshot."""

    source: Source
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """Swap this view in by one assignment, then tell the subscribers. `reload`: more than one change lies between.

    `change` is the one that leads here from the state that was served before, None where it is not known to be one.
    """

    view: View
    position: Position
    hash: bytes
    differences: Differences
    reload: bool
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Withhold:
    """The labels no longer meet `require=`: every read must raise `RequirementFailed` from now on."""

    reason: str


@dataclass(frozen=True, slots=True)
class PersistChange:
    """Append a verified message, which follows what was persisted before, to the journal."""

    position: Position
    message: bytes


@dataclass(frozen=True, slots=True)
class PersistSnapshot:
    """Start a new generation from a verified snapshot; journal entries after its position are kept.

    `served` is what readers see: as long as it may still become proven, the old generation is not thrown away.
    """

    position: Position
    statement: bytes
    body: bytes
    served: Position = START


@dataclass(frozen=True, slots=True)
class RaiseFloor:
    """Remember that this position was served."""

    position: Position


@dataclass(frozen=True, slots=True)
class PromoteProven:
    """This position has been served long enough to be trusted after unclean ends."""

    position: Position


@dataclass(frozen=True, slots=True)
class ForgetUncleanEnds:
    """Something newer than all that they may have come from is served: they quarantine nothing any more.

    To be forgotten for good only when everything that was persisted before is in stable storage.
    """


@dataclass(frozen=True, slots=True)
class Raise:
    """Something a person should know; the same alarm is raised once until it ends."""

    alarm: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportDue:
    """What the fleet should know has changed."""


Effect: TypeAlias = (
    Pause
    | AskHead
    | FetchChanges
    | FetchSnapshot
    | Serve
    | Withhold
    | PersistChange
    | PersistSnapshot
    | RaiseFloor
    | PromoteProven
    | ForgetUncleanEnds
    | Raise
    | ReportDue
)
