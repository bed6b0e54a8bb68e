"""A writer that is killed and stopped at random instants, while other processes read: nobody ever sees half."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shared_kills import REVISIONS, live_on, publisher_life
from tests.support.shared_line import SharedLine
from tests.support.shared_storm import Readers, storm
from trimtab import attach
from trimtab.model.errors import TrimtabError
from trimtab_sidecar.shared import SharedDirectory

STRANGER, GROUP = 65_501, 65_502
MEMORY = Path("/dev/shm")  # noqa: S108 - memory is what is tested; a directory of our own is made in there


@pytest.fixture
def place() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="trimtab-storm-", dir=MEMORY if MEMORY.is_dir() else None))
    yield made / "shared"
    shutil.rmtree(made)


@pytest.mark.parametrize(
    ("seconds", "reads", "seeds"),
    [
        pytest.param(4.0, 500_000, 1, id="short"),
        pytest.param(60.0, 10_000_000, 3, id="long", marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
    ],
)
def test_readers_never_err_block_go_back_or_see_two_revisions(
    place: Path, seconds: float, reads: int, seeds: int
) -> None:
    total = 0
    for seed in range(seeds):
        found, kills = storm(place, reads=reads // seeds, seconds=seconds, readers=2, seed=seed)
        assert [one.wrong[:5] for one in found] == [[]] * 2
        assert kills > seconds
        assert all(one.revisions > 10 for one in found)
        assert all(one.generations > 3 for one in found)
        total += sum(one.reads for one in found)
    assert total >= reads
    assert len(list(place.glob("snapshot-*"))) <= 2


def test_a_reader_process_that_is_stopped_across_many_rotations_wakes_consistent(place: Path) -> None:
    assert live_on(publisher_life, place, 0) == 0
    readers = Readers(place, 1)
    try:
        (reader,) = readers.processes
        assert reader.pid is not None
        for sleep in range(10):  # each at another point of its checks
            os.kill(reader.pid, signal.SIGSTOP)
            for life in range(3):
                assert live_on(publisher_life, place, (3 * sleep + life + 1) * REVISIONS) == 0
            os.kill(reader.pid, signal.SIGCONT)
    finally:
        (seen,) = readers.end()
    assert (seen.wrong, seen.last) == ([], 31 * REVISIONS)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_bot_of_the_group_reads_what_is_roots_and_a_stranger_does_not(place: Path) -> None:
    place.parent.chmod(0o755)
    with SharedLine(SharedDirectory(place, group=GROUP), {"risk.max": 3}):
        assert as_user(STRANGER, GROUP, place) == "3"
        assert "Permission denied" in as_user(STRANGER, STRANGER, place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_bot_names_the_user_of_its_sidecar(place: Path) -> None:
    place.parent.chmod(0o755)
    with SharedLine(SharedDirectory(place, group=GROUP), {"risk.max": 3}):
        for path in (place, *place.iterdir()):
            os.chown(path, STRANGER, GROUP)
        assert "belongs to user" in as_user(STRANGER + 1, GROUP, place)
        assert as_user(STRANGER + 1, GROUP, place, owner=STRANGER) == "3"
        os.chown(place / "snapshot-1", 0, GROUP)
        assert "not an ordinary file of the directory's owner" in as_user(STRANGER + 1, GROUP, place, owner=STRANGER)


def as_user(user: int, group: int, place: Path, owner: int | None = None) -> str:
    """What a process of that user and group reads at risk.max, or the error that it gets."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def child() -> None:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
        try:
            theirs.send(str(attach(place, timeout=0, owner=owner)["risk.max"]))
        except TrimtabError as error:
            theirs.send(str(error))

    process = context.Process(target=child)
    process.start()
    told: str = ours.recv()
    process.join()
    return told
