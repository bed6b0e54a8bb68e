"""How long a statement may take: longer where the server has shown that it needs longer.

A deadline that stays what it was turns a slow server into a dead one: the connection is dropped, to dial anew costs the
server more than the answer would have, and a fleet that does it together never lets it catch up. As the timer of a TCP
retransmission does (RFC 6298), this one doubles when it ran out, and goes by what the last answer took.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

_LONGEST: Final = 4
"""Times the shortest: past that a server is as good as dead, and another host of the URL may not be."""


class Patience:
    """Seconds for the next statement: twice what the last answer took, from `shortest` to four times that."""

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self.seconds = shortest

    @contextmanager
    def learns(self) -> Generator[None]:
        """Around a statement, inside of its deadline: learns from how long it took, or that it was given up."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        try:
            yield
        finally:  # whatever ended it
            self.took(loop.time() - asked_at)

    def took(self, seconds: float) -> None:
        """A statement was answered, or given up, after this long."""
        self.seconds = min(max(self._shortest, 2 * seconds), _LONGEST * self._shortest)
