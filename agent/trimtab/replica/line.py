"""The verified chain: what a replica knows to be true of its line, and how it judges what it is offered.

Nothing is applied because it arrived. A message must carry a trusted signature over a link of this environment whose
previous hash is our own hash, and applying its change must give the checksum that was signed.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

from trimtab.model import changes, links, snapshots
from trimtab.model.changes import Change
from trimtab.model.errors import TrimtabError
from trimtab.model.links import Link, Message, Position
from trimtab.model.snapshots import Snapshot, Statement
from trimtab.model.statements import Trust
from trimtab.model.states import State

Step = TypeVar("Step")
RECENT: Final = 4096
"""How many past hashes are kept, to recognise a fork behind us."""


class Verdict(Enum):
    """What an offer came to."""

    APPLIED = "applied"
    OLD = "old"
    GAP = "gap"
    NEEDS_SNAPSHOT = "needs a snapshot"
    NEWER_EPOCH = "newer epoch"
    FORKED = "forked"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with what it rests on. `position` is the offer's, if it was authentic."""

    verdict: Verdict
    reason: str = ""
    position: Position = links.START
    change: Change | None = None


class Line:
    """The newest verified state of one environment, and the hashes that led to it."""

    def __init__(self, environment: str, trust: Trust) -> None:
        self._environment = environment
        self._trust = trust
        self._recent: OrderedDict[Position, bytes] = OrderedDict()
        self.snapshot: Snapshot | None = None

    @property
    def position(self) -> Position:
        """Where the chain stands; (0, 0) before the first state."""
        return links.START if self.snapshot is None else self.snapshot.position

    def hash_at(self, position: Position) -> bytes | None:
        """The chain's hash at a recent position; None where the line has no link there, or it is long past."""
        return self._recent.get(position)

    def knows_past(self, position: Position) -> bool:
        """Whether a position lies within the remembered stretch, so that a missing hash means a missing link."""
        return bool(self._recent) and next(iter(self._recent)) <= position <= self.position

    def offer(self, raw: bytes) -> Judgement:
        """Judge a message, and apply it if it is the next link."""
        judgement = Judgement(Verdict.OLD)
        for step in self.offer_steps(raw):
            judgement = step or judgement
        return judgement

    def offer_steps(self, raw: bytes, *, verified: bool = False) -> Iterator[Judgement | None]:
        """`offer` in steps: yields None between the steps of a large change, then the judgement.

        `verified` says that the message's authenticity was established already, in this process.
        """
        opened = links.read(raw) if verified else self._open(raw)
        judgement = opened if isinstance(opened, Judgement) else self._place(opened)
        if judgement is None:
            assert isinstance(opened, Message), "only a message is the next one"
            yield from self._apply(opened)
        else:
            yield judgement

    def offer_snapshot(
        self, statement_bytes: bytes, body: bytes, *, frozen: bool = False
    ) -> Iterator[Judgement | None]:
        """Judge a snapshot in steps, and adopt it if it is newer: yields None between steps, then the judgement.

        While the line is `frozen` by a fork only a newer epoch is news.
        """
        try:
            statement = snapshots.read_statement(statement_bytes)
            snapshots.verify(statement, self._trust, self._environment)
        except TrimtabError as error:
            yield Judgement(Verdict.REFUSED, str(error))
            return
        early = self._place_snapshot(statement)
        if frozen and statement.epoch <= self.position.epoch:
            early = Judgement(Verdict.OLD, position=statement.position)
        if early is not None:
            yield early
            return
        try:
            for snapshot in snapshots.decode_steps(statement, body):
                if snapshot is None:
                    yield None
                else:
                    self.adopt(snapshot)
                    yield Judgement(Verdict.APPLIED, position=snapshot.position)
        except TrimtabError as error:
            yield Judgement(Verdict.REFUSED, str(error))

    def offer_epoch_only(self, raw: bytes) -> Judgement:
        """Judge a message while the line is frozen by a fork: only a newer epoch is news."""
        try:
            message = links.read(raw)
            if message.link.epoch <= self.position.epoch:
                return Judgement(Verdict.OLD, position=message.position)
            links.verify(message, self._trust, self._environment)
        except TrimtabError as error:
            return Judgement(Verdict.REFUSED, str(error))
        return Judgement(Verdict.NEWER_EPOCH, position=message.position)

    def verified_past(self, statement_bytes: bytes, body: bytes) -> Position | None:
        """The position of a snapshot that is authentic, whole, and of a revision that we passed; None otherwise."""
        try:
            statement = snapshots.read_statement(statement_bytes)
            snapshots.verify(statement, self._trust, self._environment)
        except TrimtabError:
            return None
        ours = self.hash_at(statement.position) == statement.hash
        whole = len(body) == statement.length and hashlib.sha256(body).digest() == statement.sha256
        return statement.position if ours and whole else None

    def adopt(self, snapshot: Snapshot) -> None:
        """Take a verified state as ours. What lies between the old one and it is unknown, so the memory starts anew."""
        self._recent.clear()
        self.snapshot = snapshot
        self._remember(snapshot.position, snapshot.hash)

    def _open(self, raw: bytes) -> Message | Judgement:
        """The message, if it is authentic and no duplicate."""
        try:
            message = links.read(raw)
            if self._recent.get(message.position) == message.link.hash:
                return Judgement(Verdict.OLD, position=message.position)  # a duplicate costs no verification
            links.verify(message, self._trust, self._environment)
        except TrimtabError as error:
            return Judgement(Verdict.REFUSED, str(error))
        return message

    def _place(self, message: Message) -> Judgement | None:
        """The judgement of an authentic message by its place alone; None if it is the next one."""
        link, here = message.link, self.position
        if link.epoch > here.epoch:
            return Judgement(Verdict.NEWER_EPOCH, position=link.position)
        if link.position <= here:
            return self._judge_past(link)
        if self.snapshot is None or link.previous_revision > here.revision:
            return Judgement(Verdict.GAP, position=link.position)
        if link.previous_revision < here.revision or link.previous_hash != self.snapshot.hash:
            reason = f"revision {link.revision} is authentic but does not follow our revision {here.revision}"
            return Judgement(Verdict.FORKED, reason, link.position)
        return None

    def _judge_past(self, link: Link) -> Judgement:
        if link.epoch == self.position.epoch and self.knows_past(link.position):
            return Judgement(Verdict.FORKED, f"revision {link.revision} exists with another hash", link.position)
        return Judgement(Verdict.OLD, position=link.position)

    def _apply(self, message: Message) -> Iterator[Judgement | None]:
        """Apply the next change, in steps; nothing is ours before its checksum agrees."""
        link, here = message.link, self.snapshot
        assert here is not None, "nothing is next before the first state"
        try:
            change = yield from _last(changes.decode_steps(message.change))
        except TrimtabError as error:
            yield Judgement(Verdict.NEEDS_SNAPSHOT, str(error), link.position)
            return
        if change.needs_snapshot:
            yield Judgement(Verdict.NEEDS_SNAPSHOT, "the structure changed", link.position, change)
            return
        state = yield from _last(here.state.apply_steps(change.environment, change.edits))
        if state.checksum != link.checksum:
            yield Judgement(Verdict.NEEDS_SNAPSHOT, "the checksum after the change differs", link.position, change)
            return
        self._take(link, state, link.revision if change.urgent else here.urgent)
        yield Judgement(Verdict.APPLIED, position=link.position, change=change)

    def _take(self, link: Link, state: State, urgent: int) -> None:
        self.snapshot = Snapshot(self._environment, link.position, link.hash, state, urgent)
        self._remember(link.position, link.hash)

    def _place_snapshot(self, statement: Statement) -> Judgement | None:
        here = self.position
        if statement.position == here and self.snapshot is not None and statement.hash != self.snapshot.hash:
            return Judgement(Verdict.FORKED, f"a snapshot of revision {here.revision} has another hash", here)
        if statement.position <= here:
            past = self.hash_at(statement.position)
            if statement.epoch == here.epoch and self.knows_past(statement.position) and past != statement.hash:
                return Judgement(Verdict.FORKED, f"a snapshot of revision {statement.revision} is off our line", here)
            return Judgement(Verdict.OLD, position=statement.position)
        return None

    def _remember(self, position: Position, digest: bytes) -> None:
        self._recent[position] = digest
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)


def _last(steps: Iterator[Step | None]) -> Generator[None, None, Step]:
    """Pass on the pauses of what works in steps, and return what it came to."""
    for step in steps:
        if step is not None:
            return step
        yield None
    raise AssertionError("it ended without a result")
