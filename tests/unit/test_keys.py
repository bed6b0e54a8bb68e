"""Signing keys: made once and for their owner alone, and never one without somebody to trust it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.console import Console
from trimtab.model.errors import ConflictError, FilesRefused, SettingError, TrimtabError
from trimtab.model.statements import SigningKey, Trust
from trimtab_store import keys


@pytest.fixture
def console(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Console:
    monkeypatch.delenv("TRIMTAB_TRUST", raising=False)
    return Console(capfd, monkeypatch, tmp_path)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "signing-key.json"


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return tmp_path / "trust.json"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_key_is_made_for_its_owner_alone_and_the_trust_file_names_its_public_half(key: Path, trust: Path) -> None:
    before = os.umask(0)
    try:
        made, trusted = keys.create(key, trust)
    finally:
        os.umask(before)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(trust.stat().st_mode) == 0o644
    read = keys.read_key(key)
    assert read is not None
    assert read.to_bytes() == made.to_bytes()
    assert keys.read_trust(trust).to_bytes() == trusted.to_bytes() == read.trust().to_bytes()
    assert names(key.parent) == {"signing-key.json", "trust.json"}


def test_a_second_key_stands_beside_the_first_and_the_file_keeps_its_rights(key: Path, trust: Path) -> None:
    first, _ = keys.create(key, trust)
    trust.chmod(0o640)
    second, trusted = keys.create(key.with_name("second.json"), trust)
    assert set(trusted.keys) == {first.key_id, second.key_id}
    assert keys.read_trust(trust).to_bytes() == trusted.to_bytes()
    assert stat.S_IMODE(trust.stat().st_mode) == 0o640
    for one in (first, second):
        trusted.verify("link", {"a": 1}, one.key_id, one.sign("link", {"a": 1}))


def test_a_file_that_is_there_is_never_written_over_and_nobody_trusts_what_was_not_made(key: Path, trust: Path) -> None:
    keys.create(key, trust)
    before = key.read_bytes(), trust.read_bytes()
    with pytest.raises(ConflictError, match="Name a new file"):
        keys.create(key, trust)
    link = key.with_name("link.json")
    link.symlink_to(key.with_name("nothing.json"))
    with pytest.raises(ConflictError):
        keys.create(link, trust)
    assert (key.read_bytes(), trust.read_bytes()) == before
    assert names(key.parent) == {"signing-key.json", "trust.json", "link.json"}


def occupied(folder: Path) -> None:
    (folder / "trust.json").mkdir()


def damaged(folder: Path) -> None:
    (folder / "trust.json").write_text('{"keys": [{"id": "a"}]}')


def dangling(folder: Path) -> None:
    (folder / "trust.json").symlink_to(folder / "nowhere" / "trust.json")


@pytest.mark.parametrize(
    ("prepare", "refused"), [(occupied, SettingError), (damaged, FilesRefused), (dangling, SettingError)]
)
def test_no_key_is_left_that_nobody_trusts(
    key: Path, trust: Path, prepare: Callable[[Path], None], refused: type[TrimtabError]
) -> None:
    prepare(key.parent)
    with pytest.raises(refused) as caught:
        keys.create(key, trust)
    assert str(trust) in caught.value.what
    assert names(key.parent) == {"trust.json"}


def test_a_trust_file_that_cannot_be_put_in_place_takes_the_key_with_it(
    key: Path, trust: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.create(key, trust)
    before = trust.read_bytes()

    def full(_source: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SettingError, match="No space left on device"):
        keys.create(key.with_name("second.json"), trust)
    assert trust.read_bytes() == before
    assert names(key.parent) == {"signing-key.json", "trust.json"}


def test_a_disk_that_is_full_leaves_no_half_of_a_key(key: Path, trust: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingError, match=r"signing-key\.json cannot be written: No space left"):
        keys.create(key, trust)
    assert names(key.parent) == set()


def test_a_place_that_is_not_there_or_means_both_is_refused(key: Path, trust: Path) -> None:
    with pytest.raises(SettingError, match="make its directory"):
        keys.create(key, trust.with_name("nowhere") / "trust.json")
    with pytest.raises(SettingError, match="make its directory"):
        keys.create(key.with_name("nowhere") / "key.json", trust)
    with pytest.raises(SettingError, match="cannot be both"):
        keys.create(key, key.parent / "." / key.name)
    assert names(key.parent) == set()


def test_of_those_who_add_a_key_at_once_nobody_s_is_lost(tmp_path: Path, trust: Path) -> None:
    made: list[str] = []

    def create(number: int) -> None:
        made.append(keys.create(tmp_path / f"{number}.json", trust)[0].key_id)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(keys.read_trust(trust).keys) == set(made)
    assert len(made) == 8


def test_the_command_makes_the_first_key_and_then_another(console: Console, key: Path, trust: Path) -> None:
    first = console("keys", "create", "signing-key.json")
    made = SigningKey.from_bytes(key.read_bytes())
    assert (first.code, first.err) == (0, "")
    assert first.out == (
        f"Made the signing key {made.key_id} in signing-key.json. Keep a copy where nobody else can read it.\n"
        "trust.json names it. Give that file to every agent.\n"
    )
    second = console("keys", "create", "new/key.json", "--trust", "trust.json")
    assert (second.code, names(key.parent)) == (2, {"signing-key.json", "trust.json"})
    second = console("keys", "create", "second.json", "--trust", "trust.json")
    assert (
        "trust.json names it, beside 1 other. Give that file to every agent, and start them again, before" in second.out
    )
    third = console.done("keys", "create", "third.json", "--trust", "trust.json")
    assert third.keys() == {"id", "key_file", "trust_file", "trusted"}
    assert third["trusted"] == sorted(Trust.from_bytes(trust.read_bytes()).keys)
    assert len(third["trusted"]) == 3
    again = console("keys", "create", "signing-key.json", "--json")
    assert (again.code, again.error["code"]) == (5, "conflict")
    for said in (first, second, again):
        assert key.read_text().split('"')[-2] not in said.out + said.err


def test_the_list_says_which_key_signs_here(console: Console, key: Path) -> None:
    first = console.done("keys", "create", "signing-key.json")["id"]
    second = console.done("keys", "create", "second.json", "--trust", "trust.json")["id"]
    console.variables(SIGNING_KEY=key)
    listed = console.done("keys", "list", "--trust", "trust.json")
    assert listed["signing"] == first
    assert {one["id"]: one["signs"] for one in listed["keys"]} == {first: True, second: False}
    [public] = SigningKey.from_bytes(key.read_bytes()).trust().keys.values()
    assert {one["public"] for one in listed["keys"]} >= {public.public_bytes_raw().hex()}
    assert f"{first}  {public.public_bytes_raw().hex()}  yes" in console("keys", "list", "--trust", "trust.json").out
    console.variables(TRUST="trust.json", SIGNING_KEY=None)
    assert console.done("keys", "list")["signing"] is None


def test_a_signing_key_that_nobody_trusts_is_pointed_out_also_if_its_name_is_known(
    console: Console, tmp_path: Path
) -> None:
    known = console.done("keys", "create", "signing-key.json")["id"]
    for name in (known, "stranger"):
        other = tmp_path / f"{name}.json"
        other.touch(0o600)
        other.write_bytes(SigningKey.generate(name).to_bytes())
        console.variables(SIGNING_KEY=other)
        listed = console.done("keys", "list", "--trust", "trust.json")
        assert (listed["signing"], [one["signs"] for one in listed["keys"]]) == (name, [False])
        assert f"The signing key {name} is none of these" in console("keys", "list", "--trust", "trust.json").out


def test_without_a_trust_file_the_list_is_that_of_the_data_directory(console: Console, tmp_path: Path) -> None:
    said = console("keys", "list", "--json")
    assert (said.code, said.error["what"]) == (2, f"The trust file {tmp_path}/.trimtab/trust.json cannot be read")
    (tmp_path / ".trimtab").mkdir()
    made = console.done("keys", "create", ".trimtab/signing-key.json")["id"]
    assert console.done("keys", "list")["signing"] == made
    assert console.done("keys", "list", "--directory", ".trimtab")["keys"][0]["signs"] is True


def test_a_key_is_made_without_any_server_or_variable(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trimtab_store", "keys", "create", "k.json", "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env={"PATH": ""})
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["trust_file"] == "trust.json"
