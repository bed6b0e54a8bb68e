"""Keeping: what the disk holds and must learn, and since when a revision has been served."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final

from trimtab.model import links
from trimtab.model.links import Position
from trimtab.replica.events import PersistChange, PersistSnapshot, PromoteProven, RaiseFloor

PROVEN_SECONDS: Final = 600.0
"""How long a revision must have been served before it counts as proven."""
PROMOTE_SECONDS: Final = 60.0
"""A newer proven revision is written down at most this often: each time is a whole file."""
COMPACT_BYTES: Final = 192 * 1024
"""A shorter journal is never compacted: some 300 messages of a single edit each."""
RESCUE_SECONDS: Final = 60.0
"""A disk that lost everything is given a snapshot at most this often: it may lose that too."""


class Keeping:
    """The floor, the journal and the proven revision of one process. It makes effects; the driver carries them out."""

    def __init__(self, random: Callable[[], float] = lambda: 0.0, *, keeps: bool = True) -> None:
        """`random` gives numbers in [0, 1): what one agent does after so many changes, all do. `keeps`: on a disk."""
        self.floor = links.START
        self._keeps = keeps
        self._share = 1 + random()
        self.lost = False
        self._no_rescue_before = -math.inf
        self._position = links.START
        self._journal_bytes = 0
        self._snapshot_bytes = 0
        self._served = links.START
        self._served_since: deque[tuple[Position, float]] = deque()
        self._proven = links.START
        self._promoted_at = -math.inf

    def recovered(self, position: Position) -> None:
        """The disk holds a state at this position already."""
        self._position = position

    def change(self, position: Position, message: bytes) -> PersistChange:
        """A verified message is appended to the journal."""
        self._journal_bytes += len(message)
        return PersistChange(position, message)

    def snapshot(self, position: Position, statement: bytes, body: bytes) -> PersistSnapshot:
        """A verified snapshot starts a new generation."""
        self._position, self._journal_bytes, self._snapshot_bytes = position, 0, len(body)
        self.lost = False
        return PersistSnapshot(position, statement, body, self._served)

    def is_helped_by(self, position: Position) -> bool:
        """Whether a snapshot at this position would shorten the journal, or is all that the disk has."""
        return self.lost or position > self._position

    def wants_compaction(self, now: float) -> bool:
        """Whether the journal has outgrown the snapshot (`COMPACT_BYTES`, and a quarter of it), or there is none.

        Never more than twice that, each agent at a size of its own.
        """
        if self.lost:
            return now >= self._no_rescue_before
        return self._keeps and self._journal_bytes > max(COMPACT_BYTES, self._snapshot_bytes // 4) * self._share

    def compaction_asked(self, now: float) -> None:
        """It is asked for once for each stretch of the journal."""
        self._journal_bytes = 0
        if self.lost:
            self._no_rescue_before = now + RESCUE_SECONDS

    def served(self, position: Position) -> RaiseFloor:
        """A position is served: the floor rises to it."""
        self._served = position
        self.floor = max(self.floor, position)
        return RaiseFloor(self.floor)

    def promote(self, served: Position, now: float) -> PromoteProven | None:
        """Note since when a revision is served, at most one a second; promote what has been served long enough."""
        last, noted_at = self._served_since[-1] if self._served_since else (links.START, -math.inf)
        if served != last and now - noted_at >= 1:
            self._served_since.append((served, now))
        proven = self._proven
        while self._served_since and now - self._served_since[0][1] >= PROVEN_SECONDS:
            proven = self._served_since[0][0]
            if len(self._served_since) == 1:
                break
            self._served_since.popleft()
        if proven <= self._proven or now - self._promoted_at < PROMOTE_SECONDS:
            return None
        self._proven, self._promoted_at = proven, now
        return PromoteProven(proven)
