"""Intake: what is offered is judged by the line, and what it holds true is kept, served and pursued.

Nothing is applied because it arrived, and nothing is persisted before its checks. Messages that come before the one
that they follow wait for it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, TypeAlias

from trimtab.model import links
from trimtab.model.changes import Change
from trimtab.model.links import Position
from trimtab.model.snapshots import Snapshot
from trimtab.replica.alarms import Alarms
from trimtab.replica.events import (
    ChangesAnswered,
    Effect,
    Pause,
    Recovered,
    ReportDue,
    Serve,
    SnapshotAnswered,
    Source,
)
from trimtab.replica.freshness import Freshness
from trimtab.replica.keeping import Keeping
from trimtab.replica.line import Judgement, Line, Verdict
from trimtab.replica.pursuit import Pursuit
from trimtab.replica.serving import Serving

MAX_EARLY: Final = 256
"""Messages kept while the gap before them is fetched."""

Effects: TypeAlias = Generator[Effect, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one replica, each with one concern."""

    line: Line
    serving: Serving
    freshness: Freshness
    keeping: Keeping
    pursuit: Pursuit
    alarms: Alarms


class Intake:
    """Takes messages, snapshots and what the disk gave back."""

    def __init__(self, parts: Parts) -> None:
        self._line, self._serving, self._freshness = parts.line, parts.serving, parts.freshness
        self._keeping, self._pursuit, self._alarms = parts.keeping, parts.pursuit, parts.alarms
        self._early: dict[Position, bytes] = {}

    def recover(self, event: Recovered) -> Effects:
        """Begin where the disk left off; nothing that came later is undone by it."""
        if self._line.snapshot is not None:
            return
        self._line.adopt(event.snapshot)
        self._keeping.recovered(event.snapshot.position)
        if event.quarantined:
            self._serving.crashed_upto = event.snapshot.position
        if event.quarantined and event.proven is not None and event.proven.position < event.snapshot.position:
            yield from self._carry(self._serving.quarantine(event.proven, event.snapshot.position))
        else:
            yield from self._carry(self._serving.offer(event.snapshot))

    def arrive(self, raw: bytes, now: float) -> Effects:
        """Take a message from the channel, about which nothing is known."""
        judgement = yield from self._judge(raw, now)
        if judgement.verdict is Verdict.GAP and len(self._early) < MAX_EARLY:
            self._early[judgement.position] = raw
        elif judgement.verdict is Verdict.REFUSED:
            self._pursuit.doubted(now)
        elif judgement.verdict is Verdict.APPLIED:
            yield from self._drain_early(now)

    def take_changes(self, event: ChangesAnswered, now: float) -> Effects:
        """Take the messages that a feed gave after our position."""
        request = self._pursuit.requests.answered(event.request)
        if request is None:
            return
        progressed, verdict = yield from self._take(event.source, event.messages, now)
        if not progressed and verdict not in {Verdict.NEEDS_SNAPSHOT, Verdict.NEWER_EPOCH}:
            self._pursuit.changes_led_nowhere(request, now, trimmed=event.trimmed)

    def take_along(self, source: Source, messages: tuple[bytes, ...], now: float) -> Effects:
        """Take what came along with a head. Where it leads nowhere, the head is pursued as if nothing had come."""
        if messages:
            yield from self._take(source, messages, now)

    def take_snapshot(self, event: SnapshotAnswered, now: float) -> Effects:
        """Take a feed's newest snapshot: as our state if it is newer, for a shorter journal if that was asked for."""
        request = self._pursuit.requests.answered(event.request)
        if request is None:
            return
        verdict = Verdict.OLD
        if event.statement:
            verdict = yield from self._judge_snapshot(event, now)
        if verdict is Verdict.APPLIED:
            self._pursuit.snapshot_adopted(event.source)
        elif not (request.compacting and (yield from self._compact(event))):
            self._pursuit.snapshot_led_nowhere(request, now)

    def _take(
        self, source: Source, messages: tuple[bytes, ...], now: float
    ) -> Generator[Effect, None, tuple[bool, Verdict]]:
        """Take messages up to the first that does not follow: whether the line moved, and the last verdict."""
        before, verdict = self._line.position, Verdict.OLD
        for raw in messages:
            verdict = (yield from self._judge(raw, now)).verdict
            yield Pause()
            if verdict not in {Verdict.APPLIED, Verdict.OLD}:
                break
        yield from self._drain_early(now)
        progressed = self._line.position > before
        if progressed:
            self._pursuit.progressed(source)
        return progressed, verdict

    def _judge(self, raw: bytes, now: float) -> Generator[Effect, None, Judgement]:
        """Offer a message to the line, and do what follows from the verdict alone."""
        before = self._line.position
        if self._freshness.forked and self._line.snapshot is not None:
            judgement = self._line.offer_epoch_only(raw)
        else:
            judgement = yield from self._offer(raw)
        match judgement.verdict:
            case Verdict.APPLIED if self._line.snapshot is not None:
                yield self._keeping.change(judgement.position, raw)
                yield from self._serve(self._line.snapshot, judgement.change, before)
            case Verdict.GAP | Verdict.NEWER_EPOCH:  # any snapshot of the newer epoch will do
                self._pursuit.known(judgement.position)
            case Verdict.NEEDS_SNAPSHOT:
                self._pursuit.snapshot_known(judgement.position)
            case Verdict.FORKED:
                self._freshness.fork(judgement.reason, self._serving.position)
            case Verdict.REFUSED:
                yield from self._alarms.happened("refused", judgement.reason, now)
            case _:
                pass
        return judgement

    def _offer(self, raw: bytes) -> Generator[Effect, None, Judgement]:
        judgement = Judgement(Verdict.OLD)
        for step in self._line.offer_steps(raw):
            if step is None:
                yield Pause()
            else:
                judgement = step
        return judgement

    def _drain_early(self, now: float) -> Effects:
        for position in sorted(self._early):
            raw = self._early[position]
            if position > self._line.position:
                judgement = yield from self._judge(raw, now)
                if judgement.verdict is Verdict.GAP:
                    return
            del self._early[position]

    def _judge_snapshot(self, event: SnapshotAnswered, now: float) -> Generator[Effect, None, Verdict]:
        verdict, epoch = Verdict.OLD, self._line.position.epoch
        for judgement in self._line.offer_snapshot(event.statement, event.body, frozen=bool(self._freshness.forked)):
            if judgement is None:
                yield Pause()
                continue
            verdict = judgement.verdict
            if verdict is Verdict.APPLIED:
                yield from self._adopted(event, epoch, now)
            elif verdict is Verdict.REFUSED:
                yield from self._alarms.happened("refused", judgement.reason, now)
            elif verdict is Verdict.FORKED:
                self._freshness.fork(judgement.reason, self._serving.position)
        return verdict

    def _adopted(self, event: SnapshotAnswered, epoch: int, now: float) -> Effects:
        snapshot = self._line.snapshot
        assert snapshot is not None, "it was just adopted"
        if snapshot.position.epoch > epoch:
            self._freshness.new_epoch(snapshot.position.epoch)
        yield self._keeping.snapshot(snapshot.position, event.statement, event.body)
        yield from self._serve(snapshot, None, links.START)
        yield from self._drain_early(now)

    def _compact(self, event: SnapshotAnswered) -> Generator[Effect, None, bool]:
        """A snapshot on our own line, not newer than its head: a shorter journal. Verified like any other."""
        position = self._line.verified_past(event.statement, event.body)
        if position is None or not self._keeping.is_helped_by(position):
            return False
        yield self._keeping.snapshot(position, event.statement, event.body)
        return True

    def _serve(self, snapshot: Snapshot, change: Change | None, follows: Position) -> Effects:
        yield from self._carry(self._serving.offer(snapshot, change, follows))
        yield ReportDue()

    def _carry(self, effects: Effects) -> Effects:
        """Pass on what serving wishes; what is served raises the floor."""
        for effect in effects:
            yield effect
            if isinstance(effect, Serve):
                yield self._keeping.served(effect.position)
