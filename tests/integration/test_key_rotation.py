"""Keys are rotated while an agent follows: the file with both is there first, then somebody signs with the new one."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.support.servers import Database
from tests.support.waiting import eventually
from trimtab import Agent
from trimtab.model.statements import Trust
from trimtab_store import keys
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.store import Store

SECONDS = 20


def change(database: Database, redis: RedisServer, key: Path, number: int) -> None:
    with Store.connect(database.login("trimtab_writer"), redis.url, signing_key=key) as store:
        if not store.forest().parents:
            store.create_environment("base", author="test")
        with store.edit("base", author="test") as edit:
            edit.set("a.b", number)


def follow(database: Database, redis: RedisServer, trust: Trust) -> Agent:
    return Agent.connect(
        environment="base", trust=trust, database_url=database.login("trimtab_agent"), redis_url=redis.url
    )


def test_agents_follow_over_a_rotation_and_refuse_what_a_key_signs_that_they_were_not_given(
    database: Database, one_redis: RedisServer, tmp_path: Path
) -> None:
    first, second, file = tmp_path / "first.json", tmp_path / "second.json", tmp_path / "trust.json"
    keys.create(first, file)
    old = keys.read_trust(file)
    change(database, one_redis, first, 1)
    keys.create(second, file)
    with contextlib.closing(follow(database, one_redis, keys.read_trust(file))) as agent:
        with contextlib.closing(follow(database, one_redis, old)) as forgotten:
            for number, key in ((2, first), (3, second), (4, first), (5, second)):
                change(database, one_redis, key, number)
                assert eventually(lambda number=number: agent["a.b"] == number, SECONDS)  # type: ignore[misc]
            assert eventually(lambda: forgotten["a.b"] == 2, SECONDS)
        with contextlib.closing(follow(database, one_redis, keys.read_trust(file))) as later:
            assert later["a.b"] == 5
