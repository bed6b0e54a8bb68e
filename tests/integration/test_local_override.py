"""A node's local overrides over real servers: off until permitted, never looser, and seen by whoever looks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.conftest import Connect, ConnectStore, connecting_agents
from tests.integration.test_cli_fleet import REPORT, report
from tests.integration.test_cli_hostile import PRODUCTION
from tests.support.console import Console
from tests.support.servers import Database
from tests.support.sidecar_process import Start, commit
from tests.support.waiting import eventually
from trimtab import attach
from trimtab.model.errors import SettingError
from trimtab.model.reports import OverrideReport
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.store import Store

LEVERAGE = "risk.global.max_leverage"
PERMITTED = {"permitted": True, "overridable": ["risk.**"], "protected": ["risk.**"]}


@pytest.fixture
def connect(database: Database, one_redis: RedisServer) -> Iterator[Connect]:
    with connecting_agents(database, one_redis) as connecting:
        yield connecting


def test_a_node_overrides_what_its_environment_permits_and_the_fleet_is_told(
    connect_store: ConnectStore, connect: Connect, one_redis: RedisServer, tmp_path: Path
) -> None:
    store = connect_store(redis_url=one_redis.url)
    store.create_environment("base", author="test")
    with store.edit("base", author="test") as edit:
        edit.set(LEVERAGE, 3)
    file = tmp_path / "local.json"
    file.write_text(json.dumps({"risk": {"global": {"max_leverage": 2}}}))
    agent = connect(environment="base", labels={"bot": "mm"}, local=file)
    assert agent[LEVERAGE] == 3
    assert [one.why for one in agent.overrides] == ["the environment does not permit local overrides"]
    assert "is not overridden" in agent.alarms["override"]
    with store.edit("base", author="test") as edit:
        edit.set("override.config", PERMITTED)
    assert agent.wait_for(edit.committed.revision)
    assert (agent[LEVERAGE], agent.alarms.get("override", "")) == (2, "")
    with store.edit("base", author="test") as edit:
        edit.set(LEVERAGE, 1)  # tighter than what the node wants
    assert agent.wait_for(edit.committed.revision)
    assert agent[LEVERAGE] == 1

    def told() -> bool:
        with contextlib.closing(one_redis.client()) as client:
            text = client.hget("trimtab:{base}:fleet", agent.name)
        found = json.loads(text or b"{}").get("overrides", [])
        return [(one["path"], one["value"], bool(one["why"])) for one in found] == [(LEVERAGE, "2", True)]

    assert eventually(told)


def test_a_file_that_cannot_be_used_ends_the_start(connect: Connect, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="local overrides"):
        connect(environment="base", local=tmp_path / "missing.json")


def test_status_and_explain_show_what_nodes_set_for_themselves(console: Console, one_redis: RedisServer) -> None:
    overrides = (OverrideReport(LEVERAGE, "1.5"), OverrideReport("risk.global.max_correlation", "0.9", "too loose"))
    report(one_redis, replace(REPORT, overrides=overrides))
    [found] = console.done("status", *PRODUCTION)["agents"]
    assert [(one["path"], one["value"], one["why"]) for one in found["overrides"]] == [
        (LEVERAGE, "1.5", ""),
        ("risk.global.max_correlation", "0.9", "too loose"),
    ]
    assert f"{LEVERAGE} = 1.5" in console("status", *PRODUCTION).out
    assert console.done("explain", LEVERAGE, *PRODUCTION)["overrides"] == [
        {"agent": "mm-btc", "path": LEVERAGE, "value": "1.5", "why": ""}
    ]
    assert f"mm-btc sets for itself: {LEVERAGE} = 1.5" in console("explain", LEVERAGE, *PRODUCTION).out
    assert console.done("explain", "risk.global.min_liquidity", *PRODUCTION)["overrides"] == []


def write(file: Path, leverage: float) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(f"[risk.global]\nmax_leverage = {leverage}\n")
    draft.replace(file)


def test_the_bots_of_a_sidecar_read_what_its_node_overrides_and_the_fleet_is_told(
    start: Start,
    published_store: Store,
    short_directory: Path,
    console: Console,
    database: Database,
) -> None:
    store = published_store
    with store.edit("production", author="test", reason="test") as edit:
        edit.set("override.config", PERMITTED)
        edit.set(LEVERAGE, 1.0, layer="bot=canary")
    file = short_directory / "local.toml"
    write(file, 2.0)
    sidecar = start("--local", str(file))
    assert eventually(sidecar.ready, 20)
    committed = edit.committed
    assert committed is not None
    with attach(sidecar.shared, {"bot": "mm"}) as bot, attach(sidecar.shared, {"bot": "canary"}) as canary:
        assert (bot.wait_for(committed.revision), canary.wait_for(committed.revision)) == (True, True)
        assert canary[LEVERAGE] == 1.0
        assert (bot[LEVERAGE], sidecar.get(f"/v1/values/{LEVERAGE}?label=bot=mm")[2]) == (2.0, 2.0)
        write(file, 1.5)
        assert eventually(lambda: bot[LEVERAGE] == 1.5)
        assert sidecar.get(f"/v1/values/{LEVERAGE}")[2] == 1.5
        file.write_text("[risk")
        assert eventually(lambda: "override_file" in bot.alarms)
        sidecar.process.kill()
        sidecar.process.wait()
        assert (bot[LEVERAGE], canary[LEVERAGE]) == (1.5, 1.0)
        refused = start("--local", str(file))
        assert refused.process.wait(20) == 2
        assert "local overrides" in refused.log.read_text()
        write(file, 1.25)
        again = start(TRIMTAB_LOCAL=str(file))
        assert eventually(lambda: bot[LEVERAGE] == 1.25, 20)
        commit(store, 1.1)
        assert eventually(lambda: bot[LEVERAGE] == 1.1)
        commit(store, 4.0)
        assert eventually(lambda: bot[LEVERAGE] == 1.25)
        console.variables(DATABASE_URL=database.login("trimtab_writer"), OWNER_URL=database.url)
        name = again.get("/v1/status")[2]["agent"]

        def told() -> bool:
            own = console.done("explain", LEVERAGE, *PRODUCTION)["overrides"]
            return [(one["agent"], one["value"], "for bot=canary" in one["why"]) for one in own] == [
                (name, "1.25", True)
            ]

        assert eventually(told)
        [member] = [one for one in console.done("status", *PRODUCTION)["agents"] if one["agent"] == name]
        assert [one["path"] for one in member["overrides"]] == [LEVERAGE]
        assert again.end() == 0
