"""append.lua by itself, against a list: one answer for each case, and no interleaving that leaves a gap."""

from __future__ import annotations

import random
from collections.abc import Iterator
from importlib.resources import files

import fakeredis
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from tests.support.line import Line
from tests.support.published import check_contiguous, head_text, heard, name_of, read_snapshot, texts_in_stream
from tests.support.scripts import Stepper
from trimtab.model.links import Message
from trimtab.model.published import Head
from trimtab.model.snapshots import Statement
from trimtab_store.channel import Answer, Channel


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with fakeredis.FakeRedis() as fake:
        yield fake


@pytest.fixture
def channel(client: redis.Redis) -> Channel:
    return Channel(client)


def append(channel: Channel, message: Message) -> Answer:
    return channel.append(message.link, message.encode())[0]


def test_the_next_change_is_appended_and_becomes_the_head(client: redis.Redis, channel: Channel) -> None:
    one, two = Line(stride=3).commits(2)
    assert [append(channel, one), append(channel, two)] == [Answer.APPENDED, Answer.APPENDED]
    assert head_text(client) == name_of(two)
    assert check_contiguous(client) == [one, two]


def test_each_other_change_is_answered_and_appends_nothing(client: redis.Redis, channel: Channel) -> None:
    line = Line()
    one, two, three, four = line.commits(4)
    other = line.cut(1)
    other_two, other_three, other_four = other.commit("fork"), other.commit(), other.commit()
    for message in (one, two):
        append(channel, message)
    before = texts_in_stream(client)
    answers = {
        "the head itself": append(channel, two),
        "older": append(channel, one),
        "over a gap": append(channel, four),
        "the head's revision with another hash": append(channel, other_two),
        "after the head's revision with another hash": append(channel, other_three),
        "far on another line": append(channel, other_four),
    }
    assert answers == {
        "the head itself": Answer.ALREADY,
        "older": Answer.OLD,
        "over a gap": Answer.BEHIND,
        "the head's revision with another hash": Answer.FORK,
        "after the head's revision with another hash": Answer.FORK,
        "far on another line": Answer.BEHIND,
    }
    assert texts_in_stream(client) == before
    assert append(channel, three) is Answer.APPENDED


def test_a_change_whose_line_skips_the_head_is_a_fork(channel: Channel) -> None:
    line = Line(stride=2)
    one, two = line.commits(2)
    other = Line(stride=3)
    other.messages = [one]
    append(channel, one)
    append(channel, two)
    assert append(channel, other.commit("past the head, from before it")) is Answer.FORK


def test_without_a_head_only_the_first_link_of_an_epoch_is_appended(client: redis.Redis, channel: Channel) -> None:
    one, two = Line().commits(2)
    assert append(channel, two) is Answer.BEHIND
    assert client.keys() == []
    assert append(channel, one) is Answer.APPENDED


def test_an_unreadable_head_is_behind_everything(client: redis.Redis, channel: Channel) -> None:
    one, _ = Line().commits(2)
    client.set("trimtab:{production}:head", "x")
    assert append(channel, one) is Answer.BEHIND


def test_the_record_of_a_higher_epoch_replaces_everything(client: redis.Redis, channel: Channel) -> None:
    line = Line()
    old = line.commits(3)
    for message in old:
        append(channel, message)
    client.hset("trimtab:{production}:snapshot", "meta", "old")
    record, after = line.declare(), line.commit()
    assert append(channel, after) is Answer.BEHIND
    assert append(channel, record) is Answer.APPENDED
    assert append(channel, after) is Answer.APPENDED
    assert append(channel, old[-1]) is Answer.OLD
    assert append(channel, old[0]) is Answer.OLD
    assert check_contiguous(client) == [record, after]
    assert not client.exists("trimtab:{production}:snapshot")


def test_revisions_beyond_what_a_double_holds_keep_their_order(channel: Channel) -> None:
    line = Line(stride=2**53)
    one = line.commit()
    line.stride = 1
    two, three = line.commits(2)
    append(channel, one)
    assert append(channel, three) is Answer.BEHIND
    assert append(channel, two) is Answer.APPENDED
    assert append(channel, one) is Answer.OLD


@pytest.mark.parametrize("harm", ["delete", "cut", "lengthen", "size"])
def test_a_stream_that_does_not_end_at_the_head_is_left_alone(client: redis.Redis, channel: Channel, harm: str) -> None:
    one, two, three = Line().commits(3)
    append(channel, one)
    append(channel, two)
    stream = "trimtab:{production}:stream"
    if harm == "delete":
        client.delete(stream)
    elif harm == "cut":
        client.xdel(stream, "1-2")
    elif harm == "lengthen":
        client.xadd(stream, {"m": "x"}, id="1-9")
    else:
        client.delete("trimtab:{production}:size")
    assert append(channel, three) is Answer.BROKEN


def test_the_cap_counts_bytes_and_keeps_the_newest_change(client: redis.Redis) -> None:
    line = Line()
    channel = Channel(client, stream_bytes=5_000)
    for number in range(300):
        append(channel, line.commit("x" * (number % 7) * 100))
        check_contiguous(client)
    kept = texts_in_stream(client)
    assert kept == line.texts[-len(kept) :]
    assert 5_000 - max(map(len, line.texts)) < sum(map(len, kept)) <= 5_000
    huge = line.commit("y" * 20_000)
    append(channel, huge)
    assert check_contiguous(client) == [huge]
    append(channel, line.commit())
    assert len(check_contiguous(client)) == 1


def test_the_cap_remembers_the_last_change_that_it_removed(client: redis.Redis) -> None:
    line = Line()
    channel = Channel(client, stream_bytes=2_000)
    for _ in range(20):
        append(channel, line.commit())
    seen = channel.inspect("production")
    assert seen.trimmed is not None
    assert seen.trimmed.revision == seen.before_oldest


def test_a_change_is_announced_inline_and_a_long_one_by_name(client: redis.Redis, channel: Channel) -> None:
    line = Line()
    with heard(client) as announcements:
        short = line.commit()
        exact = line.commit("x" * (32 * 1024 - len(short.encode()) - 1))
        assert len(exact.encode()) == 32 * 1024
        longer = line.commit("x" * (32 * 1024 - len(short.encode())))
        for message in (short, exact, longer, longer):
            append(channel, message)
        assert announcements() == [b"M" + short.encode(), b"M" + exact.encode(), b"N" + name_of(longer).encode()]


@given(data=st.data())
def test_no_interleaving_of_publishers_leaves_a_gap_a_duplicate_or_another_order(data: st.DataObject) -> None:
    line = Line(stride=data.draw(st.sampled_from([1, 3])))
    line.commits(data.draw(st.integers(1, 12)))
    with fakeredis.FakeRedis() as client:
        stepper = Stepper(client, line, publishers=data.draw(st.integers(1, 4)))
        stepper.run(data.draw(st.lists(stepper.steps(), max_size=60)))
        stepper.finish()


def stage(channel: Channel, statement: Statement, text: bytes) -> None:
    channel.stage("production", "token", b"meta", statement.encode())
    channel.stage("production", "token", b"0", text)


def test_a_snapshot_is_replaced_only_where_nobody_else_replaced_it(client: redis.Redis, channel: Channel) -> None:
    line = Line()
    append(channel, line.commit())
    statement, text = line.snapshot()
    assert channel.renew(statement, b"", "token") is Answer.UNSTAGED
    stage(channel, statement, text)
    assert channel.renew(statement, b"another", "token") is Answer.MOVED
    assert read_snapshot(client) is None
    assert channel.renew(statement, b"", "token") is Answer.RENEWED
    append(channel, line.commit())
    newer, longer = line.snapshot()
    stage(channel, newer, longer)
    assert channel.renew(newer, b"", "token") is Answer.MOVED
    assert channel.renew(newer, statement.encode(), "token") is Answer.RENEWED
    snapshot = read_snapshot(client)
    assert snapshot is not None
    assert snapshot.position == newer.position


def test_a_snapshot_of_an_epoch_that_is_over_is_not_published(client: redis.Redis, channel: Channel) -> None:
    line = Line()
    append(channel, line.commit())
    statement, text = line.snapshot()
    append(channel, line.declare())
    stage(channel, statement, text)
    assert channel.renew(statement, b"", "token") is Answer.MOVED
    assert read_snapshot(client) is None


def test_a_start_needs_the_head_that_was_seen_and_the_staged_snapshot(client: redis.Redis, channel: Channel) -> None:
    line = Line()
    one = line.commit()
    statement, text = line.snapshot()
    head = Head(one.position, one.link.hash)
    assert channel.start("production", b"", head, "token") is Answer.UNSTAGED
    stage(channel, statement, text)
    assert channel.start("production", b"1 9 ff", head, "token") is Answer.MOVED
    assert channel.start("production", b"", head, "token") is Answer.STARTED
    assert (head_text(client), read_snapshot(client) is None) == (name_of(one), False)
    assert append(channel, line.commit()) is Answer.APPENDED


SEEDED_BUGS = {
    "append over a gap": ("if above(previous_revision, r) then return {'BEHIND', head} end", ""),
    "append without comparing": ("if not fresh then", "if head ~= '' and not fresh and false then"),
    "the same change twice": ("if revision == r then return", "if false then return"),
    "older changes are news": ("if above(r, revision) then return {'OLD', head} end", ""),
    "the head is not kept": ("redis.call('SET', head_key, name)", ""),
    "a missing head is a beginning": ("if not e or above(epoch, e) then return {'BEHIND', head} end", "e = e or '0'"),
}


@pytest.mark.parametrize("bug", SEEDED_BUGS)
def test_a_seeded_bug_is_seen(bug: str) -> None:
    text = (files("trimtab_store") / "lua" / "append.lua").read_text(encoding="utf-8")
    right, wrong = SEEDED_BUGS[bug]
    assert text.count(right) == 1
    chance = random.Random(bug)
    seen = 0
    for _ in range(30):
        line = Line()
        line.commits(5)
        with fakeredis.FakeRedis() as client:
            stepper = Stepper(client, line, publishers=2)
            stepper.channel._scripts["append"] = client.register_script(text.replace(right, wrong))
            kinds = ["append"] * 6 + ["jump", "stray", "look", "start", "flush"]
            try:
                stepper.run([(chance.choice(kinds), chance.randrange(2)) for _ in range(40)])
                stepper.finish()
            except (AssertionError, redis.ResponseError):
                seen += 1
    assert seen > 0
