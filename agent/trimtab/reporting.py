"""Reporting: what an agent tells the fleet about itself, regularly and whenever it changes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from trimtab import clock
from trimtab.feeds.feed import Reporter
from trimtab.model.errors import UnavailableError
from trimtab.model.reports import REPORT_SECONDS, Report

_logger: Final = logging.getLogger("trimtab")
GAP_SECONDS: Final = 0.25
"""Reports to Redis follow each other no faster: twenty changes in this time make one report."""
SPREAD_SECONDS: Final = 0.05
"""A change is reported spread over this time: where many agents share a machine, none reports while others apply it."""
FALLBACK_GAP_SECONDS: Final = 1.0
"""The shortest gap through Postgres, which a thousand agents must not drown; the interval of its polls if longer."""
FALLBACK_SPREAD_POLLS: Final = 2
"""A change is reported to Postgres spread over so many of its poll intervals: no more often than regular reports."""
LABELS_SPREAD_SECONDS: Final = 1.0
"""Agents whose labels change at the same moment tell Postgres spread over this time."""
LABELS_AGAIN_SECONDS: Final = 12 * 3600.0
"""Postgres drops reports older than a day, so labels are told again although they are the same."""
_REDIS_SECONDS: Final = 2.0
_POSTGRES_SECONDS: Final = 20.0
"""The feed has deadlines of its own, and to give up a statement costs the connection that the polls need too."""
_GOODBYE_SECONDS: Final = 1.0


class Compose(Protocol):
    """Makes the report of this moment; None where there is nothing to tell yet."""

    def __call__(self, *, closed: bool) -> Report | None:
        """`closed`: it is the last one."""
        ...


class _Place:
    """One server that is told, one report after the other.

    A report that was begun is carried through even if whoever sent it is cancelled: otherwise it could arrive after the
    goodbye, which goes through another connection then, and nobody would know whether it was heard.
    """

    def __init__(self, reporter: Reporter, seconds: float) -> None:
        self._reporter, self._seconds = reporter, seconds
        self._turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[bool]] = set()
        self.may_know_us = False
        """Whether a report was ever sent there, heard or not."""

    async def tell(self, report: Report) -> bool:
        """Whether it took a report, after every one before it."""
        task = asyncio.get_running_loop().create_task(self._tell(report))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def give_up(self) -> None:
        """Let go of what is still under way."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, report: Report) -> bool:
        async with self._turn:
            self.may_know_us = True
            try:
                async with asyncio.timeout(self._seconds):
                    await self._reporter.report(report.encode())
            except (UnavailableError, TimeoutError) as error:
                _logger.debug("A report was not taken: %s", error)
                return False
            except Exception:  # a bug in a feed must not end the reports
                _logger.exception("A report could not be sent")
                return False
            return True


class Reporting:
    """Sends reports to Redis, or through Postgres while Redis does not take them.

    Labels are told to Postgres in any case, at the start and when they change: there the writer looks up whom a change
    reaches (DESIGN §4.2). What goes through Postgres instead of Redis is spread over the interval of its polls, which
    is set by how many agents it has to bear.
    """

    def __init__(
        self, postgres: Reporter, redis: Reporter | None, compose: Compose, poll_after: Callable[[], float]
    ) -> None:
        """`poll_after` tells the interval in seconds that Postgres asks for."""
        self._postgres = _Place(postgres, _POSTGRES_SECONDS)
        self._redis = None if redis is None else _Place(redis, _REDIS_SECONDS)
        self._compose = compose
        self._poll_after = poll_after
        self._falls_back = redis is None
        self._due = asyncio.Event()
        self._labels_due = asyncio.Event()
        self._labels: Mapping[str, str] | None = None
        self._labels_at = 0.0

    def due(self) -> None:
        """Something changed; on the loop's thread."""
        self._due.set()

    async def run(self) -> None:
        """Report for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_reports())
            group.create_task(self._run_labels())

    async def close(self) -> None:
        """Say goodbye, so that nobody waits for this agent; only if it ever said anything."""
        places = [place for place in (self._redis, self._postgres) if place is not None]
        report = self._compose(closed=True) if any(place.may_know_us for place in places) else None
        if report is not None:
            with suppress(TimeoutError):  # a goodbye that nobody hears makes us a straggler for a while, no more
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await asyncio.gather(*(place.tell(report) for place in places))
        for place in places:
            await place.give_up()

    async def _run_reports(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REPORT_SECONDS * _jitter()):
                    await self._due.wait()
                    await _spread(self._fallback_spread() if self._falls_back else SPREAD_SECONDS)
            except TimeoutError:
                pass  # nothing changed: the regular report
            self._due.clear()
            await asyncio.sleep(await self._report())

    async def _report(self) -> float:
        """Send one report; returns how long to keep quiet afterwards."""
        report = self._compose(closed=False)
        if report is None:
            return GAP_SECONDS
        if report.labels != self._labels or clock.now() - self._labels_at > LABELS_AGAIN_SECONDS:
            self._labels_due.set()
        if self._redis is not None and await self._redis.tell(report):
            self._falls_back = False
            return GAP_SECONDS
        if not self._falls_back:
            self._falls_back = True
            await _spread(self._fallback_spread())  # whoever Redis left comes to Postgres now
            report = self._compose(closed=False) or report
        await self._tell_postgres(report)
        return max(FALLBACK_GAP_SECONDS, self._poll_after()) * _jitter()

    def _fallback_spread(self) -> float:
        return min(REPORT_SECONDS, FALLBACK_SPREAD_POLLS * self._poll_after())

    async def _run_labels(self) -> None:
        """A task of its own: a Postgres that does not answer holds up no report to Redis."""
        while True:
            await self._labels_due.wait()
            await _spread(LABELS_SPREAD_SECONDS)
            report = self._compose(closed=False)
            if report is None or (self._labels_due.is_set() and not await self._tell_postgres(report)):
                await asyncio.sleep(REPORT_SECONDS * _jitter())

    async def _tell_postgres(self, report: Report) -> bool:
        taken = await self._postgres.tell(report)
        if taken:
            self._labels, self._labels_at = report.labels, clock.now()
            self._labels_due.clear()
        return taken


async def _spread(seconds: float) -> None:
    """Wait for some of this time, by chance."""
    await asyncio.sleep(seconds * random.random())  # noqa: S311 - jitter


def _jitter() -> float:
    return random.uniform(0.8, 1.0)  # noqa: S311 - jitter
