"""A store over a fresh database, with environments to write in; and the command line over the example fleet."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from tests.support import servers, sidecar_process
from tests.support.asking import ASKS_NOTHING
from tests.support.console import Console
from tests.support.servers import Database
from trimtab import Agent
from trimtab.model.statements import SigningKey
from trimtab_store.embedded.postgres import PostgresServer
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.files import read_tree
from trimtab_store.store import Store

KEY = SigningKey.generate("test")

Connect = Callable[..., Agent]
ConnectStore = Callable[..., Store]


@contextlib.contextmanager
def connecting_agents(database: Database, redis_server: RedisServer) -> Generator[Connect]:
    """Connects agents as what they are in production: a role that may only call the functions of an agent."""
    with contextlib.ExitStack() as stack:

        def connect(**arguments: Any) -> Agent:
            given: dict[str, Any] = {
                "environment": "production",
                "trust": KEY.trust(),
                "database_url": database.login("trimtab_agent"),
                "redis_url": redis_server.url,
                "timeout": 20.0,
                **arguments,
            }
            return stack.enter_context(Agent.connect(**given))

        yield connect


@pytest.fixture
def connect_store(database: Database) -> Iterator[ConnectStore]:
    """Connects stores to the test's database as a writer that is nothing but a writer; closes them.

    Documents have to fit their categories and schemas; the rules across documents hold where a test says `rules=None`.
    """
    with contextlib.ExitStack() as stack:

        def connect(**options: object) -> Store:
            given = {"signing_key": KEY, "rules": [ASKS_NOTHING], **options}
            return stack.enter_context(Store.connect(database.login("trimtab_writer"), **given))  # type: ignore[arg-type]

        yield connect


@pytest.fixture
def store(connect_store: ConnectStore) -> Store:
    """A store with base ← production, base ← testing."""
    made = connect_store()
    made.create_environment("base", author="test")
    made.create_environment("production", parent="base", author="test")
    made.create_environment("testing", parent="base", author="test")
    return made


FLEET = Path(__file__).parents[2] / "examples" / "fleet"


@pytest.fixture(scope="session")
def fleet_template(postgres_server: PostgresServer, migrated_template: str) -> str:
    """The name of a database that holds the example fleet, signed with `KEY`."""
    name = "trimtab_fleet"
    servers.run_as_admin(postgres_server, sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, migrated_template)
    with Store.connect(postgres_server.url(name), signing_key=KEY) as store:
        store.load_tree(read_tree(FLEET), author="test", reason="the example fleet")
    return name


@pytest.fixture
def fleet_database(postgres_server: PostgresServer, fleet_template: str) -> Iterator[Database]:
    """A database of this test's own that holds the example fleet."""
    with servers.database(postgres_server, fleet_template) as made:
        yield made


@pytest.fixture
def console(
    fleet_database: Database,
    one_redis: RedisServer,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Console:
    """The command line over the example fleet, in an empty folder."""
    made = Console(capfd, monkeypatch, tmp_path)
    key = tmp_path.with_name(f"{tmp_path.name}-key.json")
    key.touch(0o600)
    key.write_bytes(KEY.to_bytes())
    made.variables(
        DATABASE_URL=fleet_database.login("trimtab_writer"),
        OWNER_URL=fleet_database.url,
        REDIS_URL=one_redis.url,
        SIGNING_KEY=key,
    )
    return made


@pytest.fixture
def published_store(connect_store: ConnectStore, one_redis: RedisServer) -> Store:
    """A store with base ← production that publishes, and one value."""
    made = connect_store(redis_url=one_redis.url)
    made.create_environment("base", author="test")
    made.create_environment("production", parent="base", author="test")
    sidecar_process.commit(made, 3.0)
    return made


@pytest.fixture
def start(
    published_store: Store, database: Database, one_redis: RedisServer, short_directory: Path
) -> Iterator[sidecar_process.Start]:
    """Starts sidecars as the role that may only call the functions of an agent."""
    assert published_store is not None
    trust = short_directory / "trust.json"
    trust.write_bytes(KEY.trust().to_bytes())
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    variables |= {
        "TRIMTAB_ENVIRONMENT": "production",
        "TRIMTAB_TRUST": str(trust),
        "TRIMTAB_DATABASE_URL": database.login("trimtab_agent"),
        "TRIMTAB_REDIS_URL": one_redis.url,
        "TRIMTAB_LABELS": "node=ny4-1,region=ny4",
    }
    started: list[sidecar_process.Process] = []

    def starting(
        *flags: str, head: Sequence[str] = (), shared: Path | None = None, **changed: str
    ) -> sidecar_process.Process:
        log = short_directory / f"log-{len(started)}"
        place = shared or short_directory / "shared"
        started.append(sidecar_process.Process(place, log, variables | changed, *flags, head=head))
        return started[-1]

    yield starting
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
