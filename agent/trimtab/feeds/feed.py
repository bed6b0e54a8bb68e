"""The contract of a feed: one thing that an environment can be followed from.

A feed transports bytes and verifies nothing: what it hands out is judged by the replica (signature, environment,
previous hash). It has three rules, which one suite tests over every feed.

Order. `changes` gives messages in increasing position, strictly after the one asked for, each once. They continue the
history at that position: either the first follows the link at exactly that position, or it is the first link of a newer
epoch. Where a feed cannot say so (its history is cut, or it knows nothing) it answers `trimmed` and no message. A
history without a link at that position gives the link that passes it by: the replica sees from it that the line forked.

Errors. Whatever goes wrong on the wire becomes an `UnavailableError` within a deadline, its cause kept:
`FeedUnavailable` (`FeedDenied` where the server refuses us: ask a person, but keep trying), or `NotMigrated` where a
database lacks our functions. Nothing else is raised, cancellation excepted, and after either the feed is as usable as
before. Calls never block the event loop. A closed feed raises `FeedUnavailable`.

Idempotence. Asking changes nothing; every call may be repeated and calls may overlap.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from trimtab.model import links
from trimtab.model.errors import SignatureRefused
from trimtab.model.links import Position

MAX_CHANGES_BYTES = 4 * 1024 * 1024
"""What one answer of `changes` holds unless told otherwise; a single larger message still comes, alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest link of a line, as a feed knows it.

    `store_revision` is the store's own number at that moment, None where the feed cannot know it. Only an answer with
    `is_replica` False comes from the primary and can certify freshness. `poll_after_ms` is the interval that the server
    asks for, None where it has no say. `messages` is what came along, where it was asked for: as `changes` gives them,
    or nothing.
    """

    epoch: int
    revision: int
    hash: bytes
    store_revision: int | None = None
    is_replica: bool = True
    poll_after_ms: int | None = None
    messages: tuple[bytes, ...] = ()

    @property
    def position(self) -> Position:
        """The link's place in history."""
        return Position(self.epoch, self.revision)


@dataclass(frozen=True, slots=True)
class Changes:
    """Messages after a position, unverified. `complete`: nothing newer was there; `trimmed`: take the snapshot."""

    messages: tuple[bytes, ...]
    complete: bool = True
    trimmed: bool = False


@dataclass(frozen=True, slots=True)
class SignedBytes:
    """A snapshot, unverified: the JSON of its statement and its bytes."""

    statement: bytes
    body: bytes


class Feed(Protocol):
    """See the module's docstring for order, errors and idempotence."""

    @property
    def name(self) -> str:
        """The feed in reports and alarms: `redis`, `postgres`, `disk`, `memory`."""
        ...

    async def head(self, after: Position | None = None) -> Head | None:
        """The newest link, None where the feed knows nothing of the environment.

        With `after`, a feed that can tell both at once sends along what `changes` would give, if anything follows: a
        crowd that polls asks half as often when something changed.
        """
        ...

    async def changes(self, after: Position, max_bytes: int = MAX_CHANGES_BYTES) -> Changes:
        """Messages strictly after `after`, about `max_bytes` of them and at least one if there is one."""
        ...

    async def snapshot(self) -> SignedBytes | None:
        """The newest signed snapshot that the feed holds whole, or None."""
        ...

    async def close(self) -> None:
        """Give everything back; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The server confirmed a subscription, the first or a new one: news before it may be missed, so compare heads."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message from the channel, unverified."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Named:
    """The channel named a link whose message was too large to send along."""

    position: Position
    hash: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """The subscription is gone, or none could be had: news is missed from now on."""

    reason: str


Notice: TypeAlias = "Subscribed | Arrived | Named | Lost"


class PushFeed(Feed, Protocol):
    """A feed that also brings news by itself. What it brings is a hint: it may be late, doubled, forged or missing."""

    def subscribe(self) -> AsyncGenerator[Notice, None]:
        """Notices without end: `Lost` and `Subscribed` in turn, news between them.

        The feed reconnects by itself, with growing pauses and jitter, and announces every confirmed subscription by
        `Subscribed`. `Lost` comes once for each loss, and again when the reason changes while it lasts. A session that
        does not answer a ping is lost. Close the generator to stop; only a closed feed ends it, by `FeedUnavailable`.
        """
        ...


class Reporter(Protocol):
    """Something that takes an agent's reports, and stamps them with its own time."""

    async def report(self, report: bytes) -> None:
        """Replace the agent's report; the errors are those of a feed."""
        ...


def continues(message: bytes, after: Position) -> bool:
    """Whether a message says that it comes right after a position, or begins a newer epoch. Nothing is verified.

    What cannot be read is passed on, for the replica to refuse aloud; so is a link that passes the position by, from
    which the replica sees that its line and this one are two.
    """
    try:
        link = links.read(message).link
    except SignatureRefused:
        return True
    if link.epoch == after.epoch:
        return link.previous_revision <= after.revision
    return link.epoch > after.epoch and link.is_first


def select(
    messages: Iterable[tuple[Position, bytes]], after: Position, max_bytes: int, newest: Position | None
) -> Changes:
    """The answer of `changes` from an ordered history that may be cut; `newest` is the head, None if there is none."""
    if newest is None:
        return Changes((), trimmed=True)
    chosen: list[bytes] = []
    last, size = after, 0
    for position, message in messages:
        if position <= after:
            continue
        if chosen and size + len(message) > max_bytes:
            break
        chosen.append(message)
        last, size = position, size + len(message)
    if not chosen:
        return Changes((), trimmed=newest > after)
    if not continues(chosen[0], after):
        return Changes((), trimmed=True)
    return Changes(tuple(chosen), complete=last >= newest)
