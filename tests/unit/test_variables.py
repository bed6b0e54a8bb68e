"""What is secret comes from a variable or from the file that it names: in agent, sidecar and command line alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.signed_line import KEY
from trimtab import settings, variables
from trimtab.model.errors import SettingError
from trimtab_sidecar import settings as sidecar_settings
from trimtab_store.cli import connecting

NAME = "TRIMTAB_REDIS_URL"
ADDRESS = "redis://a:$b'c \"d@e/0"
Read = Callable[[], tuple[str | None, str | None]]
"""Reads the addresses of the database and of Redis."""


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that TRIMTAB_REDIS_URL_FILE names; it is not there yet."""
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "redis-url"))
    return tmp_path / "redis-url"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"redis://h", "redis://h"),
        (b"redis://h\n", "redis://h"),
        (b"redis://h\r\n", "redis://h"),
        (b" redis://h ", " redis://h "),
        ("redis://ü\n".encode(), "redis://ü"),
        (b"x" * variables.FILE_BYTES, "x" * variables.FILE_BYTES),
    ],
)
def test_the_content_of_a_file_is_taken_without_the_line_feed_at_its_end(
    named: Path, content: bytes, expected: str
) -> None:
    named.write_bytes(content)
    assert variables.secret(NAME) == expected


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it must hold one line of text, and is empty"),
        (b"\n", "it must hold one line of text, and is empty"),
        (b"hunter2\n\n", "it must hold one line of text, and no more"),
        (b"hunter2\nhunter2", "it must hold one line of text, and no more"),
        (b"hunter2\0", "it must hold one line of text, and no more"),
        (b"hunter2\xff", "it must hold one line of text, and no more"),
        (b"hunter2" * variables.FILE_BYTES, "it must hold one line of text, and no more"),
    ],
)
def test_a_file_of_anything_else_is_refused_by_name_and_what_is_in_it_stays_there(
    named: Path, content: bytes, why: str
) -> None:
    named.write_bytes(content)
    with pytest.raises(SettingError) as refused:
        variables.secret(NAME)
    error = refused.value
    assert (error.what, error.why) == (f"{NAME}_FILE is refused: {named} cannot be used", why)
    assert error.remedy
    assert "hunter2" not in f"{error!r}{error.__cause__!r}{error.__context__!r}"


def test_a_file_that_cannot_be_read_is_refused_with_the_user_who_must_be_able_to(named: Path) -> None:
    for why in ("No such file or directory", "Is a directory"):
        with pytest.raises(SettingError, match="cannot be read") as refused:
            variables.secret(NAME)
        assert str(named) in refused.value.what
        assert refused.value.why == why
        assert f"user {os.geteuid()}" in refused.value.remedy
        named.mkdir(exist_ok=True)


def test_a_variable_and_its_file_together_are_refused(named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named.write_text("redis://hunter2")
    monkeypatch.setenv(NAME, "redis://hunter2")
    with pytest.raises(SettingError, match=f"{NAME} and {NAME}_FILE are both set") as refused:
        variables.secret(NAME)
    assert "hunter2" not in str(refused.value)


def test_an_empty_variable_says_nothing(named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named.write_text(ADDRESS)
    monkeypatch.setenv(NAME, "")
    assert variables.secret(NAME) == ADDRESS
    monkeypatch.setenv(f"{NAME}_FILE", "")
    assert variables.secret(NAME) is None
    monkeypatch.setenv(NAME, ADDRESS)
    assert variables.secret(NAME) == ADDRESS
    assert variables.secret("TRIMTAB_DATABASE_URL") is None


def of_agent() -> tuple[str | None, str | None]:
    read = settings.read({"environment": "production", "trust": KEY.trust()})
    return _plain(read)


def of_sidecar() -> tuple[str | None, str | None]:
    read = sidecar_settings.read({"environment": "production", "trust": "trust.json", "shared": "/run/x"})
    return _plain(read.follow)


def of_command_line() -> tuple[str | None, str | None]:
    found = connecting.find(None)
    return found.database_url, found.redis_url


def _plain(read: settings.Settings) -> tuple[str | None, str | None]:
    database, redis = (None if one is None else one.get_secret_value() for one in (read.database_url, read.redis_url))
    return database, redis


EVERY = pytest.mark.parametrize("read", [of_agent, of_sidecar, of_command_line])


@EVERY
def test_every_program_reads_its_addresses_from_files(
    read: Read, named: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named.write_text(f"{ADDRESS}\n")
    (tmp_path / "database-url").write_text("postgresql://u:p@h/d\n")
    monkeypatch.setenv("TRIMTAB_DATABASE_URL_FILE", str(tmp_path / "database-url"))
    assert read() == ("postgresql://u:p@h/d", ADDRESS)
    monkeypatch.setenv(NAME, "redis://other")
    with pytest.raises(SettingError, match="both set"):
        read()


@EVERY
def test_every_program_refuses_a_file_that_does_not_tell(
    read: Read, named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_DATABASE_URL", "postgresql://h/d")
    with pytest.raises(SettingError, match=str(named)):
        read()


def test_the_owner_s_address_may_stand_in_a_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner-url").write_text("postgresql://owner@h/d")
    monkeypatch.setenv("TRIMTAB_OWNER_URL_FILE", str(tmp_path / "owner-url"))
    found = connecting.find(None)
    assert (found.owner_url, found.database_url, found.redis_url) == ("postgresql://owner@h/d",) * 2 + (None,)


def test_an_argument_wins_over_a_file(named: Path) -> None:
    named.write_text(ADDRESS)
    given = {"environment": "production", "trust": KEY.trust(), "redis_url": "redis://argument"}
    assert _plain(settings.read(given)) == (None, "redis://argument")


def test_a_file_that_a_variable_names_wins_over_the_sidecar_s_own_file(named: Path, tmp_path: Path) -> None:
    named.write_text(ADDRESS)
    toml = tmp_path / "sidecar.toml"
    toml.write_text('redis_url = "redis://of-toml"\ndatabase_url = "postgresql://of-toml"\n')
    flags = {"environment": "production", "trust": "trust.json", "shared": "/run/x", "file": toml}
    assert _plain(sidecar_settings.read(flags).follow) == ("postgresql://of-toml", ADDRESS)
