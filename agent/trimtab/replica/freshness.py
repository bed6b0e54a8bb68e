"""Freshness: when the served state was last proven to be the newest.

Only a primary's answer certifies, and it is dated before asking. An answer names a head; it counts once our verified
line holds that very link. A replica's answer, a message that arrived, and a live connection prove nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trimtab.model.links import START, Position
from trimtab.model.reports import Status
from trimtab.replica.line import Line

CERTIFIED_POLLS = 3
"""A certificate is fresh for this many poll intervals."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A primary's answer: at `asked_at` (our clock) its head of our line was `position` with `hash`."""

    position: Position
    hash: bytes
    store_revision: int
    asked_at: float


class Freshness:
    """Certificates, open and redeemed, and what contradicts them."""

    def __init__(self) -> None:
        self.certified_at = -math.inf
        self.proven = START
        self.poll_after = 0.5
        self.subscribed = False
        self.ahead = ""
        self.forked = ""
        self._open: Certificate | None = None
        self._certified = START

    def answered(self, certificate: Certificate, line: Line, seen: Position, served: Position) -> None:
        """Take a primary's answer, and compare it with what we had `seen` of the line when we asked.

        What came since may rightly be newer than the answer.
        """
        if certificate.position < seen:
            self.ahead = f"the store is at {certificate.position}, behind {seen}, which it gave before"
            self._contradicted(served)
        else:
            self.ahead = ""
        if line.knows_past(certificate.position) and line.hash_at(certificate.position) != certificate.hash:
            self.fork(f"the store's revision {certificate.position} is not the one that we followed", served)
        if self._open is None or certificate.asked_at >= self._open.asked_at:
            self._open = certificate

    def redeem(self, line: Line, served: Position) -> None:
        """Certify if the line has reached, and holds, the link that the open certificate names.

        What is certified is the served view: while it stays behind the line, nothing is.
        """
        certificate = self._open
        if certificate is None or line.position < certificate.position:
            return
        holds = line.hash_at(certificate.position) == certificate.hash
        if not holds and line.knows_past(certificate.position):
            self.fork(f"the store's revision {certificate.position} is not the one that we came to follow", served)
        if holds and served == line.position and not self.ahead and not self.forked:
            self.certified_at = max(self.certified_at, certificate.asked_at)
            self._certified = max(self._certified, certificate.position)
            proven = Position(certificate.position.epoch, certificate.store_revision)
            self.proven = max(self.proven, proven)
        self._open = None

    def fork(self, reason: str, served: Position) -> None:
        """Our line and the store's are two: keep serving, and wait for an epoch."""
        self.forked = reason
        self._contradicted(served)

    def _contradicted(self, served: Position) -> None:
        """What is served beyond the last certificate may never have been the newest: nothing is known of its age."""
        if served > self._certified:
            self.certified_at = -math.inf

    def new_epoch(self, epoch: int) -> None:
        """A new epoch ends every contradiction, and an answer about the old one says nothing about it.

        An answer that named the new epoch stays: at a start it is often there before the first state.
        """
        self.forked = self.ahead = ""
        if self._open is not None and self._open.position.epoch < epoch:
            self._open = None

    @property
    def awaited(self) -> Position:
        """The position that the open certificate waits for; (0, 0) without one."""
        return START if self._open is None else self._open.position

    def staleness(self, now: float) -> float:
        """Seconds since the served state was last proven the newest; infinite if it never was in this process."""
        return max(0.0, now - self.certified_at)

    def status(self, now: float) -> Status:
        """How far freshness can be trusted (DESIGN §6)."""
        if self.forked:
            return Status.FORKED
        if self.ahead:
            return Status.AHEAD
        if self.staleness(now) <= CERTIFIED_POLLS * self.poll_after:
            return Status.LIVE if self.subscribed else Status.DEGRADED
        was_certified = self.certified_at > -math.inf or self._certified > START
        return Status.STALE if was_certified else Status.OFFLINE
