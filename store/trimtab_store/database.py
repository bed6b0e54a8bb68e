"""The pool of connections to Postgres, and what its errors mean.

One SQLAlchemy engine holds the pool; statements go through psycopg's own connection, in autocommit, so that the number of
round trips stays visible. Nothing depends on session state: no prepared statements, so a transaction-mode pooler works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar

import psycopg
import sqlalchemy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from trimtab.model.errors import (
    Contention,
    DeniedError,
    NotMigrated,
    SettingError,
    StructureRefused,
    TrimtabError,
    UnavailableError,
)
from trimtab_store import migrate

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
T = TypeVar("T")

CONNECT_SECONDS: Final = 5
POOL_SECONDS: Final = 10.0
POOL_SIZE: Final = 8

_AUTHENTICATION: Final = (
    "password authentication failed",
    "no password supplied",
    "authentication failed",
    "pg_hba.conf",
)


class Database:
    """The pooled connections to one database. Safe for use by many threads; `close` gives them all back."""

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        self._url = _parse(url)
        self.engine = sqlalchemy.create_engine(
            self._url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_SECONDS,
            use_native_hstore=False,
            connect_args={
                "autocommit": True,
                "prepare_threshold": None,
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "trimtab",
            },
        )

    def close(self) -> None:
        """Close every connection that is in the pool."""
        self.engine.dispose()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of the pool, in autocommit; given back clean, or thrown away if it broke.

        Errors of Postgres become errors of ours, each with its remedy and never with a password.
        """
        try:
            pooled = self.engine.raw_connection()
        except (DBAPIError, PoolTimeout, psycopg.Error) as error:
            raise translate(_original(error)) from None
        connection: Connection = pooled.driver_connection  # type: ignore[assignment]  # the dialect is psycopg's
        try:
            yield connection
        except psycopg.Error as error:
            raise translate(error) from error
        finally:
            if connection.closed or connection.broken:
                pooled.invalidate()
            pooled.close()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run something that changes nothing, once more if the pooled connection turns out to be dead."""
        try:
            with self.connection() as connection:
                return work(connection)
        except ConnectionLost:
            self.engine.dispose()
        with self.connection() as connection:
            return work(connection)

    def snapshot(self, work: Callable[[Connection], T]) -> T:
        """Run several queries that see one and the same state of the database."""

        def inside(connection: Connection) -> T:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                return work(connection)
            finally:
                if not connection.closed:
                    connection.rollback()

        return self.read(inside)

    def check_schema(self) -> None:
        """Raise `NotMigrated` unless the database holds the schema that this code was written for."""
        self.read(migrate.check_connection)


class ConnectionLost(UnavailableError):
    """The connection broke; whether the last statement ran is for the caller to find out."""


def translate(error: BaseException) -> TrimtabError:
    """The error of ours for an error of Postgres, its pool or its client library."""
    if isinstance(error, PoolTimeout):
        return UnavailableError(
            "No connection to Postgres is free", f"all are busy for {POOL_SECONDS:g} s", "Raise pool_size, or try again"
        )
    if not isinstance(error, psycopg.Error):
        return UnavailableError("Postgres cannot be used", type(error).__name__, "Check the address")
    state = error.sqlstate or ""
    for prefixes, make in _BY_STATE:
        if state.startswith(prefixes) and state:
            return make(_text(error))
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return _without_state(error)
    return TrimtabError("Postgres refused a statement of ours", f"{state} {_text(error)}", "Please report this")


def _without_state(error: psycopg.Error) -> TrimtabError:
    text = _text(error)
    if "transaction timeout" in text:  # libpq met the closed connection before the message that says why
        return ConnectionLost("This writer held the store for too long", text, "Nothing was committed; try again")
    if any(words in text for words in _AUTHENTICATION) or ("role" in text and "does not exist" in text):
        return DeniedError("Postgres refused the login", text, "Check user and password in the database address")
    if "database" in text and "does not exist" in text:
        return UnavailableError("There is no such database", text, "Create it, then run `trimtab migrate`")
    return ConnectionLost(
        "Postgres cannot be reached", text, "Check that it runs and that the database address is right"
    )


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _bad_url() from None  # the cause would show the address, which may hold a password
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise _bad_url()
    return parsed.set(drivername="postgresql+psycopg")


def _bad_url() -> SettingError:
    return SettingError(
        "The database address is refused", "it is no address of Postgres", "Write postgresql://USER@HOST/DATABASE"
    )


def _original(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _text(error: BaseException) -> str:
    """The first line of a message: the others show the statement."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _make(kind: type[TrimtabError], what: str, remedy: str) -> Callable[[str], TrimtabError]:
    return lambda why: kind(what, why, remedy)


_BY_STATE: Final[tuple[tuple[tuple[str, ...], Callable[[str], TrimtabError]], ...]] = (
    (("28",), _make(DeniedError, "Postgres refused the login", "Check user and password in the database address")),
    (("3D000",), _make(UnavailableError, "There is no such database", "Create it, then run `trimtab migrate`")),
    (("42501",), _make(DeniedError, "Postgres denies this", "Connect as a member of the role trimtab_writer")),
    (("3F", "42P01", "42883"), _make(NotMigrated, "The database is not migrated", "Run `trimtab migrate`")),
    (("25006",), _make(UnavailableError, "This Postgres takes no writes", "Connect to the primary, not to a standby")),
    (("55P03",), _make(Contention, "Another writer holds the store", "Try again")),
    (("40", "TT001", "TT002"), _make(Contention, "Another writer was first", "Try again")),
    (("TT003",), _make(StructureRefused, "These environments cannot be", "Choose another parent")),
    (("57014",), _make(UnavailableError, "Postgres took too long", "Try again, with fewer edits at a time")),
    (("53",), _make(UnavailableError, "Postgres is out of resources", "Free some, or try again later")),
    (
        ("25P03", "25P04"),
        _make(ConnectionLost, "This writer held the store for too long", "Nothing was committed; try again"),
    ),
    (
        ("08", "57P"),
        _make(ConnectionLost, "Postgres ended the connection", "Try again; nothing is retried by itself"),
    ),
)
