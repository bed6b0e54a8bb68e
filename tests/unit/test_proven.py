"""What has been served for long enough becomes `proven`, also where the snapshot is replaced again and again."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.signed_line import KEY, SignedLine
from trimtab.feeds.disk import DiskFeed
from trimtab.model.links import START, Position
from trimtab.replica.events import PromoteProven
from trimtab.replica.keeping import PROMOTE_SECONDS, PROVEN_SECONDS, Keeping

LINE = SignedLine()
LINE.extend(120)


def position(index: int) -> Position:
    return LINE.entries[index].position


@pytest.fixture
def feed(tmp_path: Path) -> DiskFeed:
    opened = DiskFeed.open(tmp_path / "agent", "production", KEY.trust())
    opened.load()
    opened.mark_started(1.0)
    return opened


def replace(feed: DiskFeed, index: int, served: Position) -> None:
    signed = LINE.entries[index].snapshot
    feed.replace(signed.statement, signed.body, (), served)


def test_proven_advances_although_every_snapshot_is_replaced_within_ten_minutes(feed: DiskFeed) -> None:
    keeping, promoted = Keeping(), list[Position]()
    for minute in range(60):
        now = minute * 60.0
        snapshot = keeping.snapshot(position(minute), b"", b"")
        replace(feed, minute, snapshot.served)
        keeping.served(position(minute))
        wish = keeping.promote(position(minute), now)
        if wish is not None and feed.promote_proven(wish.position):
            proven = feed.load().generations["proven"].position
            assert proven <= position(minute - int(PROVEN_SECONDS / 60)), "it was not served for long enough"
            promoted.append(proven)
    assert len(promoted) >= 4
    assert promoted == sorted(set(promoted))
    assert promoted[-1] >= position(59 - 21), "older than one wait and one replacement"


def test_what_was_never_served_is_not_set_aside(feed: DiskFeed, tmp_path: Path) -> None:
    replace(feed, 0, START)
    feed.append(LINE.entries[1].message)
    replace(feed, 5, START)  # nothing of it was ever seen
    assert not (tmp_path / "agent" / "aside").exists()
    feed.append(LINE.entries[6].message)
    replace(feed, 9, position(5))  # of what is held, that was seen
    assert not feed.promote_proven(position(4))
    assert feed.promote_proven(position(8))
    assert feed.load().generations["proven"].position == position(5)


def test_a_damaged_copy_is_passed_over_and_the_next_one_is_used(feed: DiskFeed, tmp_path: Path) -> None:
    replace(feed, 0, START)
    replace(feed, 3, position(0))
    (tmp_path / "agent" / "aside").write_bytes(b"rot")
    assert not feed.promote_proven(position(2))
    replace(feed, 6, position(3))
    assert feed.promote_proven(position(5))
    assert feed.load().generations["proven"].position == position(3)


def test_after_a_restart_nothing_is_known_of_what_was_set_aside(feed: DiskFeed, tmp_path: Path) -> None:
    replace(feed, 0, START)
    replace(feed, 3, position(0))
    asyncio.run(feed.close())
    again = DiskFeed.open(tmp_path / "agent", "production", KEY.trust())
    assert not (tmp_path / "agent" / "aside").exists()
    again.load()
    assert not again.promote_proven(position(2))
    asyncio.run(again.close())


def test_a_newer_proven_revision_is_written_at_most_once_a_minute() -> None:
    keeping, wishes = Keeping(), list[float]()
    for second in range(3600):
        keeping.served(Position(1, second + 1))
        wish = keeping.promote(Position(1, second + 1), float(second))
        if wish is not None:
            assert wish == PromoteProven(Position(1, second - int(PROVEN_SECONDS) + 1))
            wishes.append(second)
    assert wishes[0] == PROVEN_SECONDS
    assert {later - sooner for sooner, later in pairwise(wishes)} == {PROMOTE_SECONDS}
