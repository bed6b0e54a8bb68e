"""One kept connection to PostgreSQL for short reads that must end by a deadline."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg

from trimtab.model.errors import NotMigrated, UnavailableError
from trimtab_store.deadlines import BoundedConnection, Deadline, DeadlinePassed, connect

_NO_SCHEMA = (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)


class KeptConnection:
    """A connection that is opened at first need and again after it broke. Threads take turns."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._connection: BoundedConnection | None = None
        self._turn = threading.Lock()

    def rows(self, query: LiteralString, parameters: Sequence[Any], deadline: Deadline) -> list[Any]:
        """The rows of one reading statement.

        A connection that broke while it was idle is replaced once. Raises `UnavailableError` if there is no answer in
        time, `NotMigrated` if the schema is missing.
        """
        if not self._turn.acquire(timeout=deadline.remaining):
            raise DeadlinePassed("PostgreSQL was not asked", "the connection is busy", "It is tried again")
        try:
            kept = self._connection is not None
            try:
                return self._ask(query, parameters, deadline)
            except psycopg.OperationalError:
                if not kept:
                    raise
                return self._ask(query, parameters, deadline)
        except _NO_SCHEMA as error:
            raise NotMigrated("This database is not migrated", str(error).strip(), "Run: trimtab migrate") from error
        except psycopg.Error as error:
            raise UnavailableError("PostgreSQL cannot be read", str(error).strip(), "It is tried again") from error
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with self._turn:
            self._drop()

    def _ask(self, query: LiteralString, parameters: Sequence[Any], deadline: Deadline) -> list[Any]:
        deadline.check("PostgreSQL was not asked")
        try:
            if self._connection is None:
                self._connection = connect(self._database_url)
            self._connection.deadline = deadline
            return self._connection.execute(query, parameters).fetchall()
        except (psycopg.OperationalError, DeadlinePassed):
            self._drop()
            raise

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
