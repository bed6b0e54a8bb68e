"""What writing means: the values that a write gives back, and the ports that a store calls after a commit.

`Publisher` and `Receipts` can neither undo nor fail a commit. The port that a store is called through is
`trimtab_store.ports.Writer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, Self, TypeAlias

from trimtab.model.canonical import Json
from trimtab.model.errors import NotServedEverywhere, UsageError
from trimtab.model.layers import Selector
from trimtab.model.links import Position

LayerLike: TypeAlias = "str | Mapping[str, str] | Selector | None"
"""A layer as callers name it: None or `"common"`, `"mode=live"`, `{"mode": "live"}`, or a selector."""


_SAID_CHARACTERS: Final = 300
"""Of what one agent is named with: agents write these, and none takes a screen for itself."""


@dataclass(frozen=True, slots=True)
class Straggler:
    """An agent that does not serve a revision yet: what it serves instead, its status, and why it is named."""

    agent: str
    environment: str
    labels: Mapping[str, str]
    position: Position
    status: str
    why: str


@dataclass(frozen=True, slots=True)
class RefusedBinding:
    """A binding that kept its own last good value because its model refused the revision's."""

    agent: str
    environment: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class WaitOutcome:
    """How far a revision got: the agents that serve it, those that do not, and bindings that refused its values.

    `attached`: how many bots are attached to the agents that serve it, and serve it too.
    """

    served: tuple[str, ...] = ()
    stragglers: tuple[Straggler, ...] = ()
    refused: tuple[RefusedBinding, ...] = ()
    attached: int = 0

    @property
    def everywhere(self) -> bool:
        """Whether every live agent serves it and no binding refused it."""
        return not self.stragglers and not self.refused

    def require(self) -> Self:
        """The outcome itself; raises `NotServedEverywhere` naming whoever is missing."""
        if self.everywhere:
            return self
        missing = [f"{one.agent} ({one.environment}, {one.why})" for one in self.stragglers]
        missing += [f"{one.agent} refuses {one.path}: {one.reason}" for one in self.refused]
        raise NotServedEverywhere(
            "The revision is committed, but not served everywhere yet",
            "; ".join(one[:_SAID_CHARACTERS] for one in missing[:20]),
            "See `trimtab status`; agents that come back catch up by themselves",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A revision that is durable. Also what an edit that changes nothing gives back: the head, `created` False.

    `hash` is the edited environment's (32 bytes), `paths` are the items it changed, `environments` every line that it
    extended, sorted. `replayed` says that an idempotency key found this commit instead of making it. `warnings` are
    what rules warn of, and what would refuse if more than agents' reports knew of its readers. `committed_at` is the
    database's clock.
    """

    environment: str
    epoch: int
    revision: int
    hash: bytes
    paths: tuple[str, ...]
    environments: tuple[str, ...]
    committed_at: datetime
    created: bool = True
    replayed: bool = False
    warnings: tuple[str, ...] = ()
    receipts: Receipts | None = field(default=None, repr=False, compare=False)

    @property
    def position(self) -> Position:
        """The revision's place in history."""
        return Position(self.epoch, self.revision)

    def wait(self, timeout: float) -> WaitOutcome:
        """Wait until every live agent of the reached environments serves the revision, at most `timeout` seconds.

        Returns the outcome in either case; `outcome.require()` turns stragglers into an error.
        """
        if self.receipts is None:
            raise UsageError(
                "Nobody can be waited for",
                "this store was connected without receipts",
                "Connect with a Redis or Postgres address that agents report to",
            )
        return self.receipts.wait(self, timeout)

    def to_dict(self) -> dict[str, Json]:
        """The commit for programs."""
        return {
            "environment": self.environment,
            "epoch": self.epoch,
            "revision": self.revision,
            "hash": self.hash.hex(),
            "paths": list(self.paths),
            "environments": list(self.environments),
            "committed_at": self.committed_at.isoformat(),
            "created": self.created,
            "replayed": self.replayed,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Validated:
    """What a dry run found: the items that a commit would change and the lines that it would extend."""

    environment: str
    paths: tuple[str, ...]
    environments: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Publisher(Protocol):
    """Carries what is committed to wherever agents listen."""

    def publish(self, environments: Iterable[str], deadline: float, messages: Sequence[bytes] = ()) -> object:
        """Publish everything of these environments that is committed and not published yet, in order.

        Called right after COMMIT, outside every lock, with the messages of that commit. Takes at most `deadline`
        seconds and never raises: what it cannot do in time a relay does. Idempotent; many may publish at once.
        """
        ...


class Receipts(Protocol):
    """Knows what agents reported."""

    def wait(self, committed: Committed, timeout: float) -> WaitOutcome:
        """Return once every live agent of the reached environments serves the revision, at most `timeout` s later."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One item that differs between two states.

    `old` and `new` are canonical bytes, `b""` for a tombstone, None for absent.
    """

    environment: str
    layer: str
    path: str
    old: bytes | None
    new: bytes | None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A rollback: the commit, and the paths whose value still differs from back then because a parent changed."""

    committed: Committed
    inherited: tuple[Difference, ...] = ()
    pinned: tuple[str, ...] = ()
