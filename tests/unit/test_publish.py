"""The publisher over a line in memory and a fake Redis: what it repairs, what it refuses, and that it never raises."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import fakeredis
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from tests.support.interleaving import Interleaved, Turn
from tests.support.line import Line
from tests.support.published import check_contiguous, check_equals, every_key, read_snapshot, texts_in_stream
from trimtab.model.errors import UnavailableError
from trimtab.model.links import Link
from trimtab_store.channel import Answer, Channel
from trimtab_store.deadlines import Deadline
from trimtab_store.publish import Outcome, Published, Publisher
from trimtab_store.source import StoreHead

PRODUCTION = ["production"]


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with fakeredis.FakeRedis() as fake:
        yield fake


def publisher(client: redis.Redis, line: Line, **options: int) -> Publisher:
    return Publisher(line, Channel(client, **options))


def settle(client: redis.Redis, line: Line, **options: int) -> Published:
    (published,) = publisher(client, line, **options).publish(PRODUCTION, 10)
    return published


def test_a_commit_in_hand_is_published_without_a_question_to_postgres(client: redis.Redis) -> None:
    line = Line()
    one = line.commit()
    silent: Any = None
    published = Publisher(silent, Channel(client)).publish(PRODUCTION, 10, [one.encode()])
    assert published == (
        Published(environment="production", outcome=Outcome.PUBLISHED, position=one.position, appended=1),
    )


def test_a_commit_in_hand_brings_along_what_is_missing_before_it(client: redis.Redis) -> None:
    line = Line()
    line.commit()
    settle(client, line)
    late = line.commits(5)
    (published,) = publisher(client, line).publish(PRODUCTION, 10, [late[-1].encode()])
    assert (published.outcome, published.appended, published.position) == (Outcome.PUBLISHED, 5, late[-1].position)
    check_equals(client, line)


def test_commits_published_in_the_wrong_order_leave_the_right_one(client: redis.Redis) -> None:
    line = Line()
    texts = [message.encode() for message in line.commits(6)]
    for text in reversed(texts):
        (published,) = publisher(client, line).publish(PRODUCTION, 10, [text])
        assert published.outcome is Outcome.PUBLISHED
    check_equals(client, line)


def test_an_empty_redis_starts_from_the_signed_snapshot(client: redis.Redis) -> None:
    line = Line()
    line.commits(4)
    line.snapshot()
    late = line.commits(3)
    published = settle(client, line)
    assert (published.outcome, published.started, published.appended) == (Outcome.PUBLISHED, True, 3)
    assert check_contiguous(client) == late
    check_equals(client, line)


def test_without_a_snapshot_it_starts_from_the_first_link(client: redis.Redis) -> None:
    line = Line()
    line.commits(4)
    assert settle(client, line).appended == 4
    check_equals(client, line)


def test_a_snapshot_of_several_chunks_is_published_whole(client: redis.Redis) -> None:
    line = Line()
    for number in range(40):
        line.commit("x" * 60_000, path=f"a.b{number}")
    statement, _ = line.snapshot()
    assert statement.chunks == 3
    assert settle(client, line).outcome is Outcome.PUBLISHED
    check_equals(client, line)


def test_a_newer_snapshot_replaces_the_published_one(client: redis.Redis) -> None:
    line = Line()
    line.commits(2)
    line.snapshot()
    settle(client, line)
    line.commits(2)
    line.snapshot()
    published = settle(client, line)
    assert (published.renewed, published.started, published.appended) == (True, False, 2)
    assert len(texts_in_stream(client)) == 2
    check_equals(client, line)
    assert not settle(client, line).repaired


def test_an_incomplete_snapshot_is_sent_again(client: redis.Redis) -> None:
    line = Line()
    line.commits(2)
    line.snapshot()
    settle(client, line)
    client.hdel("trimtab:{production}:snapshot", "0")
    assert settle(client, line).renewed
    check_equals(client, line)


def test_a_stream_trimmed_past_its_snapshot_gets_a_newer_one_when_there_is_one(client: redis.Redis) -> None:
    line = Line()
    line.commit()
    line.snapshot()
    line.commits(50)
    assert settle(client, line, stream_bytes=3_000).outcome is Outcome.PUBLISHED
    assert not settle(client, line, stream_bytes=3_000).repaired
    line.snapshot()
    assert settle(client, line, stream_bytes=3_000).renewed
    check_equals(client, line)
    snapshot = read_snapshot(client)
    assert snapshot is not None
    assert snapshot.position == line.last.position


HARMS: dict[str, Callable[[redis.Redis], object]] = {
    "flushed": lambda client: client.flushall(),
    "head gone": lambda client: client.delete("trimtab:{production}:head"),
    "head unreadable": lambda client: client.set("trimtab:{production}:head", "\n1 x"),
    "head of another type": lambda client: (
        client.delete("trimtab:{production}:head"),
        client.sadd("trimtab:{production}:head", "x"),
    ),
    "stream gone": lambda client: client.delete("trimtab:{production}:stream"),
    "stream of another type": lambda client: client.set("trimtab:{production}:stream", "x"),
    "stream cut at its end": lambda client: client.xdel("trimtab:{production}:stream", "1-7"),
    "stream cut at its start": lambda client: client.xdel("trimtab:{production}:stream", "1-4"),
    "stream lengthened": lambda client: client.xadd("trimtab:{production}:stream", {"m": "x"}, id="1-99"),
    "size gone": lambda client: client.delete("trimtab:{production}:size"),
    "snapshot gone": lambda client: client.delete("trimtab:{production}:snapshot"),
    "snapshot without a statement": lambda client: client.hdel("trimtab:{production}:snapshot", "meta"),
    "snapshot of another type": lambda client: client.set("trimtab:{production}:snapshot", "x"),
}


@pytest.mark.parametrize("more", [0, 2])
@pytest.mark.parametrize("harm", HARMS)
def test_whatever_is_harmed_is_rebuilt(client: redis.Redis, harm: str, more: int) -> None:
    line = Line()
    line.commits(3)
    line.snapshot()
    line.commits(4)
    settle(client, line)
    HARMS[harm](client)
    line.commits(more)
    published = settle(client, line)
    assert (published.outcome, published.repaired) == (Outcome.PUBLISHED, True)
    check_equals(client, line)
    assert not settle(client, line).repaired


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_a_higher_epoch_replaces_what_was_published(client: redis.Redis, *, with_snapshot: bool) -> None:
    line = Line()
    line.commits(3)
    line.snapshot()
    settle(client, line)
    lost = line.cut(3)
    lost.commits(2)
    settle(client, lost)  # these two are in Redis only
    assert settle(client, line).outcome is Outcome.FORK
    line.declare()
    if with_snapshot:
        line.snapshot()
    line.commit()
    published = settle(client, line)
    assert (published.outcome, published.position) == (Outcome.PUBLISHED, line.last.position)
    check_equals(client, line)


@pytest.mark.parametrize(("shared", "theirs", "ours"), [(3, 1, 1), (3, 1, 2), (3, 2, 1), (3, 2, 0), (0, 2, 2)])
def test_a_head_that_postgres_does_not_hold_is_an_alarm_and_nothing_is_written(
    client: redis.Redis, shared: int, theirs: int, ours: int
) -> None:
    line = Line()
    line.commits(shared)
    forged = line.cut(shared)
    for number in range(theirs):
        forged.commit(f"fork {number}")
    settle(client, forged)
    line.commits(ours)
    before = {key: client.dump(key) for key in every_key(client)}
    (at_hand,) = publisher(client, line).publish(PRODUCTION, 10, [line.messages[-1].encode()])
    published = settle(client, line)
    assert published.outcome is Outcome.FORK
    assert published.detail
    # Where the head is beyond this change, its own publisher cannot tell; a relay does.
    assert at_hand.outcome is (Outcome.PUBLISHED if theirs > ours else Outcome.FORK)
    assert {key: client.dump(key) for key in every_key(client)} == before


def test_a_replica_behind_what_is_published_is_no_alarm(client: redis.Redis) -> None:
    line = Line()
    line.commits(5)
    settle(client, line)
    replica = line.cut(3)
    replica.is_replica = True
    assert settle(client, replica).outcome is Outcome.LAGGING


def test_an_unknown_environment_is_left_alone(client: redis.Redis) -> None:
    (published,) = publisher(client, Line()).publish(["elsewhere"], 10)
    assert published.outcome is Outcome.UNKNOWN
    assert client.keys() == []


def test_a_deadline_that_is_over_does_nothing(client: redis.Redis) -> None:
    line = Line()
    one = line.commit()
    for messages in ([], [one.encode()]):
        (published,) = publisher(client, line).publish(PRODUCTION, 0, messages)
        assert published.outcome is Outcome.UNFINISHED
    assert client.keys() == []


class Failing(Line):
    """A line that fails when asked, as a bug or an outage would."""

    error: Exception

    def head(self, environment: str, deadline: Deadline) -> StoreHead | None:
        _ = environment, deadline
        raise self.error


@pytest.mark.parametrize("error", [UnavailableError("gone"), OSError("gone"), RuntimeError("a bug")])
def test_publishing_never_raises(client: redis.Redis, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    line = Failing()
    line.error = error
    with caplog.at_level(logging.ERROR):
        published = settle(client, line)
    assert published.outcome is Outcome.UNFINISHED
    assert "gone" in published.detail or "a bug" in published.detail
    assert bool(caplog.records) == isinstance(error, RuntimeError)


def test_a_malformed_message_goes_nowhere(client: redis.Redis) -> None:
    line = Line()
    line.commit()
    (published,) = publisher(client, line).publish(PRODUCTION, 10, [b"nonsense"])
    assert published.outcome is Outcome.PUBLISHED
    check_equals(client, line)


class Silent(Channel):
    asked = 0

    def append(self, link: Link, message: bytes) -> tuple[Answer, bytes]:
        _ = link, message
        self.asked += 1
        raise redis.TimeoutError("no answer")


def test_commits_do_not_wait_for_a_silent_redis_again_and_again(client: redis.Redis) -> None:
    line = Line()
    one = line.commit().encode()
    channel = Silent(client)
    shared = Publisher(line, channel)
    outcomes = [shared.publish(PRODUCTION, 10, [one])[0].outcome for _ in range(3)]
    assert (outcomes, channel.asked) == ([Outcome.UNFINISHED] * 3, 1)


@given(data=st.data())
def test_publishers_at_work_at_once_never_leave_a_gap_and_end_with_what_is_committed(data: st.DataObject) -> None:
    line = Line(stride=data.draw(st.sampled_from([1, 2])))
    line.commits(data.draw(st.integers(1, 3)))
    with fakeredis.FakeRedis() as client:
        turns = data.draw(st.lists(st.sampled_from(list(Turn)), max_size=40))
        interleaved = Interleaved(client, line, turns)
        interleaved.run()
        assert settle(client, line).outcome is Outcome.PUBLISHED
        check_equals(client, line)
