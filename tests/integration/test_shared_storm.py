"""A writer that is killed and stopped at random instants, while other processes read: nobody ever sees half."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shared_storm import storm

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
