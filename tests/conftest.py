"""Fixtures for every test: real servers that live as long as a worker, and fresh databases in them.

database          a migrated database of this test's own (url, tcp_url, login(group))
empty_database    the same without any schema
redis_server      a server for Redis, empty; the test runs once for each flavour that is installed
one_redis         the same for one flavour, where the flavour cannot matter
own_postgres      a function that makes servers of this test's own, for what harms them
own_redis         the same
short_directory   a directory with a path short enough for sockets
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, cast

import pytest
from hypothesis import HealthCheck, settings

from tests.support import servers
from tests.support.servers import Database, RedisServers
from trimtab_store.embedded.postgres import PostgresServer
from trimtab_store.embedded.redis import Persistence, RedisServer
from trimtab_store.embedded.redis_programs import Flavour, installed_flavours

# `ci` finds the same on every run, `long` (`make test-long`) and `search` look for what nobody has seen yet.
_SLOW = [HealthCheck.too_slow]
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60, suppress_health_check=_SLOW)
settings.register_profile("long", deadline=None, max_examples=500, suppress_health_check=_SLOW)
settings.register_profile("search", deadline=None, max_examples=5_000, suppress_health_check=_SLOW)
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(servers.root()))  # `tmp_path` and what is made in it, too
settings.load_profile(os.environ.get("TRIMTAB_HYPOTHESIS", "ci"))

FLAVOURS = installed_flavours() or ("path",)

UNCOVERED = (
    "tests/acceptance/",
    "tests/simulation/",
    "tests/integration/test_cli_hostile.py",
    "tests/unit/categories/test_glancing.py",
    "tests/unit/model/test_views.py",
    "tests/unit/test_attach_properties.py",
    "tests/unit/test_disk_crashes.py",
    "tests/unit/test_publish_script.py",
    "tests/unit/test_shared_resolution.py",
)
"""Faults, schedules and the largest properties: other tests see the same lines."""
TWINS = FLAVOURS[1:]
"""Servers for Redis whose disasters are for `make test-long`: what differs between them shows in integration tests."""


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose what goes without coverage, which makes it several times slower, and what belongs to `make test-long`."""
    for item in items:
        if item.nodeid.startswith(UNCOVERED):
            item.add_marker(pytest.mark.no_cover)
        if item.nodeid.startswith("tests/acceptance/") and _is_twin(item):
            item.add_marker(pytest.mark.long)


def _is_twin(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    return callspec is not None and any(isinstance(one, str) and one in TWINS for one in callspec.params.values())


class MakePostgres(Protocol):
    """Makes and starts a server that the fixture closes."""

    def __call__(
        self, name: str = "p", *, settings: Mapping[str, str] | None = None, tcp: bool = False
    ) -> PostgresServer: ...


class MakeRedis(Protocol):
    """Makes and starts a server that the fixture closes."""

    def __call__(
        self, name: str = "r", *, flavour: Flavour | None = None, persistence: Persistence = "none", tcp: bool = False
    ) -> RedisServer: ...


@pytest.fixture
def short_directory() -> Iterator[Path]:
    with servers.short_directory() as path:
        yield path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with servers.postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    from trimtab_store import migrate  # noqa: PLC0415 - tests of the servers themselves need no schema

    return servers.make_template(postgres_server, migrate.upgrade)


@pytest.fixture
def database(postgres_server: PostgresServer, migrated_template: str) -> Iterator[Database]:
    with servers.database(postgres_server, migrated_template) as made:
        yield made


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[Database]:
    with servers.database(postgres_server) as made:
        yield made


@pytest.fixture(scope="session")
def redis_servers() -> Iterator[RedisServers]:
    with servers.short_directory() as base, contextlib.closing(RedisServers(base)) as made:
        yield made


@pytest.fixture(params=FLAVOURS)
def redis_server(request: pytest.FixtureRequest, redis_servers: RedisServers) -> RedisServer:
    return redis_servers.fresh(cast("Flavour", request.param))


@pytest.fixture
def one_redis(redis_servers: RedisServers) -> RedisServer:
    return redis_servers.fresh(FLAVOURS[0])


@pytest.fixture
def own_postgres(short_directory: Path) -> Iterator[MakePostgres]:
    with contextlib.ExitStack() as stack:

        def make(name: str = "p", *, settings: Mapping[str, str] | None = None, tcp: bool = False) -> PostgresServer:
            chosen = servers.IN_MEMORY if settings is None else settings
            server = PostgresServer(short_directory / name, settings=chosen, tcp=tcp)
            stack.callback(server.close)
            server.start()
            return server

        yield make


@pytest.fixture
def own_redis(short_directory: Path) -> Iterator[MakeRedis]:
    with contextlib.ExitStack() as stack:

        def make(
            name: str = "r",
            *,
            flavour: Flavour | None = None,
            persistence: Persistence = "none",
            tcp: bool = False,
        ) -> RedisServer:
            server = RedisServer(short_directory / name, flavour=flavour, persistence=persistence, tcp=tcp)
            stack.callback(server.close)
            server.start()
            return server

        yield make
