"""The sidecar as a process over real servers: how it starts, what it answers, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import LOGIN_PASSWORD
from tests.support.sidecar_process import LEVERAGE, Start, commit
from tests.support.waiting import eventually
from trimtab import attach
from trimtab.model import receipts
from trimtab.model.links import Position
from trimtab.model.receipts import Receipt
from trimtab.model.reports import AttachedBots
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.receipts import FleetReceipts
from trimtab_store.store import Store


@pytest.fixture
def store(published_store: Store) -> Store:
    return published_store


def test_it_serves_what_is_committed_until_a_signal_ends_it_cleanly(
    start: Start, store: Store, short_directory: Path
) -> None:
    template, target = short_directory / "bot.j2", short_directory / "bot.json"
    template.write_text('{"leverage": {{ config.risk.global.max_leverage }}}')
    render = ("--render", f"{template}:{target}", "--render-check", "grep leverage")
    sidecar = start("--keep", str(short_directory / "kept"), *render, TRIMTAB_LOG_LEVEL="debug")
    assert eventually(sidecar.ready, 20)
    first = sidecar.get("/v1/view")[1]
    revision = commit(store, 2.0)
    assert eventually(lambda: sidecar.get("/healthz")[1]["trimtab-revision"] == str(revision))
    assert sidecar.get(f"/v1/values/{LEVERAGE}?label=bot=mm-btc")[2] == 2.0
    stream = sidecar.first_event(f"/v1/changes?after={first['trimtab-epoch']}-{first['trimtab-revision']}")
    changed: list[dict[str, Any]] = [{"path": LEVERAGE, "old": 3.0, "new": 2.0}]
    assert stream == {"epoch": 1, "revision": revision, "changes": changed}
    assert eventually(lambda: target.exists() and json.loads(target.read_text()) == {"leverage": 2.0})
    with attach(sidecar.shared, labels={"bot": "mm-btc"}) as bot:
        assert (bot[LEVERAGE], bot.revision, bot.labels["node"]) == (2.0, revision, "ny4-1")
    assert eventually(lambda: sidecar.get("/v1/status")[2]["status"] == "LIVE")
    assert sidecar.end() == 0
    lines = [json.loads(line) for line in sidecar.log.read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert (events.count("started"), events[-1], lines[-1]["clean"]) == (1, "stopped", True)
    assert LOGIN_PASSWORD not in sidecar.log.read_text()


def test_a_second_one_on_the_directory_refuses_to_start_and_says_who_holds_it(start: Start) -> None:
    first = start()
    assert eventually(first.ready, 20)
    second = start()
    assert second.process.wait(20) == 5
    said = second.log.read_text()
    assert said.startswith(f"trimtab: The directory {first.shared} is held: by the sidecar of production with pid ")
    assert str(first.process.pid) in said
    first.process.kill()
    first.process.wait()
    third = start()
    assert eventually(third.ready, 20)
    assert third.end(signal.SIGINT) == 0


def test_an_attached_reader_is_waited_for_until_it_has_read(start: Start, store: Store, one_redis: RedisServer) -> None:
    sidecar = start()
    assert eventually(sidecar.ready, 20)
    name = sidecar.get("/v1/status")[2]["agent"]
    fleet = FleetReceipts(None, one_redis.url)
    with attach(sidecar.shared, {"bot": "mm-btc"}) as config:
        bots = AttachedBots(1, Position(1, config.revision))
        assert eventually(lambda: [one.report.attached for one in fleet.members(["production"])] == [bots])
        with store.edit("production", author="test", reason="test") as edit:
            edit.set(LEVERAGE, 1.5)
        committed = edit.committed
        assert committed is not None
        (straggler,) = committed.wait(1.5).stragglers
        assert straggler.agent == name
        assert eventually(lambda: config.revision == committed.revision, 10)
        assert config[LEVERAGE] == 1.5
        outcome = committed.wait(10)
        assert (outcome.served, outcome.stragglers) == ((name,), ())
    assert sidecar.end() == 0


def test_a_commit_waits_for_the_bots_that_are_attached(start: Start, store: Store, one_redis: RedisServer) -> None:
    sidecar = start()
    assert eventually(sidecar.ready, 20)
    name = sidecar.get("/v1/status")[2]["agent"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bot:
        bot.connect(str(sidecar.shared / receipts.SOCKET))

        def applied(revision: int) -> None:
            bot.send(Receipt(name="mm-btc", pid=1, position=Position(1, revision)).encode())

        applied(3)
        fleet = FleetReceipts(None, one_redis.url)
        bots = AttachedBots(1, Position(1, 3))
        assert eventually(lambda: [one.report.attached for one in fleet.members(["production"])] == [bots])
        with store.edit("production", author="test", reason="test") as edit:
            edit.set(LEVERAGE, 1.0)
        assert edit.committed is not None
        (straggler,) = edit.committed.wait(1.5).stragglers
        assert (straggler.agent, straggler.why) == (name, "a bot attached to it serves 1-3")
        applied(edit.committed.revision)
        outcome = edit.committed.wait(10)
        assert (outcome.served, outcome.stragglers) == ((name,), ())
    assert sidecar.end() == 0


def test_a_bot_that_was_killed_is_not_waited_for(start: Start, store: Store, one_redis: RedisServer) -> None:
    sidecar = start()
    assert eventually(sidecar.ready, 20)
    fleet = FleetReceipts(None, one_redis.url)

    def counted() -> list[int]:
        found = [one.report.attached for one in fleet.members(["production"])]
        return [one.count for one in found if one is not None]

    code = "import sys, trimtab; config = trimtab.attach(sys.argv[1], {'bot': 'mm-btc'}); input()"
    with subprocess.Popen([sys.executable, "-c", code, str(sidecar.shared)], stdin=subprocess.PIPE) as bot:
        assert eventually(lambda: counted() == [1], 20)
        bot.kill()
    with store.edit("production", author="test", reason="test") as edit:
        edit.set(LEVERAGE, 1.25)
    assert edit.committed is not None
    outcome = edit.committed.wait(10)
    assert (len(outcome.served), outcome.stragglers, counted()) == (1, (), [0])
    assert sidecar.end() == 0


def test_it_lives_without_servers_and_starts_from_what_it_kept(start: Start, short_directory: Path) -> None:
    keep = ("--keep", str(short_directory / "kept"))
    first = start(*keep)
    assert eventually(first.ready, 20)
    assert first.end() == 0
    nowhere = {"TRIMTAB_DATABASE_URL": "postgresql://u:p@127.0.0.1:9/x", "TRIMTAB_REDIS_URL": "redis://127.0.0.1:9"}
    second = start(*keep, **nowhere)
    assert eventually(second.ready, 20)
    status, told, found = second.get("/v1/status")
    assert (status, told["trimtab-status"], found["feed"]) == (200, "OFFLINE", "disk")
    assert second.end() == 0
