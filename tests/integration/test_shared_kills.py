"""Kill -9 of the writer just before every real system call with which it touches its directory, with readers at work.

`tests/unit/test_shared_crashes.py` does the same through the port of files, with the stores into mapped memory, which
are no system calls.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shared_kills import (
    REVISIONS,
    Call,
    Life,
    Traced,
    chosen,
    installed,
    live_on,
    publisher_life,
    sidecar_life,
)
from tests.support.shared_storm import Readers, Seen
from trimtab import attach

MEMORY = Path("/dev/shm")  # noqa: S108 - memory is what is tested; a directory of our own is made in there
LONGEST = 20.0
"""Seconds: what a reader never waits for is far longer than any turn of a busy machine."""


@pytest.fixture
def place() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="trimtab-kills-", dir=MEMORY if MEMORY.is_dir() else None))
    yield made / "shared"
    shutil.rmtree(made)


@pytest.mark.skipif(not installed(), reason="strace is not installed: no process was killed at a real system call here")
@pytest.mark.parametrize(
    ("life", "most"),
    [
        pytest.param(publisher_life, 12, id="writer-short"),
        pytest.param(publisher_life, 10_000, id="writer-long", marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
        pytest.param(sidecar_life, 10_000, id="sidecar-long", marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
    ],
)
def test_a_kill_at_any_system_call_of_a_write_a_rotation_or_a_clean_up(
    place: Path, tmp_path: Path, life: Life, most: int
) -> None:
    assert live_on(life, place, 0) == 0
    begin = REVISIONS
    try:
        whole = Traced(life, place, begin, tmp_path / "whole")
    except PermissionError as error:
        pytest.skip(f"this machine lets strace attach to no process: {error}")
    assert whole.end() == 0
    calls = whole.calls()
    assert {"openat", "pwrite64", "pread64", "fallocate", "unlinkat", "flock", "close"} <= {name for name, _ in calls}
    readers = Readers(place, 2)
    missed: list[Call] = []
    for call in chosen(calls, most):
        begin += REVISIONS
        ended = Traced(life, place, begin, tmp_path / "log", call).end()
        missed += [call] * (ended != -signal.SIGKILL)
        check(place, begin, f"right after a kill at {call}")
        begin += REVISIONS
        assert live_on(life, place, begin) == 0, f"the next one does not start after a kill at {call}"
        check(place, begin + REVISIONS, f"two lives after {call}")
    seen = readers.end()
    assert [one.wrong[:5] for one in seen] == [[], []]
    assert all(one.longest < LONGEST for one in seen)
    assert all(one.generations > 10 for one in seen)
    few = 0 if life is publisher_life else len(calls) / 10  # what else a sidecar does between them varies
    assert len(missed) <= few, missed
    assert len(list(place.glob("snapshot-*"))) == 1


def check(place: Path, least: int, when: str) -> None:
    """A reader that attaches now finds something whole, and nothing older than this."""
    found = Seen()
    found.check(attach(place, {"bot": "mm"}, timeout=0))
    assert found.wrong == [], when
    assert found.last >= least, when
