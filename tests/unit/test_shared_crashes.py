"""The writer is killed, or refused, at every system call of a write, a rotation and a clean-up, with readers at work.

After each of them the reader that was there reads one whole revision and never an older one, a new reader finds
something whole, and the next sidecar brings both to the newest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.files_fake import Killed, Verdict
from tests.support.shared_files import JudgedFiles
from tests.support.shared_line import SharedLine, put
from trimtab.attached import Attached, attach
from trimtab.model.errors import TrimtabError
from trimtab_sidecar.shared import Limits

KEYS = [f"group.k{key}" for key in range(8)]
SMALL = Limits(paths=9, frames=3)


class Witness:
    """A reader that checks all that a reader is promised, as often as it is asked."""

    def __init__(self, place: Path) -> None:
        self.config: Attached = attach(place, {"bot": "mm"}, timeout=0)
        self.last = 0
        self.checks = 0

    def check(self) -> int:
        with self.config.pinned() as pin:
            values = {pin[key] for key in KEYS}  # pyright: ignore[reportUnhashable] - integers
            revision = pin.revision
        assert values == {revision}
        assert self.last <= revision
        again = self.config[KEYS[3]]
        assert isinstance(again, int)
        assert again >= revision
        self.last = again
        self.checks += 1
        return again


def group(line: SharedLine) -> None:
    """One change of the whole group, to the number of its revision."""
    line.edit(*(put(key, line.position.revision + 1) for key in KEYS))


def script(line: SharedLine) -> None:
    """Writes of every sort, rotations and clean-ups."""
    line.resync(line.state.apply("base", [put(key, line.position.revision + 1) for key in KEYS]))
    group(line)
    line.attest()
    for _ in range(4):
        group(line)
        line.tidy()
    line.edit(*(put(key, line.position.revision + 1) for key in KEYS), *(put(f"more.k{key}", key) for key in range(9)))
    group(line)


def began(place: Path) -> tuple[Witness, SharedLine]:
    with SharedLine(place, dict.fromkeys(KEYS, 1), limits=SMALL) as first:
        group(first)
        first.attest()
    return Witness(place), first


def resume(files: JudgedFiles, first: SharedLine) -> SharedLine:
    line = SharedLine(files, limits=SMALL)
    line.state, line.position = first.state, first.position
    return line


def operations(place: Path) -> int:
    witness, first = began(place)
    files = JudgedFiles(place, at(0, "", witness))
    with resume(files, first) as line:
        script(line)
    assert witness.check() == line.position.revision
    assert {"create", "write_at", "store", "remove", "open", "read_at"} <= set(files.operations)
    return len(files.operations)


def each(tmp_path: Path) -> list[int]:
    return list(range(1, operations(tmp_path / "count") + 1))


def at(wanted: int, verdict: Verdict, witness: Witness) -> Callable[[int, str], Verdict]:
    def judge(number: int, _kind: str) -> Verdict:
        witness.check()
        return verdict if number == wanted else ""

    return judge


def test_killed_at_every_operation(tmp_path: Path) -> None:
    for number in each(tmp_path):
        place = tmp_path / f"n{number}"
        witness, first = began(place)
        files = JudgedFiles(place, at(number, "kill", witness))
        line = None
        with pytest.raises(Killed):  # noqa: PT012 - which of the two dies is the point
            line = resume(files, first)
            script(line)
        seen = witness.check()
        fresh = Witness(place)
        assert fresh.check() >= 2
        assert seen <= (2 if line is None else line.position.revision)
        files.close()  # as the kernel does
        with SharedLine(place, limits=SMALL) as after:
            after.state, after.position = (first.state, first.position) if line is None else (line.state, line.position)
            after.resync(after.state.apply("base", [put(key, after.position.revision + 1) for key in KEYS]))
            group(after)
            assert witness.check() == fresh.check() == Witness(place).check() == after.position.revision
            present = {path.name for path in place.iterdir()}
            assert len(present) == 4, present


def test_refused_at_every_operation(tmp_path: Path) -> None:
    alarmed = 0
    for number in each(tmp_path):
        place = tmp_path / f"n{number}"
        witness, first = began(place)
        files = JudgedFiles(place, at(number, "fail", witness))
        try:
            line = resume(files, first)
        except (OSError, TrimtabError):  # it cannot start, and says so: what is announced goes on serving
            assert witness.check() == Witness(place).check() == 2
            files.close()
            continue
        with line:
            script(line)
            alarmed += "shared_memory" in line.publisher.alarms
            line.tidy()
            assert line.publisher.position == line.position
            assert witness.check() == Witness(place).check() == line.position.revision


def test_a_full_file_system_keeps_the_old_generation_serving_and_says_so(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    witness, first = began(place)
    full = False
    files = JudgedFiles(place, lambda _number, kind: "fail" if full and kind in {"create", "write_at"} else "")
    with resume(files, first) as line:
        group(line)
        full = True
        before = line.position.revision
        for _ in range(5):
            group(line)
            line.tidy()
        line.attest()
        assert witness.check() == before
        assert "No space left" in witness.config.alarms["shared_memory"]
        full = False
        line.tidy()
        line.attest()
        assert witness.check() == line.position.revision
        assert "shared_memory" not in witness.config.alarms


def test_a_reader_that_slept_through_many_rotations_wakes_consistent(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    witness, first = began(place)
    with witness.config.pinned() as pin, resume(JudgedFiles(place), first) as line:
        for _ in range(40):
            group(line)
            line.tidy()
        assert {pin[key] for key in KEYS} == {2}  # pyright: ignore[reportUnhashable] - integers
        assert witness.check() == line.position.revision
    assert len(list(place.glob("snapshot-*"))) == 1


def test_changes_that_come_while_a_generation_is_built_are_in_it(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    witness, first = began(place)
    with resume(JudgedFiles(place), first) as line:
        line.resync(line.state.apply("base", [put(key, line.position.revision + 1) for key in KEYS]))
        for _ in range(4):
            group(line)
        steps = line.publisher.tidy()
        next(steps)
        for number in range(3):
            line.edit(put(f"during.k{number}", number))
        for _ in steps:
            group(line)
            assert witness.check() == line.position.revision
        group(line)
        fresh = Witness(place)
        assert witness.check() == fresh.check() == line.position.revision
        for config in (witness.config, fresh.config):
            assert [config[f"during.k{number}"] for number in range(3)] == [0, 1, 2]
        assert witness.config.alarms.get("shared_memory") is None
