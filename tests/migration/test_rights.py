"""Who may do what in the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from tests.migration.committing import create, put
from tests.support.servers import Database

TABLES = (
    "store_head", "epochs", "environments", "environment_revisions", "changes", "configuration_items",
    "configuration_versions", "item_revisions", "configuration_current", "links", "configuration_audit", "snapshots",
    "snapshot_chunks", "agent_reports",
)  # fmt: skip
VIEWS = ("line_heads", "active_versions")
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
WRITER_INSERTS = {"snapshots", "snapshot_chunks"}
AGENT_FUNCTIONS = {
    "trimtab_schema_v1", "trimtab_head_v1", "trimtab_changes_v1", "trimtab_snapshot_v1", "trimtab_snapshot_chunk_v1",
    "trimtab_report_v1",
}  # fmt: skip
WRITER_FUNCTIONS = AGENT_FUNCTIONS | {
    "trimtab_begin_v1", "trimtab_stage_v1", "trimtab_lock_v1", "trimtab_lock_epoch_v1", "trimtab_touched_v1",
    "trimtab_commit_v1", "trimtab_commit_at_once_v1", "trimtab_audit_v1", "trimtab_prune_snapshots_v1",
    "trimtab_near_v1", "trimtab_around_v1", "trimtab_items_at_v1",
}  # fmt: skip

RELAY_FUNCTIONS = {"trimtab_head_v1", "trimtab_changes_v1", "trimtab_snapshot_v1", "trimtab_snapshot_chunk_v1"}
ROLES = {
    "trimtab_writer": WRITER_FUNCTIONS, "trimtab_relay": RELAY_FUNCTIONS, "trimtab_agent": AGENT_FUNCTIONS,
    "trimtab_auditor": set[str](),
}  # fmt: skip


@pytest.fixture
def superuser(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.url, autocommit=True) as connection:
        yield connection


def rights_on_tables(connection: psycopg.Connection[Any], role: str) -> set[tuple[str, str]]:
    """Every (table, verb) that the role has, on the whole or on any column of it."""
    found = connection.execute(
        "SELECT c.relname, v FROM pg_class AS c, unnest(%s::text[]) AS v"
        " WHERE c.relnamespace = 'trimtab'::regnamespace AND c.relkind IN ('r', 'v', 'S') AND CASE"
        " WHEN v IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') THEN has_any_column_privilege(%s, c.oid, v)"
        " ELSE has_table_privilege(%s, c.oid, v) END",
        (list(VERBS), role, role),
    )
    return set(found.fetchall())


def executable(connection: psycopg.Connection[Any], role: str) -> set[str]:
    found = connection.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'trimtab'::regnamespace"
        " AND has_function_privilege(%s, oid, 'EXECUTE')",
        (role,),
    )
    return {name for (name,) in found.fetchall()}


def test_the_writer_reads_all_but_the_audit_and_inserts_nothing_but_snapshots(
    superuser: psycopg.Connection[Any],
) -> None:
    readable = {(name, "SELECT") for name in (*TABLES, *VIEWS, "alembic_version") if name != "configuration_audit"}
    assert rights_on_tables(superuser, "trimtab_writer") == readable | {(name, "INSERT") for name in WRITER_INSERTS}


def test_the_agent_has_no_right_on_any_table(superuser: psycopg.Connection[Any]) -> None:
    assert rights_on_tables(superuser, "trimtab_agent") == set()


def test_a_relay_reads_the_names_of_environments_and_nothing_else(superuser: psycopg.Connection[Any]) -> None:
    assert rights_on_tables(superuser, "trimtab_relay") == {("environments", "SELECT")}
    columns = superuser.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'trimtab.environments'::regclass AND attnum > 0"
        " AND has_column_privilege('trimtab_relay', attrelid, attnum, 'SELECT')"
    ).fetchall()
    assert columns == [("name",)]


def test_the_auditor_reads_the_audit_and_nothing_else(superuser: psycopg.Connection[Any]) -> None:
    assert rights_on_tables(superuser, "trimtab_auditor") == {("configuration_audit", "SELECT")}


def test_each_role_may_call_its_own_functions_only(superuser: psycopg.Connection[Any]) -> None:
    assert {role: executable(superuser, role) for role in ROLES} == ROLES


def test_nothing_is_granted_to_public(superuser: psycopg.Connection[Any]) -> None:
    to_public = superuser.execute("""
        SELECT c.oid::regclass::text, g.privilege_type
          FROM pg_class AS c, aclexplode(c.relacl) AS g
         WHERE c.relnamespace = 'trimtab'::regnamespace AND g.grantee = 0
        UNION ALL
        SELECT a.attrelid::regclass::text, g.privilege_type
          FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid, aclexplode(a.attacl) AS g
         WHERE c.relnamespace = 'trimtab'::regnamespace AND g.grantee = 0
        UNION ALL
        -- without an entry of its own a function is open to everybody
        SELECT p.oid::regprocedure::text, g.privilege_type
          FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g
         WHERE p.pronamespace = 'trimtab'::regnamespace AND g.grantee = 0
        UNION ALL
        SELECT n.nspname, g.privilege_type
          FROM pg_namespace AS n, aclexplode(n.nspacl) AS g
         WHERE n.nspname = 'trimtab' AND g.grantee = 0
    """).fetchall()
    assert to_public == []


def test_what_the_owner_makes_later_is_not_open_to_public_either(superuser: psycopg.Connection[Any]) -> None:
    superuser.execute("SET ROLE trimtab_owner")
    superuser.execute("CREATE FUNCTION trimtab.later() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
    assert "later" not in executable(superuser, "trimtab_auditor")


def test_every_function_pins_its_search_path(superuser: psycopg.Connection[Any]) -> None:
    loose = superuser.execute("""
        SELECT proname FROM pg_proc
         WHERE pronamespace = 'trimtab'::regnamespace
           AND NOT coalesce('search_path=trimtab, pg_temp' = ANY (proconfig), false)
    """).fetchall()
    assert loose == []


def test_an_agent_cannot_shadow_what_a_function_reads(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        create("base").run(connection)
    with psycopg.connect(database.login("trimtab_agent")) as connection:
        connection.execute("CREATE TEMP TABLE links AS SELECT 'base' AS environment, 1 AS epoch, 99 AS revision")
        connection.execute("SET search_path = pg_temp, trimtab")
        assert connection.execute("SELECT revision FROM trimtab.trimtab_head_v1('base')").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trimtab.configuration_audit SET actor = 'nobody'",
        "DELETE FROM trimtab.configuration_audit",
        "TRUNCATE trimtab.configuration_audit",
        "SELECT * FROM trimtab.configuration_audit",
        "INSERT INTO trimtab.configuration_audit SELECT * FROM trimtab.configuration_audit",
        "UPDATE trimtab.configuration_versions SET author = 'nobody'",
        "DELETE FROM trimtab.configuration_versions",
        "TRUNCATE trimtab.links",
        "UPDATE trimtab.links SET hash = previous_hash",
        "UPDATE trimtab.store_head SET revision = 1000",
        "DELETE FROM trimtab.configuration_current",
        "INSERT INTO trimtab.changes VALUES (gen_random_uuid(), '{}')",
        "DELETE FROM trimtab.snapshots",
        "SELECT trimtab.append_audit('{}', NULL, NULL)",
        "SELECT trimtab.enter_links(ARRAY[]::bytea[], gen_random_uuid(), NULL)",
        "SELECT trimtab.enter_version(NULL, NULL, '', '', '', '', false, NULL, NULL, NULL, NULL)",
        "SELECT trimtab.restructure(gen_random_uuid(), NULL)",
        "LOCK TABLE trimtab.turn IN SHARE UPDATE EXCLUSIVE MODE",
        "CREATE TABLE trimtab.mine (n integer)",
        "SET ROLE trimtab_owner",
    ],
)
def test_the_writer_is_refused(database: Database, statement: str) -> None:
    with psycopg.connect(database.url) as connection:
        create("base").run(connection)
    with (
        psycopg.connect(database.login("trimtab_writer")) as connection,
        pytest.raises(pg.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def test_the_writer_commits_and_the_auditor_reads_who_did_it(database: Database) -> None:
    with psycopg.connect(database.login("trimtab_writer")) as connection:
        create("base").run(connection)
        connection.commit()
        put("base", "a.b", b"1").run(connection)
    with psycopg.connect(database.login("trimtab_auditor")) as connection:
        rows = connection.execute("SELECT id, actor, action, revision FROM trimtab.configuration_audit ORDER BY id")
        assert rows.fetchall() == [(1, "ada", "commit", 1), (2, "ada", "commit", 2)]
        with pytest.raises(pg.InsufficientPrivilege):
            connection.execute("SELECT * FROM trimtab.links")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM trimtab.links",
        "SELECT trimtab.trimtab_audit_v1('{}')",
        "LOCK TABLE trimtab.turn IN ACCESS SHARE MODE",
    ],
)
def test_an_agent_is_refused(database: Database, statement: str) -> None:
    with psycopg.connect(database.login("trimtab_agent")) as connection, pytest.raises(pg.InsufficientPrivilege):
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT parent FROM trimtab.environments",
        "SELECT * FROM trimtab.links",
        "SELECT * FROM trimtab.configuration_audit",
        "SELECT version_num FROM trimtab.alembic_version",
        "INSERT INTO trimtab.environments (name) VALUES ('mine')",
        "UPDATE trimtab.environments SET name = name",
        "DELETE FROM trimtab.snapshots",
        "TRUNCATE trimtab.environments",
        "SELECT trimtab.trimtab_report_v1('base', 'me', '{}')",
        "SELECT trimtab.trimtab_stage_v1(gen_random_uuid(), 'base', '{}', '{}', '{}', '{}')",
        "SELECT trimtab.trimtab_prune_snapshots_v1('base', 2)",
        "SELECT trimtab.trimtab_audit_v1('{}')",
        "LOCK TABLE trimtab.environments IN ACCESS SHARE MODE",
        "CREATE TABLE trimtab.mine (n integer)",
        "SET ROLE trimtab_writer",
    ],
)
def test_a_relay_is_refused(database: Database, statement: str) -> None:
    with psycopg.connect(database.url) as connection:
        create("base").run(connection)
    with psycopg.connect(database.login("trimtab_relay")) as connection:
        assert connection.execute("SELECT name FROM trimtab.environments").fetchall() == [("base",)]
        with pytest.raises(pg.InsufficientPrivilege):
            connection.execute(statement.encode())
