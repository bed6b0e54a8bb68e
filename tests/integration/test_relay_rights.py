"""A relay that never can work, for lack of a schema or of rights, says so and ends: whoever started it tries again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator

import psycopg
import pytest
from psycopg import sql

from tests.support.servers import LOGIN_PASSWORD, Database
from trimtab.model.errors import DeniedError, NotMigrated, TrimtabError
from trimtab_store import migrate
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.relay import Relay

USER = "login_of_nobody"
MIGRATE = "Run: trimtab migrate"


@pytest.fixture
def login(empty_database: Database) -> Generator[str]:
    """The address of a database without our schema, as a user without rights."""
    password = sql.Literal(LOGIN_PASSWORD)
    execute(empty_database, sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(USER), password))
    try:
        yield empty_database.server.url(empty_database.name, user=USER, password=LOGIN_PASSWORD)
    finally:
        execute(empty_database, sql.SQL("DROP ROLE {}").format(sql.Identifier(USER)))


def execute(database: Database, statement: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(statement)


def ended(login: str, redis_url: str) -> TrimtabError:
    """What a relay ends with; it is told to stop after a while, so that one that waits for ever fails the test."""
    stop = threading.Event()
    timer = threading.Timer(20, stop.set)
    timer.start()
    try:
        with pytest.raises(TrimtabError) as raised:
            Relay(login, redis_url).run(stop)
    finally:
        timer.cancel()
    return raised.value


def test_where_there_is_no_schema_it_says_what_to_run(login: str, one_redis: RedisServer) -> None:
    error = ended(login, one_redis.url)
    assert (type(error), error.remedy) == (NotMigrated, MIGRATE)


def test_a_schema_that_only_an_administrator_prepared_is_not_migrated(
    empty_database: Database, login: str, one_redis: RedisServer
) -> None:
    execute(empty_database, sql.SQL("CREATE SCHEMA trimtab"))
    error = ended(login, one_redis.url)
    assert (type(error), error.what, error.remedy) == (NotMigrated, "This database is not migrated", MIGRATE)


def test_a_schema_without_rights_for_relays_is_too_old(
    empty_database: Database, login: str, one_redis: RedisServer
) -> None:
    migrate.upgrade(empty_database.url)
    execute(empty_database, sql.SQL("REVOKE USAGE ON SCHEMA trimtab FROM trimtab_relay"))  # as 0001 left it
    error = ended(login, one_redis.url)
    assert (type(error), error.what, error.remedy) == (NotMigrated, "The database is older than this trimtab", MIGRATE)


def test_a_login_without_the_rights_is_told_which_it_needs_and_works_with_them(
    empty_database: Database, login: str, one_redis: RedisServer
) -> None:
    migrate.upgrade(empty_database.url)
    error = ended(login, one_redis.url)
    told = (f"{USER} may not be a relay here", f"Run: GRANT trimtab_relay TO {USER}")
    assert (type(error), error.what, error.remedy) == (DeniedError, *told)
    execute(empty_database, sql.SQL("GRANT trimtab_relay TO {}").format(sql.Identifier(USER)))
    relay = Relay(login, one_redis.url)
    assert relay.look() == ()
    relay.close()


def test_the_command_ends_with_its_code_and_the_remedy(
    empty_database: Database, login: str, one_redis: RedisServer
) -> None:
    execute(empty_database, sql.SQL("CREATE SCHEMA trimtab"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    given = {"TRIMTAB_DATABASE_URL": login, "TRIMTAB_REDIS_URL": one_redis.url}
    command = [sys.executable, "-m", "trimtab_store", "relay", "--seconds", "20"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=kept | given)
    assert done.returncode == NotMigrated.exit_code == 6
    assert done.stderr.splitlines()[-1].startswith("trimtab: This database is not migrated: ")
    assert done.stderr.splitlines()[-1].endswith(f" {MIGRATE}.")
