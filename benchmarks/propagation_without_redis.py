"""The same as `propagation` while Redis is down: agents find a change at their next question to Postgres.

Beside them as many bare pollers, each with a thread and a connection of its own, that select the one value as often. A
thousand of either reach Postgres through a pooler in transaction mode, as deployments of that size do, in a process of
its own.
"""

from __future__ import annotations

import resource
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from benchmarks import fixtures, propagation, servers
from benchmarks.children import Child, asked_as_child, tell, told
from benchmarks.propagation import Fleet, Side
from benchmarks.readers import ENVIRONMENT
from benchmarks.report import Row, Section, percentile, summarise, to_json
from tests.support.pooler import Pooler

CONNECTIONS = 20
POLLERS, AGENTS = Side("nobody", "pollers"), Side("nobody", "agents")
TITLE = "From COMMIT acknowledged to the first read, Redis down"
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


def pooler(url: str, size: int) -> None:
    """The process of the pooler; it ends when its parent does. It needs a descriptor for each client."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with Pooler(url, size, forgets=False) as made:  # as PgBouncer: DISCARD ALL would cost more than our statements
        tell(made.url)
        told()


@dataclass(frozen=True, slots=True)
class Deployment:
    """A fleet, how often it is told to ask, and what it has to reach, in seconds."""

    fleet: Fleet
    poll_ms: int
    limit: float
    pooled: bool = False

    def rows(self, stand: servers.Stand) -> list[Row]:
        """The bare pollers, then ours."""
        stand.set_poll(self.poll_ms)
        who = f"of {self.fleet.readers:,} in {self.fleet.processes} processes"
        first = self.fleet.readers * 1_000_000 + self.poll_ms * 1_000
        bare, note = self.measure(stand, POLLERS, first)
        made = [summarise(f"bare pollers of one SELECT, {who}", "s", bare, note=note)]
        ours, note = self.measure(stand, AGENTS, first + self.fleet.changes)
        judged = percentile(ours, 0.99)
        made.append(summarise(f"agents, {who}", "s", ours, judged=judged, limit=self.limit, note=f"p99; {note}"))
        return made

    def measure(self, stand: servers.Stand, side: Side, first: int) -> tuple[list[float], str]:
        """Seconds from COMMIT to the first read, and how it was set up."""
        place: dict[str, Any] = {**stand.to_json(), "poll_ms": self.poll_ms}
        sessions: list[int] = []
        with ExitStack() as closing:
            if self.pooled:
                between = Child("propagation_without_redis", place["database_url"], CONNECTIONS)
                place["database_url"] = closing.enter_context(between).told()
            taken = propagation.measure(side, place, self.fleet, first, lambda: sessions.append(count_sessions(stand)))
        if self.pooled and sessions[0] > CONNECTIONS:
            raise RuntimeError(f"there were {sessions[0]} sessions in Postgres")
        return [each / 1000 for each in taken], (
            f"asking every {self.poll_ms / 1000:g} s, {self.fleet.rate:g} changes/s, {sessions[0]} Postgres sessions"
        )


HUNDRED = Deployment(Fleet(100, 10, 400, settle=6.0), 500, 1.0)
THOUSAND = Deployment(Fleet(1000, 20, 12, rate=0.1, settle=15.0), 2000, 5.0, pooled=True)
QUICK_HUNDRED = replace(HUNDRED, fleet=Fleet(100, 10, 60, settle=6.0))
QUICK_THOUSAND = replace(THOUSAND, fleet=Fleet(100, 2, 8, rate=2.0, settle=6.0))


def count_sessions(stand: servers.Stand) -> int:
    """How many sessions Postgres serves now."""
    with psycopg.connect(stand.database_url) as connection:
        [(count,)] = connection.execute(_SESSIONS).fetchall()
    return int(count)


def main() -> int:
    arguments = asked_as_child()
    if arguments is not None:
        pooler(*arguments)
        return 0
    hundred, thousand = (QUICK_HUNDRED, QUICK_THOUSAND) if fixtures.quick() else (HUNDRED, THOUSAND)
    pooled = (
        f"{thousand.fleet.readers:,} readers on {CONNECTIONS} Postgres connections, by a pooler in transaction mode"
    )
    with servers.stand(redis=False) as stand:
        with stand.store() as store:
            stand.fill(store, ENVIRONMENT, propagation.ITEMS, {"bench": {"value": 0}})
        sections = [Section(TITLE, hundred.rows(stand)), Section(f"{TITLE}, {pooled}", thousand.rows(stand))]
    sys.stdout.write(to_json(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
