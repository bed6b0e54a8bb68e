"""The fleet as its agents report it: through `:fleet` in Redis, and to Postgres while Redis is away.

Each server dates what it takes by its own clock. Clocks are never compared: what counts is how long ago a report came,
by the clock of the server that took it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import redis

from trimtab.model import reports
from trimtab.model.errors import UnavailableError, ValueRefused
from trimtab.model.reports import LIVE_SECONDS, STRAGGLER_SECONDS, Report
from trimtab_store.channel import Channel
from trimtab_store.deadlines import Deadline
from trimtab_store.kept import KeptConnection

TABLE_SECONDS: Final = 0.25
"""How old what we know from Postgres may be while Redis answers."""
_log = logging.getLogger("trimtab.fleet")


@dataclass(frozen=True, slots=True)
class Member:
    """An agent's newest report and how many seconds ago it came."""

    report: Report
    age: float

    @property
    def live(self) -> bool:
        """Whether the agent is at work as far as anyone knows."""
        return not self.report.closed and self.age <= LIVE_SECONDS

    @property
    def silent(self) -> bool:
        """Whether it stopped reporting without closing, not so long ago that it is given up."""
        return not self.report.closed and LIVE_SECONDS < self.age <= STRAGGLER_SECONDS


class Fleet:
    """Reads what agents reported. Either server may be missing or away; threads may not share it."""

    def __init__(self, channel: Channel | None, table: KeptConnection | None) -> None:
        self._channel, self._table = channel, table
        self._known: list[Member] = []
        self._known_for: tuple[str, ...] = ()
        self._known_at = float("-inf")

    @classmethod
    def connect(cls, database_url: str | None, redis_url: str | None) -> Fleet:
        """A fleet read through connections of its own, opened at first need."""
        channel = None if redis_url is None else Channel.connect(redis_url)
        return cls(channel, None if database_url is None else KeptConnection(database_url))

    def members(self, environments: Sequence[str], deadline: Deadline) -> list[Member]:
        """The newest report of every agent of these environments, closed and long silent ones too, by name.

        Raises `UnavailableError` only if no server could be asked.
        """
        errors: list[str] = []
        found: list[Member] = []
        try:
            found += self._in_redis(environments)
        except (redis.RedisError, OSError, UnavailableError) as error:
            errors.append(f"Redis: {error}")
        try:
            found += self._in_postgres(environments, deadline, fresh=bool(errors))
        except UnavailableError as error:
            errors.append(f"PostgreSQL: {error.why or error.what}")
            if len(errors) > 1:
                raise UnavailableError("The fleet cannot be asked", "; ".join(errors), "Start one of them") from error
        return _newest(found)

    def close(self) -> None:
        """Close the connections."""
        if self._channel is not None:
            self._channel.close()
        if self._table is not None:
            self._table.close()

    def _in_redis(self, environments: Sequence[str]) -> list[Member]:
        if self._channel is None:
            raise UnavailableError("Redis is not configured")
        fleets, now = self._channel.fleets(environments)
        return [
            Member(report, abs(now - report.at))  # who writes a date of the future must not be live for ever
            for environment, fleet in fleets.items()
            for agent, text in fleet.items()
            if (report := read(environment, agent, text)) is not None
        ]

    def _in_postgres(self, environments: Sequence[str], deadline: Deadline, *, fresh: bool) -> list[Member]:
        if self._table is None:
            raise UnavailableError("PostgreSQL is not configured")
        passed = time.monotonic() - self._known_at
        if not fresh and passed < TABLE_SECONDS and self._known_for == tuple(environments):
            return [replace(member, age=member.age + passed) for member in self._known]
        query = (
            "SELECT environment, agent, report::text, extract(epoch FROM clock_timestamp() - at)::float8"
            " FROM trimtab.agent_reports WHERE environment = ANY (%s)"
        )
        rows = self._table.rows(query, (list(environments),), deadline)
        self._known_at, self._known_for = time.monotonic(), tuple(environments)
        self._known = [
            Member(report, max(0.0, age))
            for environment, agent, text, age in rows
            if (report := read(environment, agent.encode(), text.encode())) is not None
        ]
        return self._known


def read(environment: str, agent: bytes, text: bytes) -> Report | None:
    """A report; None for what no agent of this name and environment wrote."""
    try:
        report = reports.decode(text)
    except ValueRefused as error:
        _log.debug("a report is refused", extra={"fields": {"environment": environment, "why": error.why}})
        return None
    return report if (report.environment, report.agent.encode()) == (environment, agent) else None


def _newest(members: Iterable[Member]) -> list[Member]:
    newest: dict[tuple[str, str], Member] = {}
    for member in members:
        key = (member.report.environment, member.report.agent)
        if key not in newest or member.age < newest[key].age:
            newest[key] = member
    return [newest[key] for key in sorted(newest)]
