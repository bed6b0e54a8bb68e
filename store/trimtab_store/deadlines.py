"""Deadlines that hold even when a server is frozen: nothing here waits longer than it was told."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import PQGen

from trimtab.model.errors import UnavailableError

RV = TypeVar("RV")
CONNECT_SECONDS = 2  # libpq takes no less


class DeadlinePassed(UnavailableError):
    """The time that the caller gave is over."""

    code = "deadline"


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock."""

    ends: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment that many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds until then, never negative."""
        return max(0.0, self.ends - time.monotonic())

    def check(self, what: str) -> None:
        """Raise `DeadlinePassed` if it is over: no operation starts after it."""
        if time.monotonic() >= self.ends:
            raise DeadlinePassed(what, "the time for it is over", "It is tried again")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection whose every wait for the server ends at `deadline`, also when the server is frozen.

    After `DeadlinePassed` the connection is closed, for an answer may still be on its way.
    """

    deadline: Deadline | None = None

    def wait(self, gen: PQGen[RV], *arguments: Any, **named: Any) -> RV:
        """Drive psycopg's generator as the base class does, but not beyond the deadline."""
        if self.deadline is None:
            return super().wait(gen, *arguments, **named)
        try:
            return super().wait(_until(gen, self.deadline), *arguments, **named)
        except DeadlinePassed:
            self.pgconn.finish()
            raise


def connect(database_url: str) -> BoundedConnection:
    """An autocommit connection without prepared statements, so that a transaction-mode pooler works."""
    return BoundedConnection.connect(
        libpq_url(database_url), autocommit=True, prepare_threshold=None, connect_timeout=CONNECT_SECONDS
    )


def libpq_url(database_url: str) -> str:
    """The address as libpq reads it: without the name of SQLAlchemy's driver."""
    return database_url.replace("postgresql+psycopg://", "postgresql://", 1)


def _until(gen: PQGen[RV], deadline: Deadline) -> Generator[Any, Any, RV]:
    wanted: Any = None
    ready: Any = None
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready == waiting.Ready.NONE:  # psycopg looks up every 0.1 s
                deadline.check("PostgreSQL gives no answer")
            wanted = gen.send(ready)
    except StopIteration as stop:
        result: RV = stop.value
        return result
