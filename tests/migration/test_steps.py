"""Migrations as steps: up, down, up again; two at once; the owner alone; what a wrong database is told."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.migration.committing import create
from tests.support.servers import Database
from trimtab.model.errors import DeniedError, NotMigrated, TrimtabError, UnavailableError
from trimtab_store import migrate
from trimtab_store.tables import metadata

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
       o.collname
  FROM pg_attribute AS a
  JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind = 'r' AND c.relnamespace = 'trimtab'::regnamespace
  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_collation AS o ON o.oid = a.attcollation
 WHERE a.attnum > 0 AND c.relname <> 'alembic_version'
 ORDER BY 1, a.attnum
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
  FROM pg_constraint
 WHERE connamespace = 'trimtab'::regnamespace AND conrelid <> 'trimtab.alembic_version'::regclass
   AND contype <> 'n'
 ORDER BY 1, 2
"""
INDEXES = """
SELECT indexdef FROM pg_indexes WHERE schemaname = 'trimtab' AND tablename <> 'alembic_version' ORDER BY 1
"""


def ask(url: str, *questions: str) -> list[list[tuple[Any, ...]]]:
    with psycopg.connect(url) as connection:
        return [connection.execute(question.encode()).fetchall() for question in questions]


def dump(database: Database) -> list[str]:
    """The schema with its rights, without the random token that pg_dump guards its script with."""
    text = database.server.run("pg_dump", "--schema-only", "-d", database.url)
    return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def test_up_down_and_up_again_leaves_the_same_schema(empty_database: Database) -> None:
    migrate.upgrade(empty_database.url)
    first = dump(empty_database)
    migrate.downgrade(empty_database.url, "base")
    assert migrate.current(empty_database.url) is None
    emptied = dump(empty_database)
    migrate.upgrade(empty_database.url)
    assert dump(empty_database) == first
    migrate.downgrade(empty_database.url, "base")
    assert dump(empty_database) == emptied
    left = "SELECT relname FROM pg_class WHERE relnamespace = 'trimtab'::regnamespace AND relkind IN ('r', 'v')"
    functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'trimtab'::regnamespace"
    assert ask(empty_database.url, left, functions) == [[("alembic_version",)], []]


@pytest.mark.parametrize(("older", "newer"), [*itertools.pairwise(migrate.known())])
def test_each_step_up_and_down_leaves_what_there_was_with_all_that_was_committed(
    empty_database: Database, older: str, newer: str
) -> None:
    migrate.upgrade(empty_database.url, older)
    with psycopg.connect(empty_database.url) as connection:
        create("base").run(connection)
    before = dump(empty_database)
    migrate.upgrade(empty_database.url, newer)
    assert dump(empty_database) != before
    migrate.downgrade(empty_database.url, older)
    assert dump(empty_database) == before
    assert migrate.current(empty_database.url) == older
    assert ask(empty_database.url, "SELECT name, created_revision FROM trimtab.environments") == [[("base", 1)]]


def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        create("base").run(connection)
    before = dump(database)
    migrate.upgrade(database.url)
    assert dump(database) == before
    assert ask(database.url, "SELECT revision FROM trimtab.store_head") == [[(1,)]]


def test_alembic_finds_no_difference_to_the_tables_of_the_code(database: Database) -> None:
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(database.url), poolclass=sqlalchemy.NullPool
    )
    options = {"include_schemas": True, "include_name": migrate.belongs_to_us, "compare_server_default": True}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={**options, "version_table_schema": "trimtab"})
        assert compare_metadata(context, metadata) == []


def test_the_tables_of_the_code_are_those_of_the_migration_to_the_last_check(
    database: Database, empty_database: Database
) -> None:
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(empty_database.url), poolclass=sqlalchemy.NullPool
    )
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA trimtab")
        connection.exec_driver_sql("CREATE TABLE trimtab.alembic_version (version_num varchar(32))")
        metadata.create_all(connection)
    questions = (COLUMNS, CONSTRAINTS, INDEXES)
    of_code, of_migration = ask(empty_database.url, *questions), ask(database.url, *questions)
    assert of_code == of_migration
    assert len(of_migration[0]) > 80


def test_two_migrations_at_once_both_succeed(empty_database: Database) -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(4)

    def run() -> None:
        start.wait()
        try:
            migrate.upgrade(empty_database.url)
        except BaseException as error:  # noqa: BLE001 - a thread hands its failure to the test
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    migrate.check(empty_database.url)


def test_a_migration_waits_for_the_one_that_holds_the_lock(empty_database: Database) -> None:
    with psycopg.connect(empty_database.url) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", (migrate._LOCK,))
        thread = threading.Thread(target=migrate.upgrade, args=(empty_database.url,))
        thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while ask(empty_database.url, waiting) == [[(0,)]]:
            assert thread.is_alive()
        assert migrate.current(empty_database.url) is None
        holder.rollback()
        thread.join()
    migrate.check(empty_database.url)


def make_login(database: Database, name: str, *options: str) -> str:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {name}".encode())
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p' {' '.join(options)}".encode())
    return database.server.url(database.name, user=name, password="p")


@pytest.mark.usefixtures("migrated_template")  # the roles are there
def test_a_member_of_the_owner_role_migrates_without_being_a_superuser(empty_database: Database) -> None:
    url = make_login(empty_database, "plain_owner", "IN ROLE trimtab_owner")
    with psycopg.connect(empty_database.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA trimtab AUTHORIZATION trimtab_owner")
    migrate.upgrade(url)
    migrate.check(url)
    migrate.downgrade(url, "base")


@pytest.mark.usefixtures("migrated_template")
def test_a_user_who_may_not_migrate_is_told_what_a_superuser_has_to_prepare(empty_database: Database) -> None:
    url = make_login(empty_database, "nobody_special")
    with pytest.raises(DeniedError, match="CREATE SCHEMA trimtab AUTHORIZATION trimtab_owner"):
        migrate.upgrade(url)
    assert migrate.current(empty_database.url) is None


def test_everything_belongs_to_the_owner_role(database: Database) -> None:
    owners = """
        SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'trimtab'::regnamespace
        UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'trimtab'::regnamespace
    """
    assert ask(database.url, owners) == [[("trimtab_owner",)]]


def test_a_failing_step_leaves_nothing_behind(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    run_sql: Callable[[sqlalchemy.Connection, str], None] = migrate.run_sql

    def fail_late(connection: sqlalchemy.Connection, name: str) -> None:
        if name == "0001_rights":
            raise OSError("disk full")
        run_sql(connection, name)

    monkeypatch.setattr(migrate, "run_sql", fail_late)
    with pytest.raises(OSError, match="disk full"):
        migrate.upgrade(empty_database.url)
    assert ask(empty_database.url, "SELECT 1 FROM pg_namespace WHERE nspname = 'trimtab'") == [[]]


def test_check_tells_a_database_without_a_schema_to_migrate(empty_database: Database) -> None:
    with pytest.raises(NotMigrated, match="trimtab migrate") as caught:
        migrate.check(empty_database.url)
    assert caught.value.exit_code == 6


def test_check_and_upgrade_refuse_a_database_newer_than_the_code(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("UPDATE trimtab.alembic_version SET version_num = '9999'")
    for attempt in (migrate.check, migrate.upgrade):
        with pytest.raises(NotMigrated, match="newer than this trimtab"):
            attempt(database.url)


def test_check_works_for_the_writer_and_says_so_to_a_stranger(database: Database) -> None:
    migrate.check(database.login("trimtab_writer"))
    with pytest.raises(DeniedError, match="trimtab_writer"):
        migrate.check(database.login("trimtab_agent"))


def test_an_unreachable_database_is_an_error_of_ours(database: Database) -> None:
    for attempt in (migrate.check, migrate.current, migrate.upgrade):
        with pytest.raises(UnavailableError) as caught:
            attempt(database.server.url("no_such_database"))
        assert isinstance(caught.value, TrimtabError)
        assert database.server.password not in str(caught.value)


def test_a_database_in_another_encoding_is_refused(empty_database: Database) -> None:
    with psycopg.connect(empty_database.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(UnavailableError, match="UTF8"):
            migrate.upgrade(empty_database.server.url("latin"))
    finally:
        with psycopg.connect(empty_database.url, autocommit=True) as connection:
            connection.execute("DROP DATABASE latin WITH (FORCE)")
