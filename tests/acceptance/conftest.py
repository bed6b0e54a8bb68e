"""A stand on real servers, closed after each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import Stand
from tests.support.servers import Database
from trimtab_store.embedded.redis import RedisServer


def make_stand(directory: Path, database: Database, server: RedisServer | None) -> Stand:
    """A stand whose parts go to the servers directly."""
    return Stand(
        directory=directory,
        truth_url=database.url,
        writer_url=database.login("trimtab_writer"),
        agent_url=database.login("trimtab_agent"),
        redis_url=None if server is None else server.url,
        watch=None if server is None else server.client,
    )


@pytest.fixture
def stand(short_directory: Path, database: Database, redis_server: RedisServer) -> Iterator[Stand]:
    """For each flavour of server for Redis."""
    made = make_stand(short_directory, database, redis_server)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def one_stand(short_directory: Path, database: Database, one_redis: RedisServer) -> Iterator[Stand]:
    """For one flavour, where it cannot matter."""
    made = make_stand(short_directory, database, one_redis)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def bare_stand(short_directory: Path, database: Database) -> Iterator[Stand]:
    """Without any Redis."""
    made = make_stand(short_directory, database, None)
    try:
        yield made
    finally:
        made.close()
