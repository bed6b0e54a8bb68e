"""What Redis and Postgres answer, by the contract of `trimtab.feeds.feed`, from their state at one instant."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.image import Entry, Image
from tests.simulation.redis import Keys
from trimtab.model.links import Position
from trimtab.replica.events import AskHead, ChangesAnswered, HeadAnswered, RequestFailed, SnapshotAnswered, Source

MAX_MESSAGES = 4
"""Stands for the bytes that one answer may hold, so that long histories take several."""


def redis_head(keys: Keys, request: int) -> HeadAnswered | RequestFailed:
    """The head that was published, if anything was."""
    if keys.head is None:
        return RequestFailed(source="redis", request=request, reason="nothing is published")
    return HeadAnswered(source="redis", request=request, position=keys.head[0], hash=keys.head[1])


def postgres_head(
    image: Image, environment: str, ask: AskHead, *, is_replica: bool, poll_after_ms: int
) -> HeadAnswered | RequestFailed:
    """What `trimtab_head_v1` says, no row for an unknown environment; and with it what follows, where that is asked."""
    request, head = ask.request, image.head(environment)
    if head is None:
        return RequestFailed(source="postgres", request=request, reason="no such environment")
    return HeadAnswered(
        source="postgres",
        request=request,
        position=head.position,
        hash=head.hash,
        store_revision=image.revision,
        is_replica=is_replica,
        poll_after_ms=poll_after_ms,
        messages=() if ask.after is None else _following(image, environment, head.position, ask.after),
    )


def _following(image: Image, environment: str, newest: Position, after: Position) -> tuple[bytes, ...]:
    return changes("postgres", image.lines.get(environment, ()), newest, after, 0).messages


def changes(source: Source, line: Sequence[Entry], newest: Position, after: Position, request: int) -> ChangesAnswered:
    """The messages after a position: from its own epoch, or from the first link of a newer one.

    A history that is cut answers `trimmed`. One that does not hold the position is told, for the replica to judge: its
    first message names a previous revision before ours.
    """
    rest = [entry for entry in line if entry.position > after]
    if rest and rest[-1].position.epoch > after.epoch:
        rest = [entry for entry in rest if entry.position.epoch == rest[-1].position.epoch]
    if not rest:
        return ChangesAnswered(source=source, request=request, messages=(), trimmed=newest > after)
    first = rest[0]
    cut = first.previous_revision > (after.revision if first.position.epoch == after.epoch else 0)
    if cut:
        return ChangesAnswered(source=source, request=request, messages=(), trimmed=True)
    chosen = rest[:MAX_MESSAGES]
    return ChangesAnswered(
        source=source,
        request=request,
        messages=tuple(entry.raw for entry in chosen),
        complete=len(chosen) == len(rest),
    )


def snapshot(source: Source, held: tuple[bytes, bytes] | None, request: int) -> SnapshotAnswered:
    """The newest signed snapshot, or none."""
    statement, body = held or (b"", b"")
    return SnapshotAnswered(source=source, request=request, statement=statement, body=body)
