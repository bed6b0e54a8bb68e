"""Settings: from arguments and variables, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.signed_line import KEY
from trimtab import settings
from trimtab.model.errors import FilesRefused, LayerError, SettingError

TRUST = KEY.trust()


def test_variables_are_read_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "ENVIRONMENT": "staging",
        "TRUST": "/keys/trust.json",
        "DATABASE_URL": "postgresql://u:secret@h/d",
        "REDIS_URL": "redis://:secret@h",
        "AGENT_DIRECTORY": "/var/agent",
        "DIRECTORY": "/var/servers",
        "LABELS": "node=a,bot=mm-btc",
        "REQUIRE": "mode=paper",
        "TIMEOUT": "2.5",
        "HOLD": "all",
        "UNDERSTANDS": "strategy_params=2, signals=1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)
    read = settings.read({"environment": "production"})
    assert (read.environment, read.trust, read.directory) == (
        "production",
        Path("/keys/trust.json"),
        Path("/var/agent"),
    )
    assert (read.labels, read.require) == ({"bot": "mm-btc", "node": "a"}, {"mode": "paper"})
    assert (read.timeout, read.hold) == (2.5, "all")
    assert read.understands == {"strategy_params": 2, "signals": 1}
    assert read.database_url is not None
    assert read.database_url.get_secret_value() == "postgresql://u:secret@h/d"
    assert "secret" not in repr(read)
    assert settings.read({"directory": "/else"}).directory == Path("/else")


def test_there_is_no_default_environment() -> None:
    with pytest.raises(SettingError, match=r"never production by default.*TRIMTAB_ENVIRONMENT"):
        settings.read({"trust": TRUST})


def test_trust_must_be_given() -> None:
    with pytest.raises(SettingError, match="trust is not given"):
        settings.read({"environment": "production"})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"hold": "some"}, "hold"),
        ({"environment": ""}, "environment"),
        ({"labels": ["bot"]}, "labels"),
        ({"database_url": 5}, "database_url"),
        ({"directory": 5}, "directory"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_used_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingError, match=f"^{named} is refused"):
        settings.read({"environment": "production", "trust": TRUST, **given})


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(SettingError) as caught:
        settings.read({"environment": "production", "trust": TRUST, "redis_url": ["hunter2"]})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("said", ["strategy_params", "a=0", "a=x", "a=1=2", {"a": 0}])
def test_a_version_that_is_none_is_refused(said: object) -> None:
    with pytest.raises(SettingError, match="TRIMTAB_UNDERSTANDS"):
        settings.read({"environment": "production", "trust": TRUST, "understands": said})


def test_attribute_labels_come_from_configuration_only() -> None:
    with pytest.raises(LayerError, match="require="):
        settings.read({"environment": "production", "trust": TRUST, "labels": {"mode": "live"}})


def test_a_label_outside_the_grammar_is_refused() -> None:
    with pytest.raises(LayerError):
        settings.read({"environment": "production", "trust": TRUST, "require": {"mode": "a b"}})


def test_a_trust_file(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    path.write_bytes(TRUST.to_bytes())
    read = settings.read({"environment": "production", "trust": path})
    assert read.trusted.to_bytes() == TRUST.to_bytes()
    path.write_bytes(b'{"keys": []}')
    with pytest.raises(FilesRefused, match="names no key"):
        _ = read.trusted
    path.unlink()
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        _ = read.trusted
