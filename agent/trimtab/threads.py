"""Threads: a follower's life on one daemon thread, and what a fork leaves of it."""

from __future__ import annotations

import asyncio
import logging
import selectors
import threading
from typing import Final

from trimtab.feeds import descriptors
from trimtab.follower import Follower
from trimtab.standing import Seed

_logger: Final = logging.getLogger("trimtab")


class Life:
    """Runs a follower on a thread of its own from now on."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        # the plain loop, whatever policy the bot has chosen for loops of its own
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._thread = threading.Thread(target=self._run, name="trimtab-follower", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Ask the follower to end, and wait so long for it; may be called from its own callbacks."""
        self._follower.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    def abandon(self) -> Seed:
        """In a forked child, where the thread is gone: close what was inherited, say nothing on any connection.

        Each descriptor is replaced by one of /dev/null, so that its number is not given to a connection of our own
        while some inherited object still believes that it is his.
        """
        descriptors.keep(self)
        seed = self._follower.seed()
        sources = self._follower.sources
        if sources.disk is not None:
            sources.disk.abandon()
        for feed in (sources.postgres, sources.redis):
            if feed is not None:
                feed.abandon()
        numbers = {key.fd for key in list(self._selector.get_map().values())}
        numbers.add(self._selector.fileno())
        writing_end = getattr(self._loop, "_csock", None)  # the loop's own pipe; asyncio has no name for it
        if writing_end is not None:
            numbers.add(writing_end.fileno())
        for number in numbers:
            descriptors.silence(number)
        return seed

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._follower.run())
        except BaseException:  # the end of a thread is the last place where it can be told
            _logger.exception("The follower ended unexpectedly")
