"""Everything at once: disasters in a random order, repeatable by seed, while writers write and bots come and go."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.support.fleet import MEMBERS, Stand
from tests.support.load import load
from tests.support.servers import Database
from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.redis import RedisServer

SEEDS = 6
ROUNDS = 30


class Disasters:
    """What may happen; each leaves everything running."""

    def __init__(self, stand: Stand, database: Database, server: RedisServer, rng: random.Random, dumps: Path) -> None:
        self.stand, self.database, self.server, self.rng, self.dumps = stand, database, server, rng, dumps

    def redis_dies(self) -> None:
        self.server.kill()
        self.server.start()

    def redis_remembers_wrongly(self) -> None:
        old = self.server.save_dump(self.dumps / "old.rdb")
        self.server.kill()
        self.server.start(dump=old)

    def redis_freezes(self) -> None:
        self.server.pause()
        self._wait()
        self.server.resume()

    def redis_forgets(self) -> None:
        with contextlib.closing(self.server.client()) as admin:
            admin.flushall()

    def redis_throws_everybody_out(self) -> None:
        with contextlib.closing(self.server.client()) as admin:
            for kind in ("normal", "pubsub"):
                admin.client_kill_filter(_type=kind, skipme=True)

    def postgres_dies(self) -> None:
        self.database.server.kill()
        self._wait()
        self.database.server.start()

    def postgres_restarts(self) -> None:
        self.database.server.restart()

    def postgres_freezes(self) -> None:
        self.database.server.pause()
        self._wait()
        self.database.server.resume()

    def postgres_throws_everybody_out(self) -> None:
        with psycopg.connect(self.database.url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def both_die(self) -> None:
        self.server.kill()
        self.database.server.kill()
        self._wait()
        self.server.start()
        self.database.server.start()

    def a_bot_restarts(self) -> None:
        number = self.rng.randrange(len(MEMBERS))
        self.stand.agents[number].close()
        environment, labels = MEMBERS[number]
        with contextlib.suppress(UnavailableError):
            self.stand.agents[number] = self.stand.agent(environment, labels, kept=f"agent-{number}")
            self.stand.agents.pop()

    def _wait(self) -> None:
        time.sleep(self.rng.random())


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS))
def test_disasters_in_any_order(
    stand: Stand, database: Database, redis_server: RedisServer, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    stores = [stand.populate(), stand.store()]
    stand.relay(2)
    stand.fleet()
    disasters = Disasters(stand, database, redis_server, rng, tmp_path)
    kinds: list[Callable[[], None]] = [
        getattr(disasters, name) for name in sorted(vars(Disasters)) if not name.startswith("_")
    ]
    with load(stores, writers=6) as writes:
        for _ in range(ROUNDS):
            rng.choice(kinds)()
            if rng.random() < 0.7:
                writes.wait_for(rng.randrange(1, 20))
    stand.settle(writes)
