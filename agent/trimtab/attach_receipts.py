"""Receipts: an attached bot tells its sidecar which revision it has taken, so that a wait in the fleet is for it too.

One datagram when something was taken, never on a read that finds nothing new, and again now and then, for a datagram
can be lost and a sidecar can begin again. It never blocks, and nothing depends on it. A reader that is closed,
collected, or still there when its process ends in order, says so; in a forked child that is about the child alone, for
the kernel tells the sidecar who sends.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping

from trimtab.model.positions import START, Position
from trimtab.model.receipts import SOCKET, Receipt
from trimtab.model.reports import REPORT_SECONDS


class Receipts:
    """Sends the receipts of one reader, from whatever process it is used in."""

    def __init__(self, directory: str, identity: Mapping[str, str]) -> None:
        """Sends nothing yet."""
        self._address = os.path.join(directory, SOCKET)  # noqa: PTH118 - of text
        self._identity = dict(identity)
        self._name = self._identity.get("bot", "bot")
        self._position = START
        self._due = 0.0

    def taken(self, position: Position) -> None:
        """A position is served from now on."""
        self._position = position
        self._send()

    def again(self) -> None:
        """Tell it once more, if the last time was a while ago, or in vain."""
        if self._position > START and time.monotonic() >= self._due:
            self._send()

    def closed(self) -> None:
        """Nothing is read here any more."""
        if self._position > START:
            self._send(closed=True)
            self._position = START

    def speaks_like(self, other: Receipts) -> bool:
        """Whether a sidecar cannot tell these two apart, and is still told of this one."""
        return self._position > START and (self._address, self._identity) == (other._address, other._identity)

    def leave(self, others: Iterable[Receipts]) -> None:
        """Nothing is read for this one any more; the sidecar is told unless one of the others speaks like it."""
        if any(one is not self and one.speaks_like(self) for one in others):
            self._position = START
        else:
            self.closed()

    def _send(self, *, closed: bool = False) -> None:
        receipt = Receipt(
            name=self._name, pid=os.getpid(), labels=self._identity, position=self._position, closed=closed
        )
        self._due = 0.0
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sending:
                sending.sendto(receipt.encode(), self._address)
        except OSError:
            return  # nobody listens, or has no room: `again` says it later
        self._due = time.monotonic() + REPORT_SECONDS
