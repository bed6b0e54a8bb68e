"""The relay: a process that keeps Redis equal to Postgres, whoever dies.

Every second, and as soon as a lost server answers again, it compares what is published with what is committed for every
environment, and repairs. Any number of relays may run; none of them holds a key.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import redis
import tenacity

from trimtab.model.errors import NotMigrated, UnavailableError
from trimtab_store.channel import Channel
from trimtab_store.deadlines import Deadline
from trimtab_store.fleet import read
from trimtab_store.publish import Outcome, Published, Publisher
from trimtab_store.source import PostgresSource

INTERVAL_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 10.0
"""How long one round over all environments may take; a large snapshot that needs longer is tried again."""
PRUNE_SECONDS: Final = 600.0
FORGET_SECONDS: Final = 86_400.0
"""Reports older than this are removed."""
_log = logging.getLogger("trimtab.relay")


class Relay:
    """Carries what is committed to Redis until it is told to stop. Opens its connections at first need."""

    def __init__(
        self,
        database_url: str,
        redis_url: str,
        *,
        environments: Sequence[str] | None = None,
        interval: float = INTERVAL_SECONDS,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Without `environments` it serves all that there are, new ones included.

        `beat` is called at each turn of the loop, whether or not the servers answer.
        """
        self._source = PostgresSource(database_url)
        self._channel = Channel.connect(redis_url)
        self._publisher = Publisher(self._source, self._channel)
        self._chosen, self._interval, self._beat = environments, interval, beat
        self._alarms: dict[str, str] = {}
        self._prune_at = time.monotonic() + random.uniform(0, PRUNE_SECONDS)  # noqa: S311 - jitter, no secret

    @property
    def alarms(self) -> Mapping[str, str]:
        """The environments whose published head Postgres does not hold, and what is wrong. A person decides."""
        return dict(self._alarms)

    def run(self, stop: threading.Event) -> None:
        """Look every `interval` seconds until `stop` is set; raises `NotMigrated` or `DeniedError` if it never can."""
        _log.info("relay started")
        try:
            while not stop.is_set():
                self._look_until_done(stop)
                stop.wait(self._interval * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
        finally:
            self.close()
            _log.info("relay stopped")

    def look(self) -> tuple[Published, ...]:
        """One round: compare and repair every environment. Raises `UnavailableError` if a server is away."""
        deadline = Deadline.after(LOOK_SECONDS)
        environments = self._source.environments(deadline) if self._chosen is None else self._chosen
        published = self._publisher.publish(environments, deadline.remaining)
        for one in published:
            self._tell(one)
        for one in published:
            if one.outcome is Outcome.UNFINISHED:
                raise UnavailableError(f"{one.environment} could not be settled", one.detail, "It is tried again")
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_SECONDS
            self.prune(environments)
        return published

    def prune(self, environments: Sequence[str]) -> int:
        """Remove reports that are older than a day or that no agent wrote; how many went."""
        try:
            fleets, now = self._channel.fleets(environments)
            gone = 0
            for environment, fleet in fleets.items():
                old = {
                    agent: text
                    for agent, text in fleet.items()
                    if (report := read(environment, agent, text)) is None or abs(now - report.at) > FORGET_SECONDS
                }
                gone += self._channel.prune(environment, old)
        except redis.RedisError as error:
            raise UnavailableError("Reports could not be pruned", str(error), "It is tried again") from error
        return gone

    def close(self) -> None:
        """Close the connections; `run` does it at its end."""
        self._publisher.close()

    def _look_until_done(self, stop: threading.Event) -> None:
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_passes),
            wait=tenacity.wait_random_exponential(multiplier=0.05, max=1.0),
            stop=tenacity.stop_when_event_set(stop),
            sleep=tenacity.sleep_using_event(stop),
            before_sleep=_tell_outage,
        )
        try:
            attempts(self._turn)
        except tenacity.RetryError:
            return  # told to stop while a server is away
        if attempts.statistics.get("attempt_number", 1) > 1:
            _log.info("servers answer again")

    def _turn(self) -> None:
        self._beat()
        self.look()

    def _tell(self, one: Published) -> None:
        fields: dict[str, Any] = {"environment": one.environment, "position": str(one.position), "detail": one.detail}
        if one.outcome is Outcome.FORK:
            if self._alarms.get(one.environment) != one.detail:
                _log.error("FORK: nothing is written", extra={"fields": fields})
            self._alarms[one.environment] = one.detail
        elif one.outcome is Outcome.PUBLISHED and self._alarms.pop(one.environment, None) is not None:
            _log.warning("FORK is over", extra={"fields": fields})
        if one.repaired:
            fields |= {"appended": one.appended, "started": one.started, "renewed": one.renewed}
            _log.info("repaired", extra={"fields": fields})


def _passes(error: BaseException) -> bool:
    """Whether waiting helps; a database without our schema, or without rights for us, needs a person."""
    return isinstance(error, UnavailableError) and not isinstance(error, NotMigrated)


def _tell_outage(state: tenacity.RetryCallState) -> None:
    if state.attempt_number == 1 and state.outcome is not None:
        _log.warning("a server is away", extra={"fields": {"why": str(state.outcome.exception())}})
