"""A sidecar process over real servers whose memory is full, who is frozen, and who is killed, with readers at work."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.support.full_disk import fill, own_mount
from tests.support.shared_storm import KEYS, Readers
from tests.support.sidecar_process import LEVERAGE, Connection, Process, Start, commit
from tests.support.waiting import eventually
from trimtab import Status, attach, attached
from trimtab.attached import Attached
from trimtab_store.store import Store

BULK = {f"bulk.b{number}": "x" * 60_000 for number in range(20)}
"""More than a log takes at once."""


def soon(condition: Callable[[], object]) -> bool:
    return eventually(condition, 30)


def group(store: Store, after: int, more: dict[str, str] | None = None) -> int:
    """One revision that gives the whole group its number and a random value."""
    value = random.getrandbits(50)
    with store.edit("production", author="test", reason="test") as edit:
        for key in KEYS:
            edit.set(key, [after + 1, value])
        for path, text in (more or {}).items():
            edit.set(path, text)
    assert edit.committed is not None
    assert edit.committed.revision == after + 1
    return after + 1


def events(sidecar: Process, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in sidecar.log.read_text().splitlines()]
    return [line for line in lines if line["event"] == name and line.get("alarm", "shared_memory") == "shared_memory"]


def metrics(sidecar: Process) -> str:
    connection: HTTPConnection = Connection(sidecar.shared / "http.sock")
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def serves(bot: Attached, revision: int) -> bool:
    return bot.revision == revision and bot[KEYS[0]] == bot[KEYS[7]]


def test_a_really_full_memory_keeps_what_was_shared_and_is_used_again_when_there_is_room(
    start: Start, published_store: Store, short_directory: Path
) -> None:
    head, store = own_mount(), published_store
    inside = short_directory / "m"
    inside.mkdir(mode=0o700)
    script = 'mount -t tmpfs -o size=12m,mode=700 tmpfs "$0" && exec "$@"'
    sidecar = start(head=(*head, "sh", "-c", script, str(inside)), shared=inside / "s")
    outside = Path(f"/proc/{sidecar.process.pid}/root{inside}")
    sidecar.shared = outside / "s"  # as we see it
    assert soon(sidecar.ready)
    revision = group(store, commit(store, 2.0))
    bot = attach(sidecar.shared, {"bot": "mm"})
    assert soon(lambda: serves(bot, revision))
    readers = Readers(sidecar.shared, 1)
    ballast = outside / "ballast"
    fill(ballast)
    for _ in range(20):
        revision = group(store, revision)
    assert soon(lambda: serves(bot, revision)), "the log has its memory from the start"
    newer = group(store, revision, BULK)
    assert soon(lambda: "No space left" in sidecar.get("/v1/status")[2]["alarms"].get("shared_memory", ""))
    assert 'trimtab_alarm{alarm="shared_memory"} 1.0' in metrics(sidecar)
    assert soon(lambda: "No space left" in bot.alarms.get("shared_memory", ""))
    newer = group(store, newer)
    assert soon(lambda: sidecar.get(f"/v1/values/{KEYS[0]}")[2][0] == newer)
    assert (bot.revision, bot.get("bulk.b1"), sidecar.get("/readyz")[0]) == (revision, None, 200)
    assert bot[LEVERAGE] == 2.0
    ballast.unlink()
    assert soon(lambda: serves(bot, newer))
    assert bot["bulk.b1"] == BULK["bulk.b1"]
    assert soon(lambda: "shared_memory" not in {**bot.alarms, **sidecar.get("/v1/status")[2]["alarms"]})
    newer = group(store, newer)
    assert soon(lambda: serves(bot, newer))
    (seen,) = readers.end()
    assert (seen.wrong, seen.last) == ([], newer)
    bot.close()
    assert sidecar.end() == 0
    assert (len(events(sidecar, "alarm")), len(events(sidecar, "alarm_over"))) == (1, 1)


def test_a_frozen_and_a_killed_sidecar_keep_nobody_from_reading_and_the_next_one_goes_on(
    start: Start, published_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = published_store
    monkeypatch.setattr(attached, "HEARTBEAT_SECONDS", 1.5)
    first = start()
    assert soon(first.ready)
    revision = group(store, commit(store, 2.0))
    bot = attach(first.shared, {"bot": "mm"})
    assert soon(lambda: serves(bot, revision) and bot.status is Status.LIVE)
    readers = Readers(first.shared, 1)
    first.process.send_signal(signal.SIGSTOP)
    newer = group(store, revision)
    assert soon(lambda: bot.status is Status.STALE and "silent" in bot.alarms.get("sidecar", ""))
    assert (bot.revision, bot[LEVERAGE]) == (revision, 2.0)
    first.process.send_signal(signal.SIGCONT)
    assert soon(lambda: serves(bot, newer) and bot.status is Status.LIVE)
    first.process.kill()
    first.process.wait()
    newest = group(store, newer)
    assert (bot.revision, bot[LEVERAGE]) == (newer, 2.0)
    second = start()
    assert soon(second.ready)
    assert soon(lambda: serves(bot, newest) and bot.status is Status.LIVE)
    assert soon(lambda: second.get("/v1/status")[2]["attached"] != [])
    seen = readers.end()
    assert [(one.wrong, one.last) for one in seen] == [([], newest)]
    assert all(one.longest < 20 for one in seen)
    bot.close()
    assert second.end() == 0
