"""The disk of one agent: generations, floor, unclean ends. A crash takes what was not yet synced."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from trimtab.model.links import START, Position, read
from trimtab.model.snapshots import Snapshot
from trimtab.model.statements import Trust
from trimtab.replica.events import FloorRead, Recovered
from trimtab.replica.line import Line, Verdict

Name: TypeAlias = Literal["applied", "proven", "previous"]
SYNC_SECONDS: Final = 1.0
UNCLEAN_SECONDS: Final = 300.0
UNCLEAN_ENDS: Final = 3


@dataclass
class Generation:
    """A signed snapshot and a journal of signed changes after it."""

    position: Position
    statement: bytes
    body: bytes
    journal: list[tuple[Position, bytes]] = field(default_factory=list[tuple[Position, bytes]])

    @property
    def newest(self) -> Position:
        """Where the journal ends."""
        return self.journal[-1][0] if self.journal else self.position

    def upto(self, position: Position) -> Generation:
        """The same, cut after a position."""
        journal = [entry for entry in self.journal if entry[0] <= position]
        return Generation(self.position, self.statement, self.body, journal)

    def holds(self, position: Position) -> bool:
        """Whether exactly this position can be restored."""
        return position == self.position or any(at == position for at, _ in self.journal)


class Disk:
    """What lies in the agent's directory. Journal and floor reach it at the next sync, then unclean ends leave it."""

    def __init__(self, environment: str, trust: Trust) -> None:
        self._environment, self._trust = environment, trust
        self.generations: dict[Name, Generation] = {}
        self.floor = START
        self.pending_journal: list[tuple[Position, bytes]] = []
        self.pending_floor = START
        self.unclean: list[float] = []
        self.running = False
        self.forgets = False
        self.booted: Name | None = None
        self._remembered: list[tuple[Position, bytes]] = []

    # -- while the agent runs ------------------------------------------------------------------------------------------

    def append(self, position: Position, message: bytes) -> bool:
        """Journal a message; False if there is nothing that it follows."""
        self._remembered.append((position, message))
        if self._end is None or not follows(message, self._end):
            return False
        self.pending_journal.append((position, message))
        return True

    def begin(self, position: Position, statement: bytes, body: bytes) -> None:
        """A new generation; the one before it is kept, and so are the messages after the new snapshot."""
        self.sync()
        old = self.generations.get("applied")
        if old is not None:
            self.generations["previous"] = old
        self.generations["applied"] = Generation(position, statement, body)
        self._remembered = [entry for entry in self._remembered if entry[0] > position]
        for at, message in self._remembered:
            if self._end is not None and follows(message, self._end):
                self.pending_journal.append((at, message))

    @property
    def _end(self) -> Position | None:
        """What a message must follow to be of use."""
        if self.pending_journal:
            return self.pending_journal[-1][0]
        applied = self.generations.get("applied")
        return None if applied is None else applied.newest

    def lose(self) -> None:
        """The directory is emptied, or writing failed: there is nothing to append to."""
        self.generations.pop("applied", None)
        self.pending_journal = []

    def raise_floor(self, position: Position) -> None:
        self.pending_floor = max(self.pending_floor, position)

    def promote(self, position: Position) -> bool:
        """Keep what was served long enough; False if it cannot be restored any more."""
        self.sync()
        for name in ("applied", "previous"):
            generation = self.generations.get(name)
            if generation is not None and generation.holds(position):
                self.generations["proven"] = generation.upto(position)
                return True
        return False

    def sync(self) -> None:
        applied = self.generations.get("applied")
        if applied is not None:
            applied.journal += self.pending_journal
            if self.forgets:
                self.unclean, self.forgets = [], False
        self.pending_journal = []
        self.floor = max(self.floor, self.pending_floor)

    # -- ends and beginnings -------------------------------------------------------------------------------------------

    def crash(self, survivors: int, *, floor_survives: bool) -> None:
        """An end without a clean-stop record: of the unsynced journal only the first entries remain."""
        applied = self.generations.get("applied")
        if applied is not None:
            applied.journal += self.pending_journal[:survivors]
        self.pending_journal = []
        if floor_survives:
            self.floor = max(self.floor, self.pending_floor)
        self.pending_floor = self.floor

    def close(self) -> None:
        """A clean end: it makes no other end undone."""
        self.sync()
        self.running = False

    def rot(self, name: Name) -> bool:
        """A bit of a generation flips."""
        generation = self.generations.get(name)
        if generation is None:
            return False
        middle = len(generation.body) // 2
        body = generation.body
        generation.body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        return True

    def has_older(self, *names: Name) -> bool:
        """Whether another generation is left besides these; a compaction some time ago may have left one behind."""
        applied = self.generations.get("applied")
        if applied is not None and "previous" not in names:
            self.generations.setdefault("previous", applied.upto(applied.position))
        return bool(set(self.generations) - set(names))

    def boot(self, now: float) -> list[FloorRead | Recovered]:
        """What the disk tells a new process: the floor, and the newest generation that verifies."""
        if self.running:
            self.unclean.append(now)
        self.running, self.forgets = True, False
        self.pending_floor = self.floor
        self._remembered = []
        events: list[FloorRead | Recovered] = []
        if self.floor > START:
            events.append(FloorRead(position=self.floor))
        names: tuple[Name, ...] = ("applied", "previous", "proven")
        restored: list[tuple[Name, Snapshot]] = [
            (name, snapshot) for name in names if (snapshot := self._restore(name)) is not None
        ]
        self.booted = None
        if restored:
            name, snapshot = max(restored, key=lambda found: found[1].position)
            if name != "applied":
                self.generations["applied"] = self.generations[name].upto(snapshot.position)
            self.booted = name
            proven = dict(restored).get("proven")
            recent = [at for at in self.unclean if now - at <= UNCLEAN_SECONDS]
            quarantined = len(recent) >= UNCLEAN_ENDS
            events.append(Recovered(snapshot=snapshot, generation=name, proven=proven, quarantined=quarantined))
        return events

    def _restore(self, name: Name) -> Snapshot | None:
        """Read a generation back as far as it verifies; a journal is cut at its first bad entry."""
        generation = self.generations.get(name)
        if generation is None:
            return None
        line = Line(self._environment, self._trust)
        for _ in line.offer_snapshot(generation.statement, generation.body):
            pass
        if line.snapshot is None:
            return None
        for place, (_, message) in enumerate(generation.journal):
            if line.offer(message).verdict is not Verdict.APPLIED:
                del generation.journal[place:]
                break
        return line.snapshot


def follows(message: bytes, newest: Position) -> bool:
    """Whether a message says that it continues a journal that ends at a position."""
    link = read(message).link
    return (link.epoch, link.previous_revision) == (newest.epoch, newest.revision)
