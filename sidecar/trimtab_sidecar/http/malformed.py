"""What is no HTTP: aiohttp answers it with a bare 400 and closes; here it is counted, and the log is told at times."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError

from trimtab_sidecar import logs

PAUSE_SECONDS: Final = 10.0
"""Between two lines: whoever sends nonsense does not fill the log."""


class Malformed(logging.Handler):
    """Takes what aiohttp says of its connections. Nothing of what was sent is told: it may be anything."""

    def __init__(self, counted: Callable[[str, int], None]) -> None:
        """`counted` is told of every answer: the kind of request, and its status."""
        super().__init__()
        self._counted = counted
        self._untold = 0
        self._told_at = -PAUSE_SECONDS

    def emit(self, record: logging.LogRecord) -> None:
        """One line of aiohttp's."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            self._refused()
        elif record.levelno >= logging.ERROR:
            logs.LOGGER.error("connection_failed", said=record.getMessage(), exc_info=error)

    def _refused(self) -> None:
        self._counted("malformed", 400)
        self._untold += 1
        now = time.monotonic()
        if now - self._told_at >= PAUSE_SECONDS:
            logs.LOGGER.warning("malformed_requests", count=self._untold)
            self._untold, self._told_at = 0, now
