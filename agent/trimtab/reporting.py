"""Reporting: what an agent tells the fleet about itself, regularly and whenever it changes."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from typing import Final, Protocol

from trimtab.feeds.feed import Reporter
from trimtab.model.errors import UnavailableError
from trimtab.model.reports import REPORT_SECONDS, Report

_logger: Final = logging.getLogger("trimtab")
GAP_SECONDS: Final = 0.25
"""Reports to Redis follow each other no faster: twenty changes in this time make one report."""
FALLBACK_GAP_SECONDS: Final = 1.0
"""The same through Postgres, which a thousand agents must not drown."""
_DEADLINE_SECONDS: Final = 2.0
_GOODBYE_SECONDS: Final = 1.0


class Compose(Protocol):
    """Makes the report of this moment; None where there is nothing to tell yet."""

    def __call__(self, *, closed: bool) -> Report | None:
        """`closed`: it is the last one."""
        ...


class Reporting:
    """Sends reports to Redis, or through Postgres while Redis does not take them."""

    def __init__(self, postgres: Reporter, redis: Reporter | None, compose: Compose) -> None:
        self._postgres = postgres
        self._redis = redis
        self._compose = compose
        self._due = asyncio.Event()
        self._told = False

    def due(self) -> None:
        """Something changed; on the loop's thread."""
        self._due.set()

    async def run(self) -> None:
        """Report for ever."""
        while True:
            try:
                async with asyncio.timeout(REPORT_SECONDS * random.uniform(0.8, 1.0)):  # noqa: S311 - jitter
                    await self._due.wait()
            except TimeoutError:
                pass  # nothing changed: the regular report
            self._due.clear()
            await asyncio.sleep(await self._report(closed=False))

    async def close(self) -> None:
        """Say goodbye, so that nobody waits for this agent; only if it ever said anything."""
        if self._told:
            with suppress(TimeoutError):  # a goodbye that nobody hears makes us a straggler for a while, no more
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._report(closed=True)

    async def _report(self, *, closed: bool) -> float:
        """Send one report; returns how long to keep quiet afterwards."""
        report = self._compose(closed=closed)
        if report is None:
            return GAP_SECONDS
        text = report.encode()
        if self._redis is not None and await self._send(self._redis, text):
            return GAP_SECONDS
        await self._send(self._postgres, text)
        return FALLBACK_GAP_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - jitter

    async def _send(self, reporter: Reporter, text: bytes) -> bool:
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await reporter.report(text)
        except (UnavailableError, TimeoutError) as error:
            _logger.debug("A report was not taken: %s", error)
            return False
        except Exception:  # a bug in a feed must not end the reports
            _logger.exception("A report could not be sent")
            return False
        self._told = True
        return True
