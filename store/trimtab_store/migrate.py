"""Migrations: bring a database to the schema of this code, and say clearly when it is not there.

The whole of a migration is one transaction under one advisory lock: roles and schema, Alembic's own table, every
step. So two migrations at once are safe (the second finds nothing to do), and one that fails leaves nothing behind. The
connecting user creates what belongs to the cluster if it is missing; everything else is made as `trimtab_owner`.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import sqlalchemy
from psycopg import errors as pg

from trimtab.model.errors import DeniedError, NotMigrated, UnavailableError

if TYPE_CHECKING:
    from alembic.config import Config

SCHEMA: Final = "trimtab"
OWNER: Final = "trimtab_owner"
_LOCK: Final = 0x7472696D746162  # "trimtab"; the lock of one database, not of its cluster
_CONNECT_SECONDS: Final = 10


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the database up to `revision`; nothing happens where it is there. Raises `NotMigrated` for a newer one."""
    from alembic import command  # noqa: PLC0415  120 ms that only a migration should pay

    with _migration(database_url) as config:
        command.upgrade(config, revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take the database down to `revision` (`base` for nothing). What the steps in between held is lost."""
    from alembic import command  # noqa: PLC0415  as above

    with _migration(database_url) as config:
        command.downgrade(config, revision)


def current(database_url: str) -> str | None:
    """The revision of the database's schema, or None where nothing was migrated."""
    with _reach(database_url) as connection:
        return _current(connection)


def check(database_url: str) -> None:
    """Raise `NotMigrated` unless the database has exactly the schema that this code was written for."""
    with _reach(database_url) as connection:
        check_connection(connection)


def check_connection(connection: psycopg.Connection[Any]) -> None:
    """The same over a connection that is there already."""
    found = _current(connection)
    _refuse_newer(found)
    if found != known()[-1]:
        raise NotMigrated(
            "The database is not migrated" if found is None else "The database is older than this trimtab",
            f"its schema is at {found or 'nothing'}, {known()[-1]} is needed",
            "Run: trimtab migrate",
        )


def known() -> tuple[str, ...]:
    """The revisions that this code brings along, oldest first, read from the numbers in the names of files."""
    return tuple(sorted(file.name.split("_")[0] for file in (_scripts() / "versions").glob("[0-9]*_*.py")))


def run_sql(connection: sqlalchemy.Connection, name: str) -> None:
    """Run one file of `migrations/sql`: many statements at once, in which no sign stands for a parameter."""
    driver: psycopg.Connection[Any] | None = connection.connection.driver_connection
    assert driver is not None, "the connection is open"
    driver.execute((_scripts() / "sql" / f"{name}.sql").read_bytes())


def belongs_to_us(name: str | None, kind: str, parents: object) -> bool:
    """Whether Alembic should look at a schema: ours only, whatever else lives in the database."""
    del parents
    return kind != "schema" or name == SCHEMA


@contextmanager
def _migration(database_url: str) -> Generator[Config]:
    """One transaction, locked and as the owner, that an Alembic command can run in."""
    from alembic.config import Config  # noqa: PLC0415  as above

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _connect(database_url),
        poolclass=sqlalchemy.NullPool,
        isolation_level="READ COMMITTED",  # the lock's second holder must see what the first one did
    )
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            run_sql(connection, "roles_and_schema")
            connection.exec_driver_sql(f"SET LOCAL ROLE {OWNER}")
            _refuse_newer(_current(connection.connection.driver_connection))
            config = Config()
            config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
            config.attributes["connection"] = connection
            yield config
    except pg.InsufficientPrivilege as error:
        raise DeniedError("The migration is refused by the database", _words(error), _PREPARE) from error
    except pg.FeatureNotSupported as error:
        raise UnavailableError("This database cannot hold a store", _words(error), "Create another one") from error
    finally:
        engine.dispose()


_PREPARE: Final = (
    "Migrate as a superuser, or let one create the roles trimtab_owner, trimtab_writer, trimtab_relay, trimtab_agent "
    "and trimtab_auditor and the schema (CREATE SCHEMA trimtab AUTHORIZATION trimtab_owner), and migrate as a member "
    "of trimtab_owner"
)


def _current(connection: Any) -> str | None:
    """What Alembic's table says, or None where there is none."""
    there = connection.execute(
        "SELECT FROM pg_class WHERE relname = 'alembic_version'"
        " AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'trimtab')"
    ).fetchone()
    if there is None:
        return None
    try:
        row = connection.execute("SELECT version_num FROM trimtab.alembic_version").fetchone()
    except pg.InsufficientPrivilege as error:
        raise DeniedError(
            "The store may not be read", _words(error), "Connect as a member of trimtab_writer, or migrate first"
        ) from error
    return None if row is None else str(row[0])


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in known():
        raise NotMigrated(
            "The database is newer than this trimtab",
            f"its schema is at {found}, which this version does not know",
            "Install the trimtab that migrated it, or a later one",
        )


@contextmanager
def _reach(database_url: str) -> Generator[psycopg.Connection[Any]]:
    with _connect(database_url) as connection:
        yield connection


def _connect(database_url: str) -> psycopg.Connection[Any]:
    try:
        return psycopg.connect(database_url, connect_timeout=_CONNECT_SECONDS, prepare_threshold=None)
    except psycopg.Error as error:
        raise UnavailableError(
            "The database cannot be reached", _words(error), "Check the address, the user, and that the server runs"
        ) from error


def _words(error: psycopg.Error) -> str:
    """What the server said, in one line."""
    return " ".join((error.diag.message_primary or str(error)).split()).rstrip(".")


def _scripts() -> Path:
    """The folder of the migrations: inside the package in a wheel, at the root of a checkout."""
    here = Path(__file__).resolve().parent
    for folder in (here / "migrations", here.parents[1] / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise AssertionError("the migrations belong to the package")
