"""The Python of the README, run as it stands there against the example fleet; only addresses and files are others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import KEY
from tests.support.servers import Database
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.store import Store

README = Path(__file__).parents[2] / "README.md"
READ, WRITE = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
LEVERAGE = "risk.global.max_leverage"


def head(database: Database) -> int:
    with Store.connect(database.url) as store:
        return store.history.environment("production", limit=1)[0].position.revision


def replaced(text: str, places: dict[str, object]) -> str:
    """The text with its placeholders replaced; each stands there once."""
    for place, actual in places.items():
        assert text.count(place) == 1, place
        text = text.replace(place, str(actual))
    return text


def test_what_it_shows_of_reading_works(fleet_database: Database, one_redis: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_bytes(KEY.trust().to_bytes())
    places: dict[str, object] = {
        "postgresql://…": fleet_database.login("trimtab_agent"),
        "redis://…": one_redis.url,
        '"trust.json"': repr(str(tmp_path / "trust.json")),
        "/var/lib/mm-btc": tmp_path / "kept",
    }
    names: dict[str, Any] = {"__name__": "readme"}
    exec(replaced(READ, places), names)  # noqa: S102 - our own page
    with Store.connect(fleet_database.url) as store:
        seen = store.get(LEVERAGE, "production", {"bot": "mm-btc", "node": "node-1", "region": "ny4"})
    assert names["limits"].current.max_leverage == names["view"][LEVERAGE] == seen.value
    assert names["agent"].revision == head(fleet_database)
    assert any((tmp_path / "kept").iterdir())


def test_what_it_shows_of_writing_works(
    fleet_database: Database, one_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "signing-key.json").touch(0o600)
    (tmp_path / "signing-key.json").write_bytes(KEY.to_bytes())
    before = head(fleet_database)
    places: dict[str, object] = {
        "postgresql://…": fleet_database.login("trimtab_writer"),
        "redis://…": one_redis.url,
        "expect=41": f"expect={before}",
    }
    names: dict[str, Any] = {"__name__": "readme"}
    exec(replaced(WRITE, places), names)  # noqa: S102 - our own page
    done = names["edit"].committed
    assert (done.revision, done.created) == (before + 1, True)
    with Store.connect(fleet_database.url) as store:
        live = {"mode": "live"}
        assert store.get(LEVERAGE, "production", live).value == 2.0
        assert store.get("risk.circuit_breakers.loss_threshold", "production").value == 0.08
        assert store.history.environment("production", limit=1)[0].reason == "volatile week"
