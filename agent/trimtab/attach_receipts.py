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

from trimtab.model import receipts
from trimtab.model.positions import START, Position
from trimtab.model.reports import REPORT_SECONDS


class Receipts:
    """Sends the receipts of one reader, from whatever process it is used in."""

    def __init__(self, directory: str, identity: Mapping[str, str]) -> None:
        """Sends nothing yet."""
        self._address = os.path.join(directory, receipts.SOCKET)  # noqa: PTH118 - of text
        self._identity = dict(identity)
        self._name = self._identity.get("bot", "bot")
        self._position = START
        self._due = 0.0
        self._begun = (0, b"")  # a process, and what its datagrams begin with
        self._sending: socket.socket | None = None  # a forked child may share it: each datagram tells who sends

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
        if self._sending is not None:
            self._sending.close()
            self._sending = None

    def speaks_like(self, other: Receipts) -> bool:
        """Whether a sidecar cannot tell these two apart, and is still told of this one."""
        return self._position > START and (self._address, self._identity) == (other._address, other._identity)

    def leave(self, others: Iterable[Receipts]) -> None:
        """Nothing is read for this one any more; the sidecar is told unless one of the others speaks like it."""
        if any(one is not self and one.speaks_like(self) for one in others):
            self._position = START
        self.closed()

    def _send(self, *, closed: bool = False) -> None:
        if self._begun[0] != (pid := os.getpid()):
            self._begun = pid, receipts.begin(self._name, pid, self._identity)
        datagram = receipts.finish(self._begun[1], self._position, closed=closed)
        self._due = 0.0
        try:
            sending = self._sending
            if sending is None:
                self._sending = sending = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sending.sendto(datagram, self._address)
        except OSError:
            return  # nobody listens, or has no room: `again` says it later
        self._due = time.monotonic() + REPORT_SECONDS
