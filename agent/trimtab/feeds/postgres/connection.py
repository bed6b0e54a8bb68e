"""One kept connection to Postgres: a statement at a time, each within a deadline, every failure in our words.

Nothing depends on session state: autocommit, no prepared statements, so a transaction-mode pooler may stand between.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg import AsyncConnection, errors, waiting
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from trimtab.feeds import descriptors
from trimtab.feeds.postgres.patience import Patience
from trimtab.model.errors import FeedDenied, FeedUnavailable, NotMigrated, SettingError

_Result = TypeVar("_Result")
_CONNECT_SECONDS: Final = 2
_OPTIONS: Final[Mapping[str, str | int]] = {
    "application_name": "trimtab-agent",
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_SCHEMA: Final = 1
"""The schema that this code was written for; a newer one is fine for as long as it keeps the functions we call."""
_DENIED: Final = (errors.InsufficientPrivilege, errors.InvalidAuthorizationSpecification, errors.InvalidPassword)
_MISSING: Final = (errors.UndefinedFunction, errors.InvalidSchemaName, errors.UndefinedTable)
# What the server says before it can give a code: psycopg has no SQLSTATE for a refused login.
_LOGIN_WORDS: Final = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "permission denied")


class Connection(AsyncConnection[Any]):
    """psycopg's connection, which drops itself when a statement is interrupted.

    psycopg would first ask the server to cancel and wait for it, up to ten seconds: too long behind a dead network.
    """

    async def wait(self, gen: PQGen[_Result], interval: float = 0.1, timeout: float | None = None) -> _Result:  # noqa: ASYNC109 - psycopg's signature
        """Wait for a statement; interrupted, the connection is closed."""
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise


class Wire:
    """The kept connection. After any failure it is dropped, and the next statement dials again."""

    def __init__(self, url: str, seconds: float) -> None:
        try:
            settings = conninfo_to_dict(url.replace("postgresql+psycopg://", "postgresql://", 1))
        except psycopg.ProgrammingError as error:
            raise SettingError(
                "This Postgres URL is refused", str(error), "Use postgresql://USER:PASSWORD@HOST:PORT/NAME"
            ) from error
        hosts = str(settings.get("host") or settings.get("hostaddr") or "localhost")
        self.place = f"Postgres at {hosts}, database {settings.get('dbname') or settings.get('user') or 'by default'}"
        self._hosts = len(hosts.split(","))
        ours = {name: value for name, value in _OPTIONS.items() if name not in settings}
        self._conninfo = make_conninfo(make_conninfo("", **settings), **ours)
        self._answering = Patience(seconds)
        self._connecting = Patience(float(settings.get("connect_timeout") or _CONNECT_SECONDS))
        self._connection: Connection | None = None
        self._running: asyncio.Timeout | None = None
        self._lock = asyncio.Lock()
        self._schema = 0
        self._failing = False
        self._closed = False

    async def ask(
        self, statement: str, parameters: Sequence[object] = (), *, urges: bool = True
    ) -> list[tuple[Any, ...]]:
        """The rows of one statement; bytes come as `bytes`. What does not urge dials no server that just failed us."""
        async with self._turn():
            kept = self._connection is not None and not self._connection.closed
            if self._failing and not (urges or kept):
                raise FeedUnavailable(f"{self.place} does not answer", "it did not last time")
            try:
                return await self._ask(statement, parameters)
            except FeedUnavailable as error:
                if not kept or not isinstance(error.__cause__, psycopg.OperationalError):
                    raise
                return await self._ask(statement, parameters)  # the server had closed it while it was idle

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._dial_seconds):
                await self._lock.acquire()
        except TimeoutError as error:
            raise FeedUnavailable(f"{self.place} does not answer", "an earlier statement takes too long") from error
        try:
            yield
        finally:
            self._lock.release()

    async def close(self) -> None:
        """Drop the connection, also under a statement, which then fails."""
        self._closed = True
        if self._running is not None:
            # The deadline is now. To close the descriptor under the statement would leave it registered with the loop.
            self._running.reschedule(asyncio.get_running_loop().time())
        async with self._lock:
            await self._drop()

    def abandon(self) -> None:
        """In a forked child: give up the inherited session without a word to the server, which is the parent's."""
        self._closed = True
        if self._connection is not None and not self._connection.closed:
            descriptors.silence(self._connection.pgconn.socket)
            descriptors.keep(self._connection)

    async def _ask(self, statement: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        async with self._within(self._dial_seconds):
            connection = await self._dialled()
        async with self._within(self._answering.seconds):
            with self._answering.learns():
                rows = await _rows(connection, statement, parameters)
        self._failing = False
        return rows

    @property
    def _dial_seconds(self) -> float:
        """The deadline of a new connection, with a first statement on it."""
        return self._connecting.seconds * self._hosts + self._answering.seconds

    async def _dialled(self) -> Connection:
        if self._closed:
            raise FeedUnavailable("The feed postgres is closed")
        if self._connection is not None and not self._connection.closed:
            return self._connection
        self._connection = connection = await self._connected()
        [[self._schema]] = await _rows(connection, "SELECT trimtab.trimtab_schema_v1()")
        if self._schema < _SCHEMA:
            raise self._not_migrated()
        return connection

    async def _connected(self) -> Connection:
        seconds = math.ceil(self._connecting.seconds)
        try:
            made = await Connection.connect(
                self._conninfo, autocommit=True, prepare_threshold=None, connect_timeout=seconds
            )
        except errors.ConnectionTimeout:
            self._connecting.took(self._connecting.seconds)
            raise
        self._connecting.took(0.0)
        return made

    @asynccontextmanager
    async def _within(self, seconds: float) -> AsyncGenerator[None]:
        async with self._failures(seconds), asyncio.timeout(seconds) as deadline:
            self._running = deadline
            try:
                yield
            finally:
                self._running = None

    async def _drop(self) -> None:
        self._failing = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @asynccontextmanager
    async def _failures(self, seconds: float) -> AsyncGenerator[None]:
        """Turn what psycopg raises into the errors of a feed, and drop the connection after any."""
        try:
            yield
        except _MISSING as error:
            await self._drop()
            raise self._not_migrated() from error
        except _DENIED as error:
            await self._drop()
            raise self._denied(error) from error
        except (psycopg.Error, OSError) as error:  # TimeoutError is an OSError
            await self._drop()
            if any(word in str(error) for word in _LOGIN_WORDS):
                raise self._denied(error) from error
            if self._closed:
                raise FeedUnavailable("The feed postgres is closed") from error
            why = f"no answer within {seconds:g} s" if isinstance(error, TimeoutError) else _first_line(error)
            raise FeedUnavailable(f"{self.place} does not answer", why, "It is tried again") from error
        except BaseException:
            await self._drop()  # a statement may be under way; waits for nothing
            raise

    def _denied(self, error: Exception) -> FeedDenied:
        return FeedDenied(
            f"{self.place} refuses us",
            _first_line(error),
            "Check user and password; agents need the role trimtab_agent",
        )

    def _not_migrated(self) -> NotMigrated:
        if self._schema > _SCHEMA:
            return NotMigrated(
                f"{self.place} is newer than this code",
                f"its schema is {self._schema}, this agent knows {_SCHEMA}",
                "Update trimtab",
            )
        return NotMigrated(
            f"{self.place} is not migrated", "it lacks the functions of an agent", "Run: trimtab migrate"
        )


async def _rows(connection: Connection, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(statement.encode(), parameters)
        return await cursor.fetchall()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
