"""The heartbeat of a relay: what its file says, and what is made of a file that says something else."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from trimtab.model.errors import SettingError
from trimtab_store import heartbeat
from trimtab_store.heartbeat import Heartbeat, look


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "alive"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of this machine, to be set."""
    seconds = [1_000.0]
    monkeypatch.setattr(time, "monotonic_ns", lambda: int(seconds[0] * 1e9))
    return seconds


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (0, (True, "its loop turned 0.0 s ago")),
        (heartbeat.MOST_SECONDS, (True, "its loop turned 60.0 s ago")),
        (heartbeat.MOST_SECONDS + 0.1, (False, "its loop turned 60.1 s ago, more than 60 s")),
        (-0.1, (False, "its loop has not turned since this machine started")),
    ],
)
def test_it_is_alive_while_its_last_turn_is_not_long_ago(
    file: Path, now: list[float], later: float, expected: tuple[bool, str]
) -> None:
    Heartbeat(file).beat()
    now[0] += later
    assert look(file) == expected


def test_each_beat_counts_from_anew_and_a_setting_of_the_time_changes_nothing(file: Path, now: list[float]) -> None:
    beating = Heartbeat(file)
    for _ in range(3):
        now[0] += heartbeat.MOST_SECONDS
        beating.beat()
        os.utime(file, (0, 0))
        assert look(file) == (True, "its loop turned 0.0 s ago")
        os.utime(file, (1e10, 1e10))
    now[0] += 2 * heartbeat.MOST_SECONDS
    assert not look(file)[0]
    assert file.stat().st_size == heartbeat._BYTES


def test_a_relay_that_starts_again_takes_the_file_over(file: Path, now: list[float]) -> None:
    Heartbeat(file)
    now[0] = 5.0  # the machine started again
    assert not look(file)[0]
    Heartbeat(file)
    assert look(file)[0]


@pytest.mark.parametrize(
    "content", [b"root:x:0:0::/root:/bin/sh\n", b"1\n", b"x" * heartbeat._BYTES, b"-" + b"1" * 18 + b"\n"]
)
def test_a_file_of_something_else_is_no_heartbeat_and_is_left_alone(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert look(file) == (False, f"{file} is no heartbeat of a relay")
    with pytest.raises(SettingError, match="it holds something else"):
        Heartbeat(file)
    assert file.read_bytes() == content


def test_a_file_that_never_can_be_written_is_refused_at_the_start(tmp_path: Path, file: Path) -> None:
    (tmp_path / "other").touch()
    file.symlink_to(tmp_path / "other")
    os.mkfifo(tmp_path / "fifo")
    for place in (tmp_path, tmp_path / "nowhere" / "alive", file, tmp_path / "fifo"):
        with pytest.raises(SettingError, match=r"The heartbeat .* cannot be written"):
            Heartbeat(place)
        assert look(place)[0] is False
    assert (tmp_path / "other").read_bytes() == b""


def test_what_cannot_be_written_later_is_told_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").mkdir()
    file = tmp_path / "run" / "alive"
    beating = Heartbeat(file)
    file.unlink()
    beating.beat()
    assert look(file)[0]
    for _ in range(2):
        file.unlink()
        file.parent.rmdir()
        with caplog.at_level(logging.WARNING, "trimtab"):
            beating.beat()
            beating.beat()
        assert [record.message for record in caplog.records] == ["the heartbeat cannot be written"]
        caplog.clear()
        file.parent.mkdir()
        beating.beat()
        assert look(file)[0]


def test_nobody_ever_reads_half_of_it(file: Path) -> None:
    beating, stop = Heartbeat(file), threading.Event()

    def beat() -> None:
        while not stop.is_set():
            beating.beat()

    thread = threading.Thread(target=beat)
    thread.start()
    seen = {look(file)[0] for _ in range(2_000)}
    stop.set()
    thread.join()
    assert seen == {True}


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_the_command_says_one_line_and_ends_with_yes_or_no(file: Path, more: tuple[str, ...]) -> None:
    for alive in (False, True):
        if alive:
            Heartbeat(file)
        command = [sys.executable, "-m", "trimtab_store", "relay", "probe", str(file), *more]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0 if alive else 1, "", 1)
        if more:
            assert json.loads(done.stdout)["alive"] is alive
        else:
            assert done.stdout.startswith("alive: its loop turned " if alive else f"not alive: {file} is not there")


def test_a_probe_imports_no_library(file: Path) -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        f"sys.argv[1:] = ['relay', 'probe', {str(file)!r}]\n"
        "from trimtab_store.cli import main\n"
        "try: main()\n"
        "finally: print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert set(done.stdout.splitlines()[-1].split()) - set(sys.stdlib_module_names) == {"trimtab", "trimtab_store"}
