"""A relay is alive while its loop turns, whatever Redis and Postgres do, and not when it stands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import MakePostgres, MakeRedis
from tests.support.servers import Database
from tests.support.waiting import eventually
from trimtab.model.errors import UnavailableError
from trimtab_store import heartbeat, migrate
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.relay import Relay

SECONDS = 30


def test_the_loop_turns_while_every_server_is_away(
    own_redis: MakeRedis, own_postgres: MakePostgres, tmp_path: Path
) -> None:
    redis_server, postgres = own_redis(), own_postgres()
    migrate.upgrade(postgres.url())
    file, stop = tmp_path / "alive", threading.Event()
    beats: list[float] = []
    beating = heartbeat.Heartbeat(file)

    def beat() -> None:
        beating.beat()
        beats.append(time.monotonic())

    relay = Relay(postgres.url(), redis_server.url, interval=0.05, beat=beat)
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    try:
        for harm in (redis_server.kill, postgres.kill, redis_server.start, postgres.start):
            harm()
            before = len(beats)
            assert eventually(lambda before=before: len(beats) >= before + 3, SECONDS)  # type: ignore[misc]
            assert heartbeat.look(file)[0]
        redis_server.kill()
        postgres.kill()
        with pytest.raises(UnavailableError):
            relay.look()
    finally:
        stop.set()
        thread.join(SECONDS)
    assert not thread.is_alive()


def test_a_relay_that_stands_is_not_alive_and_one_that_goes_on_is(
    database: Database, one_redis: RedisServer, tmp_path: Path
) -> None:
    file = tmp_path / "alive"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    (tmp_path / "url").write_text(f"{database.login('trimtab_relay')}\n")
    given = {"TRIMTAB_DATABASE_URL_FILE": str(tmp_path / "url"), "TRIMTAB_REDIS_URL": one_redis.url}
    command = [sys.executable, "-m", "trimtab_store", "relay", "--heartbeat", str(file)]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, env=kept | given, stderr=log) as process,
    ):
        try:
            assert eventually(lambda: heartbeat.look(file)[0], SECONDS), (tmp_path / "log").read_text()
            process.send_signal(signal.SIGSTOP)
            assert eventually(lambda: not heartbeat.look(file, 3)[0], SECONDS)
            process.send_signal(signal.SIGCONT)
            assert eventually(lambda: heartbeat.look(file, 3)[0], SECONDS)
            process.terminate()
            assert process.wait(SECONDS) == 0, (tmp_path / "log").read_text()
        finally:
            process.kill()
