from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.model.errors import DirectoryHeld, FilesRefused, SettingError, UnavailableError
from trimtab_store.embedded.directory import DataDirectory, Servers, chosen, find

HOLD = """
import sys
from pathlib import Path
from trimtab_store.embedded.directory import DataDirectory
with DataDirectory(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def servers_of(directory: DataDirectory) -> Servers:
    return Servers(
        directory=directory.path,
        database_url="postgresql://writer:secret@/db",
        agent_database_url="postgresql://agent:secret@/db",
        relay_database_url="postgresql://relay:secret@/db",
        owner_url="postgresql://owner:secret@/db",
        redis_url="unix:///r.sock?password=secret",
        trust=directory.trust,
        signing_key=directory.signing_key,
        pids={"postgres": 11, "redis": 12},
        started_at="2026-01-02T03:04:05Z",
    )


def test_what_the_holder_publishes_is_found_while_it_holds(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "d") as directory:
        directory.publish(servers_of(directory))
        assert find(tmp_path / "d") == servers_of(directory)
        assert stat.S_IMODE(directory.servers_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
        assert [path.name for path in directory.path.glob("*.tmp")] == []
    with pytest.raises(UnavailableError, match="trimtab up"):
        find(tmp_path / "d")


def test_passwords_stay_out_of_repr(tmp_path: Path) -> None:
    assert "secret" not in repr(servers_of(DataDirectory(tmp_path)))


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "d")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(DirectoryHeld) as caught, DataDirectory(tmp_path / "d"):
            pass
        assert f"pid {first.pid}" in caught.value.why
        assert f"kill -INT {first.pid}" in caught.value.remedy
        assert DataDirectory(tmp_path / "d").holder() == first.pid
    finally:
        first.communicate(b"")
    with DataDirectory(tmp_path / "d") as directory:
        assert directory.lock.read_text() == f"{os.getpid()}\n"


def test_what_a_killed_holder_published_is_not_taken_for_running(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "d") as directory:
        directory.publish(servers_of(directory))
        left = directory.servers_file.read_bytes()
    (tmp_path / "d" / "servers.json").write_bytes(left)
    with pytest.raises(UnavailableError, match="nobody holds"):
        find(tmp_path / "d")
    with DataDirectory(tmp_path / "d"), pytest.raises(UnavailableError, match="still starting"):
        find(tmp_path / "d")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"directory": 1}', b"\xff\xfe"])
def test_a_damaged_description_is_refused_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    with DataDirectory(tmp_path / "d") as directory:
        directory.servers_file.write_bytes(content)
        with pytest.raises(FilesRefused, match=r"remove the file"):
            find(tmp_path / "d")


def test_a_directory_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(FilesRefused, match="somebody else"), DataDirectory(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="--directory"), DataDirectory(tmp_path / "file"):
        pass
    with pytest.raises(UnavailableError):
        find(tmp_path / "file")


def test_the_directory_is_the_argument_then_the_variable_then_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    variable = {"TRIMTAB_DIRECTORY": "/somewhere"}
    assert chosen(Path("/named"), variable) == Path("/named")
    assert chosen(None, variable) == Path("/somewhere")
    assert chosen(None, {}) == tmp_path / ".trimtab"
