"""The feed on disk: what it keeps, what it refuses, and what damage does to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.support.files_fake import Disk, FakeFiles, Inode
from tests.support.signed_line import KEY, OTHER_KEY, SignedLine
from trimtab.feeds.disk import DiskFeed, Loaded, generations, runs
from trimtab.model import links
from trimtab.model.errors import DirectoryHeld, FilesRefused, PersistFailed, SignatureRefused
from trimtab.model.links import START, Position

TRUST = KEY.trust()
LINE = SignedLine()
LINE.extend(9)


def reopen(directory: Path, environment: str = "production") -> DiskFeed:
    return DiskFeed.open(directory, environment, TRUST)


def close(feed: DiskFeed) -> None:
    asyncio.run(feed.close())


def filled(directory: Path) -> None:
    """All three generations: previous at entry 2, proven at 4, applied at 6; the floor at 6."""
    feed = reopen(directory)
    feed.load()
    feed.mark_started(1.0)
    feed.replace(LINE.entries[0].snapshot.statement, LINE.entries[0].snapshot.body)
    for index, promoted in ((2, 2), (4, 4), (6, None)):
        for entry in LINE.entries[index - 1 : index + 1]:
            feed.append(entry.message)
        feed.set_floor(LINE.entries[index].position)
        if promoted is not None:
            assert feed.promote_proven(LINE.entries[promoted].position)
    feed.mark_clean_stop(2.0)
    close(feed)


def load_damaged(contents: dict[str, bytes]) -> Loaded:
    inodes = {name: Inode(content, content) for name, content in contents.items()}
    return DiskFeed.open(Path("/fake"), "production", TRUST, FakeFiles(Disk(names=inodes, stable_names=inodes))).load()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def position(index: int) -> Position:
    return LINE.entries[index].position


def test_a_new_directory_gives_nothing_and_no_alarm(tmp_path: Path) -> None:
    feed = reopen(tmp_path / "new")
    loaded = feed.load()
    assert loaded == Loaded(generations={}, floor=START, clean=True, unclean_ends=(), alarms=())
    assert loaded.newest is None
    assert loaded.proven is None
    assert feed.needs_snapshot
    close(feed)


def test_everything_kept_comes_back(tmp_path: Path) -> None:
    filled(tmp_path)
    feed = reopen(tmp_path)
    loaded = feed.load()
    assert {name: one.position for name, one in loaded.generations.items()} == {
        "applied": position(6),
        "proven": position(4),
        "previous": position(2),
    }
    assert (loaded.floor, loaded.clean, loaded.alarms) == (position(6), True, ())
    assert (feed.position, feed.journal_messages) == (position(6), 6)
    close(feed)


def test_every_file_is_for_its_owner_only(tmp_path: Path) -> None:
    filled(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def damaged_forms(content: bytes) -> Iterator[bytes]:
    """The content cut at every length, and with one bit flipped in every byte."""
    for index in range(len(content)):
        yield content[:index]
        yield content[:index] + bytes([content[index] ^ 1 << index % 8]) + content[index + 1 :]


def test_a_small_file_damaged_anywhere_is_never_believed(tmp_path: Path) -> None:
    filled(tmp_path)
    whole = contents(tmp_path)
    for name in ("floor", "runs", "meta", "lock"):
        for content in damaged_forms(whole[name]):
            loaded = load_damaged({**whole, name: content})
            assert loaded.floor == position(6)
            assert loaded.generations["applied"].position == position(6)
            assert bool(loaded.alarms) is (name in {"floor", "runs"})
            assert loaded.clean is (name != "runs")


def test_a_generation_damaged_anywhere_is_a_shorter_true_one_or_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    content = (tmp_path / "previous").read_bytes()
    for damaged in damaged_forms(content):
        try:
            generation = generations.read(damaged, TRUST, "production")
        except SignatureRefused:
            continue
        count = len(generation.messages)
        assert list(generation.messages) == LINE.messages[1 : 1 + count]
        assert generation.body == LINE.entries[0].snapshot.body
        assert generation.cut or generation.encode() == damaged


@pytest.mark.parametrize("name", ["applied", "proven", "previous"])
def test_damage_to_one_generation_leaves_the_others(tmp_path: Path, name: str) -> None:
    filled(tmp_path)
    whole = contents(tmp_path)
    for content in list(damaged_forms(whole[name]))[::97]:
        check_damage(name, load_damaged({**whole, name: content}))


def check_damage(name: str, loaded: Loaded) -> None:
    for other, expected in (("applied", 6), ("proven", 4), ("previous", 2)):
        if other != name:
            assert loaded.generations[other].position == position(expected)
        elif other in loaded.generations:
            assert loaded.generations[other].position <= position(expected)
    assert loaded.floor == position(6)


def test_a_journal_cut_short_is_written_anew_before_it_grows(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / "applied").open("r+b") as file:
        file.truncate((tmp_path / "applied").stat().st_size - 3)
    feed = reopen(tmp_path)
    assert "cut off" in feed.load().alarms[0]
    assert feed.position == position(5)
    for entry in LINE.entries[6:8]:
        feed.append(entry.message)
    feed.flush()
    close(feed)
    feed = reopen(tmp_path)
    loaded = feed.load()
    assert (loaded.generations["applied"].position, loaded.alarms) == (position(7), ())
    close(feed)


def test_what_follows_a_lost_generation_is_kept_on_top_of_the_next_one(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "applied").write_bytes(b"rubbish")
    feed = reopen(tmp_path)
    assert feed.load().newest == "proven"
    for entry in LINE.entries[5:]:
        feed.append(entry.message)
    feed.flush()
    close(feed)
    feed = reopen(tmp_path)
    assert feed.load().generations["applied"].position == position(8)
    close(feed)


def test_an_authentic_message_that_does_not_follow_is_cut(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / "applied").open("ab") as file:
        file.write(generations.frame(LINE.entries[8].message))
    loaded = load_damaged(contents(tmp_path))
    assert loaded.generations["applied"].position == position(6)
    assert "does not follow" in loaded.alarms[0]


def test_a_message_that_follows_but_is_forged_is_cut(tmp_path: Path) -> None:
    forger = SignedLine(key=OTHER_KEY)
    forger.extend(9)
    filled(tmp_path)
    with (tmp_path / "applied").open("ab") as file:
        file.write(generations.frame(forger.entries[7].message))
    loaded = load_damaged(contents(tmp_path))
    assert loaded.generations["applied"].position == position(6)
    assert "signature" in loaded.alarms[0]


def test_one_signature_covers_the_journal_before_it_through_the_hashes() -> None:
    unsigned = [replace(links.read(entry.message), link=replace(entry.link, signature=b"")) for entry in LINE.entries]
    signed = LINE.entries[0].snapshot
    trust_asked = Mock(wraps=TRUST)
    journal = [*(message.encode() for message in unsigned[1:8]), LINE.entries[8].message]
    content = generations.encode(signed.statement, signed.body, journal)
    generation = generations.read(content, trust_asked, "production")
    assert (generation.position, generation.cut) == (position(8), "")
    assert trust_asked.verify.call_count == 1 + 1, "one for the snapshot, one for the journal"
    journal[-1] = unsigned[8].encode()
    journal[:3] = [entry.message for entry in LINE.entries[1:4]]
    generation = generations.read(generations.encode(signed.statement, signed.body, journal), TRUST, "production")
    assert generation.position == position(3)
    assert "signature" in generation.cut


def test_a_forged_snapshot_is_refused(tmp_path: Path) -> None:
    forger = SignedLine(key=OTHER_KEY)
    signed = forger.extend().snapshot
    filled(tmp_path)
    (tmp_path / "applied").write_bytes(generations.encode(signed.statement, signed.body, ()))
    loaded = load_damaged(contents(tmp_path))
    assert loaded.newest == "proven"
    assert "applied" in loaded.alarms[0]


def test_a_generation_of_another_environment_is_refused(tmp_path: Path) -> None:
    other = SignedLine("staging")
    signed = other.extend().snapshot
    filled(tmp_path)
    (tmp_path / "applied").write_bytes(generations.encode(signed.statement, signed.body, ()))
    loaded = load_damaged(contents(tmp_path))
    assert loaded.newest == "proven"
    assert "staging" in loaded.alarms[0]


def test_a_directory_of_another_environment_is_refused_and_both_are_named(tmp_path: Path) -> None:
    filled(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(FilesRefused, match=r"'production', not to 'staging'"):
        reopen(tmp_path, "staging")
    assert {**contents(tmp_path), "lock": b""} == {**before, "lock": b""}


def test_two_agents_cannot_share_a_directory(tmp_path: Path) -> None:
    feed = reopen(tmp_path)
    with pytest.raises(DirectoryHeld, match=f"the process {os.getpid()} holds it"):
        reopen(tmp_path)
    close(feed)
    close(reopen(tmp_path))


def test_what_a_dead_process_left_half_written_is_removed(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "applied.tmp").write_bytes(b"half")
    close(reopen(tmp_path))
    assert not (tmp_path / "applied.tmp").exists()


def test_proven_never_goes_back_and_never_past_what_is_held(tmp_path: Path) -> None:
    filled(tmp_path)
    feed = reopen(tmp_path)
    feed.load()
    assert not feed.promote_proven(position(4))
    assert not feed.promote_proven(position(1))
    feed.replace(LINE.entries[7].snapshot.statement, LINE.entries[7].snapshot.body)
    assert not feed.promote_proven(position(6)), "nobody said that it was served"
    assert feed.promote_proven(position(8))
    close(feed)
    assert load_damaged(contents(tmp_path)).generations["proven"].position == position(7)


def test_a_generation_damaged_since_it_was_written_is_not_promoted(tmp_path: Path) -> None:
    filled(tmp_path)
    feed = reopen(tmp_path)
    feed.load()
    content = bytearray((tmp_path / "applied").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "applied").write_bytes(content)
    with pytest.raises(PersistFailed):
        feed.promote_proven(position(6))
    assert feed.needs_snapshot
    feed.replace(LINE.entries[7].snapshot.statement, LINE.entries[7].snapshot.body)
    feed.append(LINE.entries[8].message)
    close(feed)
    loaded = load_damaged(contents(tmp_path))
    assert [loaded.generations[name].position for name in ("applied", "proven")] == [position(8), position(4)]


def test_a_snapshot_older_than_the_journal_keeps_what_follows_it(tmp_path: Path) -> None:
    filled(tmp_path)
    feed = reopen(tmp_path)
    feed.load()
    signed = LINE.entries[3].snapshot
    feed.replace(signed.statement, signed.body)
    assert (feed.position, feed.journal_messages) == (position(6), 3)
    close(feed)


def test_a_gap_asks_for_a_snapshot_and_changes_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    feed = reopen(tmp_path)
    feed.load()
    with pytest.raises(PersistFailed, match="does not follow"):
        feed.append(LINE.entries[8].message)
    assert feed.needs_snapshot
    close(feed)
    assert load_damaged(contents(tmp_path)).generations["applied"].position == position(6)


def test_a_message_that_is_held_already_is_passed_over(tmp_path: Path) -> None:
    filled(tmp_path)
    feed = reopen(tmp_path)
    feed.load()
    before = contents(tmp_path)
    feed.append(LINE.entries[5].message)
    assert contents(tmp_path) == before
    close(feed)


def test_the_floor_never_decreases(tmp_path: Path) -> None:
    feed = reopen(tmp_path)
    feed.load()
    feed.set_floor(position(6))
    feed.set_floor(position(2))
    feed.flush()
    close(feed)
    feed = reopen(tmp_path)
    assert feed.load().floor == position(6)
    feed.set_floor(position(2))
    feed.flush()
    close(feed)
    assert load_damaged(contents(tmp_path)).floor == position(6)


def test_an_idle_flush_touches_nothing() -> None:
    files = FakeFiles(Disk())
    feed = DiskFeed.open(Path("/fake"), "production", TRUST, files)
    feed.load()
    feed.replace(LINE.entries[0].snapshot.statement, LINE.entries[0].snapshot.body)
    feed.set_floor(position(0))
    feed.flush()
    count = len(files.operations)
    feed.flush()
    assert len(files.operations) == count


def test_unclean_ends_are_counted_and_a_clean_stop_is_not(tmp_path: Path) -> None:
    found: list[tuple[float, ...]] = []
    for now, clean in ((10.0, False), (20.0, False), (30.0, True), (40.0, False), (50.0, False)):
        feed = reopen(tmp_path)
        feed.load()
        found.append(feed.mark_started(now))
        if clean:
            feed.mark_clean_stop(now + 1)
        close(feed)
    assert found == [(), (20.0,), (20.0, 30.0), (20.0, 30.0), (20.0, 30.0, 50.0)]
    loaded = load_damaged(contents(tmp_path))
    assert (loaded.clean, loaded.unclean_ends) == (False, (20.0, 30.0, 50.0))


@pytest.mark.parametrize(
    ("ends", "now", "expected"),
    [
        ((), 0.0, False),
        ((10.0, 20.0), 20.0, False),
        ((10.0, 20.0, 30.0), 30.0, True),
        ((10.0, 20.0, 320.5), 320.5, False),
        ((20.0, 30.0, 320.0), 320.0, True),
        ((1e6, 1e6 + 1, 1e6 + 2), 50.0, False),
    ],
)
def test_three_unclean_ends_within_five_minutes_are_a_crash_loop(
    ends: tuple[float, ...], now: float, *, expected: bool
) -> None:
    assert runs.is_crash_loop(ends, now) is expected


def test_nothing_is_written_before_it_is_loaded_or_after_it_is_closed(tmp_path: Path) -> None:
    feed = reopen(tmp_path)
    with pytest.raises(PersistFailed):
        feed.flush()
    feed.load()
    close(feed)
    with pytest.raises(PersistFailed):
        feed.flush()


def test_a_child_that_abandons_the_feed_leaves_the_parent_its_lock(tmp_path: Path) -> None:
    feed = reopen(tmp_path)
    child = os.fork()
    if child == 0:
        feed.abandon()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(DirectoryHeld):
        reopen(tmp_path)
    close(feed)
