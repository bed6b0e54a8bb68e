"""Seeded bugs of what a replica holds true, and since when."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TypeAlias

from tests.simulation.node import Node
from trimtab.model import changes, links, snapshots
from trimtab.model.changes import Change
from trimtab.model.errors import TrimtabError
from trimtab.model.links import START, Message, Position
from trimtab.model.snapshots import Snapshot, Statement
from trimtab.replica.events import (
    Arrived,
    Effect,
    Event,
    HeadAnswered,
)
from trimtab.replica.freshness import Certificate, Freshness
from trimtab.replica.line import Judgement, Line, Verdict
from trimtab.replica.machine import Replica

Effects: TypeAlias = Generator[Effect, None, None]


class LooseLine(Line):
    """Applies a change without looking at the previous hash."""

    def _place(self, message: Message) -> Judgement | None:
        here, link = self.snapshot, message.link
        if here is not None and link.epoch == here.position.epoch and link.revision > here.position.revision:
            return None
        return super()._place(message)


class GullibleLine(Line):
    """Takes what hashes right, whoever signed it."""

    def _open(self, raw: bytes) -> Message | Judgement:
        try:
            message = links.read(raw)
        except TrimtabError as error:
            return Judgement(Verdict.REFUSED, str(error))
        right = links.chain(message.link.previous_hash, message.change) == message.link.hash
        if not right or message.link.environment != self._environment:
            return Judgement(Verdict.REFUSED, "it is not whole")
        return message


class UncheckedLine(Line):
    """Does not compare the checksum after a change with the signed one."""

    def _apply(self, message: Message) -> Iterator[Judgement | None]:
        here, change = self.snapshot, _decoded(message.change)
        if here is None or change is None or change.needs_snapshot:
            yield from super()._apply(message)
            return
        urgent = message.link.revision if change.urgent else here.urgent
        self._take(message.link, here.state.apply(change.environment, change.edits), urgent)
        yield Judgement(Verdict.APPLIED, position=message.position, change=change)


class OneEpochLine(Line):
    """Does not look at epochs: the first link of a new one is taken for a fork."""

    def _place(self, message: Message) -> Judgement | None:
        if self.snapshot is not None and message.link.epoch > self.position.epoch:
            return Judgement(Verdict.FORKED, "it does not follow", message.position)
        return super()._place(message)

    def offer_epoch_only(self, raw: bytes) -> Judgement:
        del raw
        return Judgement(Verdict.OLD)

    def _place_snapshot(self, statement: Statement) -> Judgement | None:
        if self.snapshot is not None and statement.epoch > self.position.epoch:
            return Judgement(Verdict.FORKED, "it does not follow", self.position)
        return super()._place_snapshot(statement)


class WorldlyLine(Line):
    """Does not look at the environment: our signature is enough."""

    def _open(self, raw: bytes) -> Message | Judgement:
        try:
            message = links.read(raw)
            links.verify(message, self._trust, message.link.environment)
        except TrimtabError as error:
            return Judgement(Verdict.REFUSED, str(error))
        return message

    def offer_snapshot(
        self, statement_bytes: bytes, body: bytes, *, frozen: bool = False
    ) -> Iterator[Judgement | None]:
        mine = self._environment
        try:
            self._environment = snapshots.read_statement(statement_bytes).environment
            yield from super().offer_snapshot(statement_bytes, body, frozen=frozen)
        except TrimtabError as error:
            yield Judgement(Verdict.REFUSED, str(error))
        finally:
            self._environment = mine


class FollowedUrgentLine(Line):
    """Knows only of the urgent changes that it followed, not of those that a snapshot skips."""

    def adopt(self, snapshot: Snapshot) -> None:
        here = self.snapshot
        known = here.urgent if here is not None and here.position.epoch == snapshot.position.epoch else 0
        super().adopt(replace(snapshot, urgent=known))


class ForgivingLine(Line):
    """Takes an authentic change that does not follow for an old one."""

    def _place(self, message: Message) -> Judgement | None:
        found = super()._place(message)
        forked = found is not None and found.verdict is Verdict.FORKED
        return replace(found, verdict=Verdict.OLD) if found is not None and forked else found


class CertifyingOnReceipt(Replica):
    """Certifies whenever a change arrives."""

    def handle(self, event: Event, now: float) -> Effects:
        before = self.line.position
        yield from super().handle(event, now)
        if isinstance(event, Arrived) and self.line.position > before:
            self.freshness.certified_at = now


class CertifyingFromReplica(Replica):
    """Does not ask who answered."""

    def _take_head(self, event: HeadAnswered, now: float) -> Effects:
        return super()._take_head(replace(event, is_replica=False), now)


class DatedAfterAsking(Replica):
    """Dates a certificate when the answer comes."""

    def handle(self, event: Event, now: float) -> Effects:
        dated = self.freshness.certified_at
        yield from super().handle(event, now)
        if self.freshness.certified_at > dated and isinstance(event, HeadAnswered):
            self.freshness.certified_at = now


class OptimisticFreshness(Freshness):
    """Certifies the line, not what is served."""

    def redeem(self, line: Line, served: Position) -> None:
        del served
        super().redeem(line, line.position)


class LateFreshness(Freshness):
    """Compares an answer with what is held now, not with what was held when it was asked for."""

    def answered(self, certificate: Certificate, line: Line, seen: Position, served: Position) -> None:
        super().answered(certificate, line, max(seen, line.position), served)


class BlindFreshness(Freshness):
    """Never looks whether the store is behind."""

    def answered(self, certificate: Certificate, line: Line, seen: Position, served: Position) -> None:
        del seen
        super().answered(certificate, line, START, served)


def wall_clock(node: Node, replica: Replica) -> float:
    """Reads the wall clock, as if it had been right at the start of the run and certificates were dated by it."""
    del replica
    return node.wall - Node.WALL_START + node.loop.now


def stopping_clock(node: Node, replica: Replica) -> float:
    """Reads a clock that stands still while the machine sleeps."""
    del replica
    return node.loop.now - node.slept


def _decoded(text: bytes) -> Change | None:
    try:
        return changes.decode(text)
    except TrimtabError:
        return None
