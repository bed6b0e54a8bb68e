from __future__ import annotations

import psycopg
import pytest

from tests.support.servers import Database


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_a_migrated_database_of_its_own(database: Database, turn: int) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        assert connection.execute("SELECT to_regclass('left_by_another_test')").fetchone() == (None,)
        connection.execute("CREATE TABLE left_by_another_test (n int)")
        assert connection.execute("SELECT count(*) > 0 FROM pg_tables WHERE schemaname = 'trimtab'").fetchone() == (
            True,
        ), turn


def test_a_login_is_a_member_of_its_group_and_no_superuser(database: Database) -> None:
    with psycopg.connect(database.login("trimtab_agent")) as connection:
        row = connection.execute(
            "SELECT pg_has_role('trimtab_agent', 'USAGE'), pg_has_role('trimtab_writer', 'USAGE'), rolsuper"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row == (True, False, False)


def test_an_empty_database_has_no_schema_of_ours(empty_database: Database) -> None:
    with psycopg.connect(empty_database.url) as connection:
        assert connection.execute("SELECT to_regnamespace('trimtab')").fetchone() == (None,)
