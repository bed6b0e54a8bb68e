"""What a replica asks for until it has caught up, whatever came first."""

from __future__ import annotations

import pytest

from tests.support.signed_line import KEY, Entry, SignedLine
from trimtab.feeds.feed import select
from trimtab.model.links import Position
from trimtab.model.reports import Status
from trimtab.replica.events import (
    Arrived,
    AskHead,
    ChangesAnswered,
    Effect,
    Event,
    FetchChanges,
    FetchSnapshot,
    HeadAnswered,
    Named,
    RequestFailed,
    SnapshotAnswered,
    Started,
    Subscribed,
    SubscriptionLost,
    Ticked,
)
from trimtab.replica.machine import Replica
from trimtab.replica.requests import GRACE_SECONDS

STEP = 0.1


class Store:
    """Answers whatever a replica asks, at once; only the first entry of each epoch has a snapshot."""

    def __init__(self, line: SignedLine) -> None:
        self.entries = line.entries
        self.now = 0.0

    def run(self, replica: Replica, *events: Event, rounds: int = 60) -> None:
        waiting: list[Event] = list(events)
        for _ in range(rounds):
            event = waiting.pop(0) if waiting else Ticked()
            waiting += [self.answer(effect) for effect in replica.handle(event, self.now) if _asks(effect)]
            self.now += STEP

    def answer(self, ask: Effect) -> Event:
        newest = self.entries[-1]
        if isinstance(ask, AskHead):
            return HeadAnswered(
                source=ask.source,
                request=ask.request,
                position=newest.position,
                hash=newest.link.hash,
                store_revision=newest.position.revision,
                is_replica=False,
                poll_after_ms=200,
            )
        if isinstance(ask, FetchChanges):
            history = [
                (entry.position, entry.message) for entry in self.entries if entry.link.epoch == newest.link.epoch
            ]
            found = select(history, ask.after, 1 << 20, newest.position)
            return ChangesAnswered(
                source=ask.source, request=ask.request, messages=found.messages, trimmed=found.trimmed
            )
        assert isinstance(ask, FetchSnapshot)
        first = next(entry for entry in self.entries if entry.link.epoch == newest.link.epoch)
        signed = first.snapshot
        return SnapshotAnswered(source=ask.source, request=ask.request, statement=signed.statement, body=signed.body)


class RedisAlone(Store):
    """The same while Postgres cannot be reached."""

    def answer(self, ask: Effect) -> Event:
        assert isinstance(ask, AskHead | FetchChanges | FetchSnapshot)
        if ask.source == "postgres":
            return RequestFailed(source="postgres", request=ask.request, reason="unreachable")
        return super().answer(ask)


def _asks(effect: Effect) -> bool:
    return isinstance(effect, AskHead | FetchChanges | FetchSnapshot)


def followed(line: SignedLine) -> tuple[Replica, Store]:
    """A replica that has caught up with a line."""
    replica, store = Replica("production", KEY.trust(), {}, random=lambda: 0.5), Store(line)
    store.run(replica, Started())
    assert replica.line.position == line.entries[-1].position
    return replica, store


def test_a_later_change_of_a_new_epoch_that_comes_first_needs_no_snapshot_of_its_own() -> None:
    line = SignedLine()
    line.extend(4)
    replica, store = followed(line)
    line.next_epoch()
    line.extend(5)
    store.run(replica, Arrived(line.entries[-2].message))
    assert replica.line.position == line.entries[-1].position
    assert replica.status(store.now) is Status.DEGRADED


def forked_from(ours: SignedLine) -> tuple[Replica, Store]:
    """The store went back and on again, and none of its revisions has the number of ours."""
    theirs = SignedLine()
    ours.extend(4)
    replica, store = followed(ours)
    theirs.extend(3)
    store.entries = theirs.entries
    store.entries.append(_renumbered(theirs, ours.entries[-1].position.revision + 1))
    store.run(replica)
    return replica, store


def test_a_line_that_passed_ours_by_is_a_fork() -> None:
    ours = SignedLine()
    replica, store = forked_from(ours)
    assert replica.status(store.now) is Status.FORKED
    assert replica.line.position == ours.entries[-1].position


def _renumbered(line: SignedLine, revision: int) -> Entry:
    """The next entry of a line, with a number of our choice."""
    line._step = revision
    kept = list(line.entries)
    entry = SignedLine.extend(line)
    line.entries[:] = kept
    return entry


def fetched(replica: Replica, event: Event, now: float) -> list[str]:
    """Whom a replica asks for a snapshot on an event."""
    return [effect.source for effect in replica.handle(event, now) if isinstance(effect, FetchSnapshot)]


def test_at_a_start_postgres_gives_no_data_while_redis_may_come_first() -> None:
    replica = Replica("production", KEY.trust(), {}, random=lambda: 0.5)
    started = list(replica.handle(Started(awaits_redis=True), 0.0))
    assert [type(effect) for effect in started] == [AskHead], "freshness cannot wait"
    assert fetched(replica, Subscribed(), 0.01) == []
    assert replica.wake_at(0.02) <= GRACE_SECONDS
    assert fetched(replica, Ticked(), GRACE_SECONDS) == ["postgres"]


def test_a_lost_subscription_ends_the_wait_for_redis() -> None:
    replica = Replica("production", KEY.trust(), {}, random=lambda: 0.5)
    assert fetched(replica, Started(awaits_redis=True), 0.0) == []
    assert fetched(replica, SubscriptionLost("refused"), 0.01) == ["postgres"]


def test_a_head_that_redis_does_not_give_ends_the_wait_for_it() -> None:
    replica = Replica("production", KEY.trust(), {}, random=lambda: 0.5)
    list(replica.handle(Started(awaits_redis=True), 0.0))
    (ask,) = [effect for effect in replica.handle(Subscribed(), 0.01) if isinstance(effect, AskHead)]
    failed = RequestFailed(source="redis", request=ask.request, reason="closed")
    assert fetched(replica, failed, 0.02) == ["postgres"]


def test_without_redis_postgres_is_asked_at_once() -> None:
    replica = Replica("production", KEY.trust(), {}, random=lambda: 0.5)
    assert fetched(replica, Started(), 0.0) == ["postgres"]


def test_a_false_newer_epoch_hides_no_change_that_redis_holds() -> None:
    """Found by seed 4676 of the simulation: the false name was dropped, and the true head with it."""
    line = SignedLine()
    line.extend(3)
    replica, store = followed(line)
    line.extend(1)
    alone = RedisAlone(line)
    alone.now = store.now
    alone.run(replica, Named(Position(8, 3)), Subscribed())
    assert replica.line.position == line.entries[-1].position


def polled(replica: Replica, store: Store) -> AskHead:
    """The next question for the head to Postgres."""
    for _ in range(60):
        store.now += STEP
        for effect in replica.handle(Ticked(), store.now):
            if isinstance(effect, AskHead) and effect.source == "postgres":
                return effect
    pytest.fail("it never asked")


def along(line: SignedLine, ask: AskHead, *messages: bytes) -> HeadAnswered:
    """A primary's answer with messages."""
    newest = line.entries[-1]
    revision = newest.position.revision
    return HeadAnswered(
        source="postgres",
        request=ask.request,
        position=newest.position,
        hash=newest.link.hash,
        store_revision=revision,
        is_replica=False,
        messages=messages,
    )


def test_without_redis_one_question_brings_both_the_head_and_what_follows_ours() -> None:
    line = SignedLine()
    line.extend(2)
    replica, store = followed(line)
    ask = polled(replica, store)
    assert ask.after == line.entries[-1].position
    line.extend(2)
    effects = list(replica.handle(along(line, ask, *line.messages[-2:]), store.now))
    assert replica.line.position == line.entries[-1].position
    assert not [effect for effect in effects if _asks(effect)]
    assert replica.status(store.now) is Status.DEGRADED
    assert replica.staleness(store.now) == 0.0


def test_with_redis_the_head_is_asked_for_alone() -> None:
    line = SignedLine()
    line.extend(2)
    replica, store = followed(line)
    store.run(replica, Subscribed())
    assert replica.freshness.subscribed
    assert polled(replica, store).after is None


def test_what_comes_along_and_leads_nowhere_is_fetched_as_if_it_had_not_come() -> None:
    line = SignedLine()
    line.extend(2)
    replica, store = followed(line)
    ask = polled(replica, store)
    line.extend(2)
    effects = list(replica.handle(along(line, ask, line.messages[-1]), store.now))
    assert [type(effect) for effect in effects if _asks(effect)] == [FetchChanges]
    store.run(replica, *[store.answer(effect) for effect in effects if _asks(effect)])
    assert replica.line.position == line.entries[-1].position


def test_after_a_fork_nothing_is_sent_along_that_could_not_be_taken() -> None:
    replica, store = forked_from(SignedLine())
    assert polled(replica, store).after is None


def test_an_answer_that_nobody_waits_for_brings_nothing() -> None:
    line = SignedLine()
    line.extend(2)
    replica, store = followed(line)
    ask = polled(replica, store)
    before = replica.line.position
    list(replica.handle(RequestFailed(source="postgres", request=ask.request, reason="late"), store.now))
    line.extend(1)
    list(replica.handle(along(line, ask, line.messages[-1]), store.now))
    assert replica.line.position == before


def asked_again(replica: Replica, *named: Position, now: float) -> bool:
    """Whether changes are asked for once more, after the first request for what was named first came to nothing."""
    (ask,) = [one for one in replica.handle(Named(named[0]), now) if isinstance(one, FetchChanges)]
    for position in named[1:]:
        list(replica.handle(Named(position), now))
    nothing = ChangesAnswered(source="postgres", request=ask.request, messages=())
    effects = [*replica.handle(nothing, now), *replica.handle(Ticked(), now + 0.2)]
    return any(isinstance(one, FetchChanges) for one in effects)


def test_a_hint_is_dropped_only_by_an_answer_to_what_was_asked_after_it() -> None:
    line = SignedLine()
    line.extend(2)
    revision = line.entries[-1].position.revision
    first, second = Position(1, revision + 5), Position(1, revision + 4)
    replica, store = followed(line)
    assert not asked_again(replica, first, now=store.now)
    replica, store = followed(line)
    assert asked_again(replica, first, second, now=store.now)
