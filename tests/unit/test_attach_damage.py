"""What is done to the files under a reader that is attached: it gives right values or refuses, and it lives.

`test_shared_damage.py` has those who attach to damaged files.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import random
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import pytest

from tests.support.shared_line import SharedLine, put
from trimtab.attached import Attached, attach
from trimtab.model.canonical import Json
from trimtab.model.errors import DirectoryHeld, FilesRefused
from trimtab.shared import frames, layout
from trimtab_sidecar.holding import LOCK, Holding
from trimtab_sidecar.shared import Limits
from trimtab_sidecar.shared.log import Room

VALUES: dict[str, Json] = {f"risk.k{number}": [number, "x" * 40] for number in range(150)}
EXPECTED: dict[str, Json] = {**VALUES, "risk.k1": "one", "new.path": 1}
SMALL_ROOM = Limits(room=Room(bytes=frames.FIRST + 256 * 1024))
NAMES = ["head", "snapshot-1", "changes-1"]
FORK = multiprocessing.get_context("fork")


def begun(place: Path) -> SharedLine:
    made = SharedLine(place, VALUES, limits=SMALL_ROOM)
    made.edit(put("risk.k1", "one"), put("new.path", 1, "bot=mm"))
    made.attest()
    return made


@pytest.fixture
def line(place: Path) -> Iterator[SharedLine]:
    with begun(place) as made:
        yield made


@pytest.fixture
def left(place: Path) -> SharedLine:
    """A line whose sidecar has ended: who writes has the head mapped, and would not survive that it shrinks."""
    with begun(place) as made:
        return made


def plain(value: object) -> object:
    return list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value


def look(config: Attached, paths: list[str]) -> list[str]:
    """Paths that were refused; every other one must be right."""
    refused: list[str] = []
    for path in paths:
        try:
            assert plain(config[path]) == EXPECTED[path]
        except FilesRefused:
            refused.append(path)
    assert config.status is not None
    assert config.revision == 2
    assert dict(config.alarms) is not None
    config.poll()
    return refused


@pytest.mark.usefixtures("line")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.long)])
def test_a_bit_that_flips_under_a_reader_never_gives_a_wrong_value(
    place: Path, line: SharedLine, name: str, step: int
) -> None:
    config = attach(place, {"bot": "mm"}, timeout=0)
    rng = random.Random(3)
    size = len((place / name).read_bytes().rstrip(b"\0"))
    with (place / name).open("r+b", buffering=0) as file:
        for offset in range(rng.randrange(step), size, step):
            (byte,) = os.pread(file.fileno(), 1, offset)
            os.pwrite(file.fileno(), bytes([byte ^ (1 << rng.randrange(8))]), offset)
            config._following._at.generation.snapshot._kept.clear()
            config._held.cache.clear()
            look(config, rng.sample(list(EXPECTED), 4))
            os.pwrite(file.fileno(), bytes([byte]), offset)
    config._held.cache.clear()
    assert look(config, list(EXPECTED)) == []
    line.edit(put("risk.k1", "two"))
    assert config.wait_for(3, 5)
    assert (config["risk.k1"], config.alarms.get("shared_memory")) == ("two", None)


def attached_child(place: Path, answer: Connection) -> None:
    """Look at every word that comes, until the end."""
    faulthandler.disable()  # a fault of memory is what one test is about
    config = attach(place, {"bot": "mm"}, timeout=0)
    known = list(EXPECTED)[:20]
    look(config, known)
    answer.send(None)
    while (paths := answer.recv()) is not None:
        answer.send((look(config, known), look(config, paths), config.alarms.get("shared_memory", "")))


class Child:
    """A reader in a process of its own, which a fault of memory may kill."""

    def __init__(self, place: Path) -> None:
        self._ours, theirs = FORK.Pipe()
        self.process = FORK.Process(target=attached_child, args=(place, theirs), daemon=True)
        self.process.start()
        theirs.close()
        assert self._ours.recv() is None

    def look(self, paths: list[str]) -> tuple[list[str], list[str], str]:
        self._ours.send(paths)
        found: tuple[list[str], list[str], str] = self._ours.recv()
        return found

    def end(self) -> int | None:
        with contextlib.suppress(BrokenPipeError):  # it is dead already
            self._ours.send(None)
        self.process.join(30)
        return self.process.exitcode


@pytest.mark.usefixtures("left")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [401, pytest.param(1, marks=pytest.mark.long)])
def test_a_file_that_shrinks_under_a_reader_is_refused_and_the_reader_lives(place: Path, name: str, step: int) -> None:
    child = Child(place)
    size = (place / name).stat().st_size
    used = len((place / name).read_bytes().rstrip(b"\0"))
    edges = {1, 15, 16, 24, 63, 64, 66, 4095, 4096, 4097, 8191, 8192, used, size - 1}
    last = 1 if name == "changes-1" else 0
    rng = random.Random(4)
    for length in sorted({*range(last, used, step), *edges, last} - {size}, reverse=True):
        if length < size:
            os.truncate(place / name, length)
            known, fresh, _ = child.look(rng.sample(list(EXPECTED), 2))
            assert known == [], "what was read stays read"
            assert name == "snapshot-1" or fresh == []
    assert child.look([])[2] == "" or name != "snapshot-1"
    assert child.end() == 0


@pytest.mark.usefixtures("left")
def test_a_head_that_comes_back_is_believed_again(place: Path) -> None:
    config = attach(place, {"bot": "mm"}, timeout=0)
    whole = (place / "head").read_bytes()
    os.truncate(place / "head", 100)
    assert "silent" in config.alarms["sidecar"]
    assert (config["risk.k1"], config.staleness_seconds) == ("one", float("inf"))
    (place / "head").write_bytes(whole)
    assert config.alarms.get("sidecar") is None
    assert config.staleness_seconds < 60


def test_a_sidecar_that_finds_its_head_cut_off_makes_another_and_readers_find_it(place: Path, left: SharedLine) -> None:
    config = attach(place, {"bot": "mm"}, timeout=0)
    os.truncate(place / "head", 100)
    with SharedLine(place, limits=SMALL_ROOM) as second:
        second.state, second.position = left.state, left.position
        second.resync(second.state.apply("base", [put("risk.k1", "two")]))
        config.poll()
        assert (config["risk.k1"], config.revision) == ("two", 3)


@pytest.mark.usefixtures("line")
def test_a_log_of_which_nothing_is_left_is_what_no_reader_survives(place: Path) -> None:
    """The one thing that docs/shared-memory.md names: the bells are memory, and only the owner can take it away."""
    child = Child(place)
    os.truncate(place / "changes-1", 0)
    with pytest.raises(EOFError):
        child.look([])
    assert child.end() == -signal.SIGBUS


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"{", b"[]", b"7", b'{"pid": 1}', b"\xff" * 9, b"[" * 4096])
def test_whatever_stands_in_the_lock_a_second_sidecar_is_refused_and_a_next_one_starts(
    place: Path, content: bytes
) -> None:
    first = Holding(place, "production")
    (place / LOCK).write_bytes(content)
    with pytest.raises(DirectoryHeld, match="is held: by a sidecar that is only just starting or ending"):
        Holding(place, "production")
    first.close()
    (place / LOCK).write_bytes(content)
    Holding(place, "production").close()


def test_whatever_stands_in_the_locks_readers_do_not_care(place: Path, line: SharedLine) -> None:
    config = attach(place, {"bot": "mm"}, timeout=0)
    for name in ("lock", LOCK, "other"):
        (place / name).write_bytes(b"\xff" * 100)
    (place / f"{layout.SNAPSHOT}7").write_bytes(b"not announced")
    assert look(attach(place, {"bot": "mm"}, timeout=0), list(EXPECTED)) == []
    line.edit(put("risk.k1", "two"))
    assert config["risk.k1"] == "two"
