"""Files that are cut off or have flipped bits: refused, or the last good view, never a crash, never a wrong value."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shared_line import SharedLine, hide, put
from tests.support.waiting import eventually
from trimtab import attach_taking
from trimtab.attached import Attached, attach
from trimtab.model.canonical import Json
from trimtab.model.errors import FilesRefused, TrimtabError
from trimtab.shared import frames, head, layout
from trimtab_sidecar.shared import Limits
from trimtab_sidecar.shared.log import Room

VALUES: dict[str, Json] = {f"risk.k{number}": [number, "x" * 40] for number in range(150)}
SMALL_ROOM = Limits(room=Room(bytes=frames.FIRST + 256 * 1024))


@pytest.fixture
def line(place: Path) -> Iterator[SharedLine]:
    with SharedLine(place, VALUES, limits=SMALL_ROOM) as made:
        made.edit(put("risk.k1", "one"), put("new.path", 1, "bot=mm"))
        made.edit(hide("risk.k2"), put("other", [1]))
        made.attest()
        yield made


EXPECTED: dict[str, Json] = {**VALUES, "risk.k1": "one", "new.path": 1}
del EXPECTED["risk.k2"]


def check_or_refused(place: Path, wanted: dict[str, Json], paths: list[str]) -> bool:
    """Whether it could be attached to; then every value that it gives is right."""
    try:
        config = attach(place, {"bot": "mm"}, timeout=0)
    except TrimtabError:
        return False
    for path in paths:
        try:
            found = config[path]
        except FilesRefused:
            continue
        assert (list(found) if isinstance(found, tuple) else found) == wanted[path]
    assert config.status is not None
    config.poll()
    return True


def used(place: Path, name: str) -> int:
    """Bytes of a file up to its last one that is not zero."""
    return len((place / name).read_bytes().rstrip(b"\0"))


NAMES = ["head", "snapshot-1", "changes-1"]


@pytest.mark.usefixtures("line")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [101, pytest.param(1, marks=pytest.mark.long)])
def test_a_file_that_is_cut_off_at_any_length(place: Path, name: str, step: int) -> None:
    whole = (place / name).read_bytes()
    lengths = [*range(0, used(place, name) + 50, step), 1, 4095, 4096, 4097, 8191, 8192, 8193]
    attached = 0
    for length in lengths:
        (place / name).unlink()
        (place / name).write_bytes(whole[:length])
        (place / name).chmod(0o640)
        attached += check_or_refused(place, EXPECTED, ["risk.k1", "new.path", "risk.k77"])
    assert attached < len(lengths) / 2
    (place / name).unlink()
    (place / name).write_bytes(whole)
    (place / name).chmod(0o640)
    assert check_or_refused(place, EXPECTED, list(EXPECTED))


@pytest.mark.usefixtures("line")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [53, pytest.param(1, marks=pytest.mark.long)])
def test_a_flipped_bit_anywhere(place: Path, name: str, step: int) -> None:
    paths = random.Random(1).sample(list(EXPECTED), 8)
    rng = random.Random(2)
    with (place / name).open("r+b", buffering=0) as file:
        for offset in range(rng.randrange(step), used(place, name), step):
            (byte,) = os.pread(file.fileno(), 1, offset)
            os.pwrite(file.fileno(), bytes([byte ^ (1 << rng.randrange(8))]), offset)
            check_or_refused(place, EXPECTED, paths)
            os.pwrite(file.fileno(), bytes([byte]), offset)
    assert check_or_refused(place, EXPECTED, list(EXPECTED))


def page_of(place: Path, name: str, number: int, page: bytes | None = None) -> bytes:
    """A page of a file; with `page`, what stands there from now on instead of it."""
    with (place / name).open("r+b", buffering=0) as file:
        found = os.pread(file.fileno(), layout.PAGE, number * layout.PAGE)
        if page is not None:
            os.pwrite(file.fileno(), page, number * layout.PAGE)
        return found


@pytest.mark.usefixtures("line")
def test_a_whole_page_in_the_place_of_another_is_refused(place: Path) -> None:
    pages = (place / "snapshot-1").stat().st_size // layout.PAGE
    for number in range(1, pages):
        right = page_of(place, "snapshot-1", number)
        page_of(place, "snapshot-1", number, page_of(place, "snapshot-1", 1 + number % (pages - 1)))
        with pytest.raises(FilesRefused, match=f"Page {number} of snapshot-1"):
            read_everything(place)
        page_of(place, "snapshot-1", number, right)
    read_everything(place)


def test_a_page_of_the_generation_before_is_refused(place: Path, line: SharedLine) -> None:
    before = [page_of(place, "snapshot-1", number) for number in range(1, 4)]
    line.resync()
    for number, old in enumerate(before, 1):
        right = page_of(place, "snapshot-2", number, old)
        with pytest.raises(FilesRefused, match=f"Page {number} of snapshot-2"):
            read_everything(place)
        page_of(place, "snapshot-2", number, right)
    read_everything(place)


def read_everything(place: Path) -> None:
    config = attach(place, {"bot": "mm"}, timeout=0)
    for path, wanted in EXPECTED.items():
        found = config[path]
        assert (list(found) if isinstance(found, tuple) else found) == wanted


@pytest.mark.usefixtures("line")
def test_a_bit_of_the_newest_announcement_moves_nobody_and_makes_nobody_wait(place: Path) -> None:
    attached = attach(place, {"bot": "mm"}, timeout=0)
    newest = head.newest((place / "head").read_bytes())
    assert newest is not None
    for bit in range(8 * len(newest.encode())):
        flip(place / "head", newest.place + bit // 8, 1 << bit % 8)
        for config in (attached, attach(place, {"bot": "mm"}, timeout=0)):
            config.poll()
            said = set(config.alarms) - {"sidecar"}  # nothing beats here, which a slow machine has time to notice
            assert (config.epoch, config.revision, config["risk.k1"], said) == (1, 3, "one", set()), bit
        flip(place / "head", newest.place + bit // 8, 1 << bit % 8)


def flip(path: Path, offset: int, bits: int = 1) -> None:
    with path.open("r+b", buffering=0) as file:
        (byte,) = os.pread(file.fileno(), 1, offset)
        os.pwrite(file.fileno(), bytes([byte ^ bits]), offset)


def test_a_damaged_frame_keeps_the_last_good_view_and_is_tried_again(place: Path, line: SharedLine) -> None:
    config: Attached = attach(place, {"bot": "mm"}, timeout=0)
    at = used(place, "changes-1") + 1
    line.edit(put("risk.k1", "two"))
    flip(place / "changes-1", at + 90)
    assert [config["risk.k1"] for _ in range(50)] == ["one"] * 50
    assert config.revision == 3
    assert "Frame 2 of changes-1" in config.alarms["shared_memory"]
    flip(place / "changes-1", at + 90)
    assert config.wait_for(4, 5)
    assert (config["risk.k1"], config.alarms.get("shared_memory")) == ("two", None)


def test_a_reader_that_only_reads_tries_a_damaged_frame_again(
    place: Path, line: SharedLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach_taking, "THOROUGH_SECONDS", 1e9)
    config = attach(place, {"bot": "mm"}, timeout=0)
    assert config["risk.k1"] == "one"
    at = used(place, "changes-1") + 1
    line.edit(put("risk.k1", "two"))
    flip(place / "changes-1", at + 90)
    assert config["risk.k1"] == "one"
    flip(place / "changes-1", at + 90)
    assert eventually(lambda: config["risk.k1"] == "two")


@pytest.mark.usefixtures("line")
def test_a_whole_frame_in_the_place_of_another_is_refused(place: Path) -> None:
    log = (place / "changes-1").read_bytes()
    frame, _ = frames.decode(log, frames.FIRST, 1, 0)
    assert frame.revision == 2
    for generation, number in ((1, 1), (2, 0)):
        with pytest.raises(FilesRefused, match=f"Frame {number} of changes-{generation}"):
            frames.decode(log, frames.FIRST, generation, number)


def test_a_word_that_came_without_its_record_leads_nobody_back(place: Path, line: SharedLine) -> None:
    for number in range(head.RECORDS):
        line.edit(put("risk.k1", number))
    content = (place / "head").read_bytes()
    newest = head.newest(content)
    assert newest is not None
    assert newest.sequence > head.RECORDS
    word = (newest.sequence + 1).to_bytes(8, "little")
    assert head.newest(content[: head.WORD] + word + content[head.WORD + 8 :]) == newest


def test_a_damaged_frame_ends_with_the_next_generation(place: Path, line: SharedLine) -> None:
    config: Attached = attach(place, {"bot": "mm"}, timeout=0)
    at = used(place, "changes-1") + 1
    line.edit(put("risk.k1", "two"))
    flip(place / "changes-1", at + 90)
    assert config["risk.k1"] == "one"
    line.resync()
    assert config.wait_for(5, 5)
    assert config["risk.k1"] == "two"


def test_a_log_and_a_snapshot_that_shrink_under_a_reader(place: Path, line: SharedLine) -> None:
    config: Attached = attach(place, {"bot": "mm"}, timeout=0)
    assert config["risk.k1"] == "one"
    line.edit(put("risk.k1", "two"))
    os.truncate(place / "changes-1", frames.FIRST + 100)
    os.truncate(place / "snapshot-1", layout.PAGE)
    assert config["risk.k1"] == "one"
    config._following._at.generation.snapshot._kept.clear()
    with pytest.raises(FilesRefused, match="cut off"):
        config["risk.k99"]
    assert "shared_memory" in config.alarms
    line.resync()
    assert config.wait_for(5, 5)
    assert (config["risk.k1"], config["risk.k99"]) == ("two", (99, "x" * 40))


def test_a_new_generation_that_cannot_be_read_leaves_the_old_one(place: Path, line: SharedLine) -> None:
    config: Attached = attach(place, {"bot": "mm"}, timeout=0)
    line.resync(line.state.apply("base", [put("risk.k1", "two")]))
    flip(place / "snapshot-2", 40)
    assert (config["risk.k1"], config["risk.k99"], config.revision) == ("one", (99, "x" * 40), 3)
    assert "snapshot-2" in config.alarms["shared_memory"]
    flip(place / "snapshot-2", 40)
    assert config.wait_for(4, 5)
    assert config["risk.k1"] == "two"


def test_the_writer_reads_back_what_it_wrote(place: Path, line: SharedLine, monkeypatch: pytest.MonkeyPatch) -> None:
    config: Attached = attach(place, {"bot": "mm"}, timeout=0)
    files = line.publisher._files
    write_at = files.write_at

    def wrong(handle: int, offset: int, content: bytes) -> None:
        write_at(handle, offset, content[:-9] + bytes([content[-9] ^ 4]) + content[-8:])

    monkeypatch.setattr(files, "write_at", wrong)
    line.resync(line.state.apply("base", [put("risk.k1", "two")]))
    assert (config["risk.k1"], "shared_memory" in line.publisher.alarms) == ("one", True)
    monkeypatch.setattr(files, "write_at", write_at)
    line.tidy()
    assert (config["risk.k1"], dict(line.publisher.alarms)) == ("two", {})


def nothing(_offset: int, _length: int) -> bytes:
    return b""


def test_labels_that_cannot_be_read_keep_the_view_until_they_can(place: Path, line: SharedLine) -> None:
    config: Attached = attach(place, {"bot": "mm"}, timeout=0)
    assert config["risk.k1"] == "one"
    snapshot = config._following._at.generation.snapshot
    snapshot._kept.clear()
    read_at, snapshot._read_at = snapshot._read_at, nothing
    line.edit(put("fleet.bots.mm.labels.mode", "live"), put("risk.k1", "two", "mode=live"))
    assert [config["risk.k1"] for _ in range(3)] == ["one"] * 3
    assert "shared_memory" in config.alarms
    snapshot._read_at = read_at
    assert config.wait_for(4, 5)
    assert (config["risk.k1"], config.labels["mode"]) == ("two", "live")
