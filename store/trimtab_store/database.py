"""The pool of connections to Postgres, and what its errors mean.

One SQLAlchemy engine holds the pool; statements go through psycopg's own connection, in autocommit, so that the
number of round trips stays visible. Nothing depends on session state: no prepared statements, so a transaction-mode
pooler works.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar, cast

import psycopg
import sqlalchemy
from psycopg.pq import PipelineStatus, TransactionStatus
from sqlalchemy.engine import make_url
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
from trimtab_store import deadlines, migrate
from trimtab_store.deadlines import BoundedConnection, Deadline, DeadlinePassed

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
T = TypeVar("T")

ANSWER_SECONDS: Final = 60.0
"""How long one use of a connection waits for the server in all, unless it says otherwise."""
POOL_SECONDS: Final = 10.0
POOL_SIZE: Final = 8

_WITHOUT_ANSWER: Final = frozenset({TransactionStatus.ACTIVE, TransactionStatus.UNKNOWN})
_AUTHENTICATION: Final = (
    "password authentication failed",
    "no password supplied",
    "authentication failed",
    "pg_hba.conf",
)


class Database:
    """The pooled connections to one database. Safe for use by many threads; `close` gives them all back."""

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        check_address(url)
        self.engine = sqlalchemy.create_engine(
            "postgresql+psycopg://",
            creator=lambda: deadlines.connect(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_SECONDS,
            pool_reset_on_return=None,  # `connection` does it where there is anything to roll back
            use_native_hstore=False,
        )

    def close(self) -> None:
        """Close every connection that is in the pool."""
        self.engine.dispose()

    @contextmanager
    def connection(self, seconds: float | None = ANSWER_SECONDS) -> Generator[Connection]:
        """A connection of the pool, in autocommit; given back clean, or thrown away if it broke.

        Whoever waits longer than `seconds` in all for the server's answers gives up (see `bound`). Errors of Postgres
        become errors of ours, each with its remedy and never with a password.
        """
        pool = self.engine.pool
        try:
            pooled = self.engine.raw_connection()
        except psycopg.ProgrammingError:
            raise _bad_address() from None  # what libpq says about an address may show a password
        except (DBAPIError, PoolTimeout, psycopg.Error) as error:
            raise translate(_original(error)) from None
        connection = cast("BoundedConnection", pooled.driver_connection)
        bound(connection, seconds)
        try:
            yield connection
        except psycopg.Error as error:
            raise translate(error) from error
        except DeadlinePassed as error:
            raise ConnectionLost("Postgres gives no answer", error.why, "Check the server and the network") from error
        finally:
            abandon(connection)
            connection.deadline = None
            # a pool that was disposed of keeps what it gets back
            if is_lost(connection) or self.engine.pool is not pool:
                pooled.invalidate()
            pooled.close()

    def read(self, work: Callable[[Connection], T], seconds: float | None = ANSWER_SECONDS) -> T:
        """Run something that changes nothing, once more if the pooled connection turns out to be dead."""
        try:
            with self.connection(seconds) as connection:
                return work(connection)
        except ConnectionLost:
            self.engine.dispose()
        with self.connection(seconds) as connection:
            return work(connection)

    def snapshot(self, work: Callable[[Connection], T], seconds: float | None = ANSWER_SECONDS) -> T:
        """Run several queries that see one and the same state of the database."""

        def inside(connection: Connection) -> T:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                return work(connection)
            finally:
                abandon(connection)

        return self.read(inside, seconds)

    def check_schema(self) -> None:
        """Raise `NotMigrated` unless the database holds the schema that this code was written for."""
        self.read(migrate.check_connection)


def is_lost(connection: Connection) -> bool:
    """Whether the server can say nothing more here: the connection is closed, or stuck in an answer that broke off."""
    return (
        connection.closed
        or connection.broken
        or connection.pgconn.pipeline_status != PipelineStatus.OFF
        or connection.pgconn.transaction_status in _WITHOUT_ANSWER
    )


def abandon(connection: Connection) -> None:
    """Roll back whatever is open; a connection that breaks meanwhile is noticed where it is given back."""
    if connection.pgconn.transaction_status != TransactionStatus.IDLE and not connection.closed:
        with contextlib.suppress(psycopg.Error, DeadlinePassed):
            connection.rollback()


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


def bound(connection: Connection, seconds: float | None) -> None:
    """From now on wait this long for the server, and no longer; None waits for ever."""
    if isinstance(connection, BoundedConnection):
        connection.deadline = None if seconds is None else Deadline.after(seconds)


def check_address(url: str) -> None:
    """Raise `SettingError` unless this looks like an address of Postgres."""
    try:
        backend = make_url(url).get_backend_name()
    except (ArgumentError, ValueError):
        raise _bad_address() from None  # the cause would show the address, which may hold a password
    if backend not in {"postgresql", "postgres"}:
        raise _bad_address()


def _bad_address() -> SettingError:
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
