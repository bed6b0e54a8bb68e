"""The real files: what is refused, and that a fake cannot drift from them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.files_fake import Disk, FakeFiles
from trimtab.files import DirectoryFiles, Files
from trimtab.model.errors import DirectoryHeld, FilesRefused, PersistFailed


@pytest.fixture(params=["real", "fake"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Files]:
    made: Files = DirectoryFiles(tmp_path / "d") if request.param == "real" else FakeFiles(Disk())
    yield made
    made.close()


def write(files: Files, name: str, content: bytes) -> None:
    handle = files.create(name)
    files.write(handle, content)
    files.sync(handle)
    files.close_handle(handle)


def test_what_is_written_is_read(files: Files) -> None:
    write(files, "a", b"one")
    handle = files.append("a")
    files.write(handle, b" two")
    files.close_handle(handle)
    assert files.read("a", 100) == b"one two"
    assert files.names() == ["a"]


def test_a_file_is_created_once(files: Files) -> None:
    write(files, "a", b"")
    with pytest.raises(FileExistsError):
        files.create("a")


def test_a_file_that_is_not_there_is_an_error_except_to_remove(files: Files) -> None:
    files.remove("a")
    with pytest.raises(FileNotFoundError):
        files.append("a")
    with pytest.raises(FileNotFoundError):
        files.read("a", 1)
    with pytest.raises(FileNotFoundError):
        files.rename("a", "b")


def test_a_rename_replaces(files: Files) -> None:
    write(files, "a", b"new")
    write(files, "b", b"old")
    files.rename("a", "b")
    files.sync_directory()
    assert (files.names(), files.read("b", 10)) == (["b"], b"new")


def test_closing_twice_is_allowed(files: Files) -> None:
    files.lock("lock")
    files.close()
    files.close()


def test_a_lock_holds_until_its_files_are_closed(tmp_path: Path) -> None:
    one, two = DirectoryFiles(tmp_path), DirectoryFiles(tmp_path)
    one.lock("lock")
    with pytest.raises(DirectoryHeld):
        two.lock("lock")
    one.close()
    two.lock("lock")
    two.close()


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o722])
def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(FilesRefused, match="chmod go-w"):
        DirectoryFiles(directory)


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(FilesRefused, match=f"belongs to user {owner}"):
        DirectoryFiles(tmp_path)


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(FilesRefused):
        DirectoryFiles(tmp_path / "link")
    (target / "secret").symlink_to("/etc/hostname")
    files = DirectoryFiles(target)
    with pytest.raises(OSError, match="symbolic link"):
        files.read("secret", 10_000)
    with pytest.raises(OSError, match="symbolic link"):
        files.append("secret")
    with pytest.raises(OSError, match="symbolic link"):
        files.lock("secret")
    files.close()


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FilesRefused, match="not a directory"):
        DirectoryFiles(tmp_path / "file")


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((PersistFailed, FilesRefused), match="directory"):
        DirectoryFiles(tmp_path / "file" / "below")


def test_only_ordinary_files_within_the_limit_are_read(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"12345")
    files = DirectoryFiles(tmp_path)
    for name in ("below", "pipe", "large"):
        with pytest.raises(FilesRefused):
            files.read(name, 4)
    files.close()


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    files = DirectoryFiles(tmp_path)
    files.lock("lock")
    write(files, "a", b"x")
    files.read("a", 1)
    files.close()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(FilesRefused):
        DirectoryFiles(tmp_path / "open")
    assert descriptors() == before
