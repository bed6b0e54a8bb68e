"""The unattended run: ten changes a second, Redis killed once in the middle, and an honest account afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from trimtab.model.reports import Status
from trimtab_store.store import Store
from trimtab_store.up.cluster import Cluster
from trimtab_store.up.dropping import CHANGES
from trimtab_store.up.figures import Acknowledged
from trimtab_store.up.fleet import ENVIRONMENT, SHOWN, Bot, Fleet
from trimtab_store.up.watched import Watched
from trimtab_store.writer import Publisher

RATE: Final = 10
"""Changes a second."""
DEAD_FROM, DEAD_UNTIL = 0.4, 0.6
"""Redis is dead between these shares of the run."""
SETTLE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.02
_LEVERAGES: Final = 400

Tell = Callable[[str], None]


class Clocked:
    """A publisher that notes when it is called: the instant after Postgres acknowledged COMMIT, before publishing."""

    def __init__(self, inner: Publisher) -> None:
        self._inner = inner
        self.called_at = 0.0

    def publish(self, environments: Iterable[str], deadline: float, messages: Sequence[bytes] = ()) -> object:
        """Note the time, then publish."""
        self.called_at = time.monotonic()
        return self._inner.publish(environments, deadline, messages)


@dataclass
class Outage:
    """When agents were without Redis, in seconds of CLOCK_MONOTONIC.

    It begins with the server's death. It ends when a server answers again and every bot follows it: until then changes
    reach a bot through Postgres.
    """

    begins: float = float("inf")
    answers: float = float("inf")
    ends: float = float("inf")

    def covers(self, at: float) -> bool:
        """Whether a commit fell into it."""
        return self.begins <= at < self.ends

    def look(self, bots: Sequence[Bot]) -> None:
        """End it if every bot said that it follows Redis again."""
        now = time.monotonic()
        if self.answers < now < self.ends and all(bot.said.get("status") == Status.LIVE.value for bot in bots):
            self.ends = now


@dataclass
class Run:
    """What was done."""

    commits: list[Acknowledged] = field(default_factory=list[Acknowledged])
    outage: Outage = field(default_factory=Outage)
    relay_restarts: int = 0

    @property
    def revision(self) -> int:
        """The last revision that was committed."""
        return self.commits[-1].revision if self.commits else 0


def drive(
    store: Store, clock: Clocked, cluster: Cluster, relay: Watched, fleet: Fleet, seconds: float, tell: Tell
) -> Run:
    """Commit changes at `RATE` for `seconds`; kill Redis in the middle and start it again. Blocks until done.

    A relay that ended by itself is started again: changes go on without one, only what Redis lost waits for it. Raises
    UnavailableError if the sidecar or a bot ended by itself: an account of such a run would be none.
    """
    run, name, total = Run(), f"{time.time_ns():x}", max(1, int(seconds * RATE))
    begins = time.monotonic()
    for number in range(total):
        _sleep_until(begins + number / RATE)
        _trouble(cluster, run.outage, number / total, tell)
        run.outage.look(fleet.bots)
        fleet.check()
        relay.tend(tell)
        with store.edit(ENVIRONMENT, author="demo", reason=f"change {number} of the demonstration") as edit:
            edit.set(f"{CHANGES}.{number}", f"run {name}, change {number}")
            edit.set(SHOWN, 1 + number % _LEVERAGES / 1000, layer={"bot": "mm-btc"})
        run.commits.append(Acknowledged(edit.committed.revision, clock.called_at))
        if (number + 1) % (RATE * 5) == 0:
            tell(f"{number + 1} changes committed, revision {edit.committed.revision}")
    return run


def wait_live(fleet: Fleet, relay: Watched, tell: Tell) -> None:
    """Wait until every bot said that what it reads is fresh and comes through Redis; see `wait_settled`."""
    _wait(fleet, relay, lambda bot: bot.revision >= 0 and bot.said.get("status") == Status.LIVE.value, "LIVE", tell)


def wait_settled(fleet: Fleet, relay: Watched, revision: int, tell: Tell) -> None:
    """Wait until every bot said that it serves a revision, for a while; who never did is told, and judged as he is.

    Raises UnavailableError if the sidecar or a bot ended by itself.
    """
    _wait(fleet, relay, lambda bot: bot.revision >= revision, f"at revision {revision}", tell)


def _wait(fleet: Fleet, relay: Watched, holds: Callable[[Bot], bool], what: str, tell: Tell) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while behind := [bot for bot in fleet.bots if not holds(bot)]:
        fleet.check()
        relay.tend(tell)
        if time.monotonic() > deadline:
            names = ", ".join(f"{bot.name} is {bot.said.get('status')} at {bot.revision}" for bot in behind)
            tell(f"Not every bot was {what} within {SETTLE_SECONDS:g} s: {names}")
            return
        time.sleep(_PAUSE_SECONDS)


def _trouble(cluster: Cluster, outage: Outage, share: float, tell: Tell) -> None:
    """Kill Redis and start it again when it is time. In the main thread, so that the new server dies with us too."""
    if share >= DEAD_UNTIL:
        if not cluster.redis.running:
            cluster.redis.start()
            outage.answers = time.monotonic()
            tell("Redis started again, empty: it is rebuilt from Postgres")
    elif share >= DEAD_FROM and cluster.redis.running:
        outage.begins = time.monotonic()
        cluster.redis.kill()
        tell("Redis killed: the bots go on from Postgres")


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
