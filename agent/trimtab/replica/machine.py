"""The replica: a state machine without I/O, without a clock and without a thread.

Events go in, effects come out (`trimtab.replica.events`). `handle` is a generator, so that long work (a snapshot of
many items) is cut into steps: the driver carries out each effect as it comes, and lets other threads run at each
`Pause`. One event is handled to its end before the next one starts. Time and randomness are given, so a seed replays
a run exactly.

This module takes what comes. What is asked for is decided in `pursuit`, what is served in `serving`, what the disk
keeps in `keeping`; `line` says what is true and `freshness` since when.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Final, TypeAlias

from trimtab.model import links
from trimtab.model.changes import Change
from trimtab.model.links import Position
from trimtab.model.reports import Status
from trimtab.model.snapshots import Snapshot
from trimtab.model.statements import Trust
from trimtab.replica.alarms import Alarms
from trimtab.replica.events import (
    Arrived,
    ChangesAnswered,
    Effect,
    Event,
    FloorRead,
    HeadAnswered,
    Named,
    Pause,
    PersistLost,
    Recovered,
    ReportDue,
    RequestFailed,
    Serve,
    SnapshotAnswered,
    Started,
    Subscribed,
    SubscriptionLost,
)
from trimtab.replica.freshness import Certificate, Freshness
from trimtab.replica.keeping import Keeping
from trimtab.replica.line import Judgement, Line, Verdict
from trimtab.replica.pursuit import Pursuit
from trimtab.replica.serving import Admit, Hold, Serving, admit_all

MAX_EARLY: Final = 256
"""Messages kept while the gap before them is fetched."""

Effects: TypeAlias = Generator[Effect, None, None]


class Replica:
    """Follows one line. Read its properties between events: they change by nothing but `handle`."""

    def __init__(
        self,
        environment: str,
        trust: Trust,
        identity: Mapping[str, str],
        *,
        random: Callable[[], float],
        require: Mapping[str, str] | None = None,
        hold: Hold = "binding",
        admit: Admit = admit_all,
    ) -> None:
        """`random` gives numbers in [0, 1), for jitter only."""
        self.environment = environment
        self.line = Line(environment, trust)
        self.serving = Serving(identity, require, hold, admit)
        self.freshness = Freshness()
        self.keeping = Keeping()
        self.pursuit = Pursuit(random, self.line, self.freshness, self.keeping)
        self._alarms = Alarms()
        self._started = False
        self._early: dict[Position, bytes] = {}

    @property
    def floor(self) -> Position:
        """The newest position that was ever served on this machine."""
        return self.keeping.floor

    def status(self, now: float) -> Status:
        """How far the freshness of the served view can be trusted."""
        return self.freshness.status(now)

    def staleness(self, now: float) -> float:
        """Seconds since the served view was proven the newest; infinite if never in this process."""
        return self.freshness.staleness(now)

    def alarms(self, now: float) -> dict[str, str]:
        """What a person should know: name → text."""
        return self._alarms.all(now)

    def wake_at(self, now: float) -> float:
        """When to send the next `Ticked` at the latest."""
        return self.pursuit.requests.wake_at(now)

    def handle(self, event: Event, now: float) -> Effects:
        """Take one event. Exhaust the generator before the next: effects are meant to be carried out as they come."""
        yield from self._dispatch(event, now)
        self.freshness.redeem(self.line, self.serving.position)
        if self._started:
            self.pursuit.requests.expire(now)
            yield from self.pursuit.pursue(now)
            promotion = self.keeping.promote(self.serving.position, now)
            if promotion is not None:
                yield promotion
        yield from self._alarms.last(self._lasting())

    def _dispatch(self, event: Event, now: float) -> Effects:
        match event:
            case Arrived():
                yield from self._arrive(event.message, now)
            case HeadAnswered():
                self._take_head(event, now)
            case ChangesAnswered():
                yield from self._take_changes(event, now)
            case SnapshotAnswered():
                yield from self._take_snapshot(event, now)
            case Recovered():
                yield from self._recover(event)
            case Subscribed() | SubscriptionLost():
                self.pursuit.subscription_changed(confirmed=isinstance(event, Subscribed))
                yield ReportDue()
            case _:
                self._note(event, now)

    def _note(self, event: Event, now: float) -> None:
        """The events that ask for nothing by themselves; time passing is one."""
        match event:
            case FloorRead():
                self.keeping.floor = max(self.keeping.floor, event.position)
            case Started():
                self._started = True
            case Named():
                self.pursuit.hinted(event.position)
            case PersistLost():
                self.keeping.lost = True
            case RequestFailed():
                self.pursuit.requests.failed(event.request, now)
            case _:
                pass

    def _lasting(self) -> dict[str, str]:
        """What is so until it no longer is, each with its text; empty if it is not so."""
        serving = self.serving
        below = serving.view is not None and serving.position < self.floor
        return {
            "forked": self.freshness.forked,
            "ahead": self.freshness.ahead,
            "requirement": serving.withheld,
            "held": "; ".join(f"{one.path} at revision {one.revision}: {one.reason}" for one in serving.held),
            "quarantined": serving.quarantine_text,
            "below floor": f"{serving.position} is served, {self.floor} was served before" if below else "",
        }

    # -- taking what came ----------------------------------------------------------------------------------------------

    def _recover(self, event: Recovered) -> Effects:
        if self.line.snapshot is not None:
            return
        self.line.adopt(event.snapshot)
        self.keeping.recovered(event.snapshot.position)
        if event.quarantined and event.proven is not None and event.proven.position < event.snapshot.position:
            yield from self._carry(self.serving.quarantine(event.proven, event.snapshot.position))
        else:
            yield from self._carry(self.serving.offer(event.snapshot))

    def _arrive(self, raw: bytes, now: float) -> Effects:
        judgement = yield from self._judge(raw, now)
        if judgement.verdict is Verdict.GAP and len(self._early) < MAX_EARLY:
            self._early[judgement.position] = raw
        elif judgement.verdict is Verdict.REFUSED:
            self.pursuit.doubted(now)
        elif judgement.verdict is Verdict.APPLIED:
            yield from self._drain_early(now)

    def _judge(self, raw: bytes, now: float) -> Generator[Effect, None, Judgement]:
        """Offer a message to the line, and do what follows from the verdict alone."""
        before = self.line.position
        if self.freshness.forked and self.line.snapshot is not None:
            judgement = self.line.offer_epoch_only(raw)
        else:
            judgement = self.line.offer(raw)
        match judgement.verdict:
            case Verdict.APPLIED if self.line.snapshot is not None:
                yield self.keeping.change(judgement.position, raw)
                yield from self._serve(self.line.snapshot, judgement.change, before)
            case Verdict.GAP:
                self.pursuit.known(judgement.position)
            case Verdict.NEEDS_SNAPSHOT | Verdict.NEWER_EPOCH:
                self.pursuit.snapshot_known(judgement.position)
            case Verdict.FORKED:
                self.freshness.fork(judgement.reason, self.serving.position)
            case Verdict.REFUSED:
                yield from self._alarms.happened("refused", judgement.reason, now)
            case _:
                pass
        return judgement

    def _drain_early(self, now: float) -> Effects:
        for position in sorted(self._early):
            raw = self._early[position]
            if position > self.line.position:
                judgement = yield from self._judge(raw, now)
                if judgement.verdict is Verdict.GAP:
                    return
            del self._early[position]

    def _take_head(self, event: HeadAnswered, now: float) -> None:
        request = self.pursuit.requests.answered(event.request)
        if request is None:
            return
        self.pursuit.hinted(event.position)
        if event.source == "redis":
            self.freshness.subscribed = True
            if self.line.hash_at(event.position) not in {None, event.hash}:
                self.pursuit.doubted(now)  # unsigned: a reason to ask, no proof
            return
        self.freshness.poll_after = event.poll_after_ms / 1000
        self.pursuit.requests.schedule_poll(now, self.freshness.poll_after)
        if not event.is_replica:
            certificate = Certificate(event.position, event.hash, event.store_revision, request.asked_at)
            self.freshness.answered(certificate, self.line, request.seen, self.serving.position)

    def _take_changes(self, event: ChangesAnswered, now: float) -> Effects:
        if self.pursuit.requests.answered(event.request) is None:
            return
        before, verdict = self.line.position, Verdict.OLD
        for raw in event.messages:
            verdict = (yield from self._judge(raw, now)).verdict
            yield Pause()
            if verdict not in {Verdict.APPLIED, Verdict.OLD}:
                break
        yield from self._drain_early(now)
        if self.line.position > before:
            self.pursuit.progressed(event.source)
        elif verdict not in {Verdict.NEEDS_SNAPSHOT, Verdict.NEWER_EPOCH}:
            self.pursuit.changes_led_nowhere(event.source, now, trimmed=event.trimmed)

    def _take_snapshot(self, event: SnapshotAnswered, now: float) -> Effects:
        request = self.pursuit.requests.answered(event.request)
        if request is None:
            return
        verdict = Verdict.OLD
        if event.statement:
            verdict = yield from self._judge_snapshot(event, now)
        if verdict is Verdict.APPLIED:
            self.pursuit.snapshot_adopted(event.source)
        elif not (request.compacting and (yield from self._compact(event))):
            self.pursuit.snapshot_led_nowhere(event.source, now)

    def _judge_snapshot(self, event: SnapshotAnswered, now: float) -> Generator[Effect, None, Verdict]:
        verdict, epoch = Verdict.OLD, self.line.position.epoch
        for judgement in self.line.offer_snapshot(event.statement, event.body, frozen=bool(self.freshness.forked)):
            if judgement is None:
                yield Pause()
                continue
            verdict = judgement.verdict
            if verdict is Verdict.APPLIED:
                yield from self._adopted(event, epoch, now)
            elif verdict is Verdict.REFUSED:
                yield from self._alarms.happened("refused", judgement.reason, now)
            elif verdict is Verdict.FORKED:
                self.freshness.fork(judgement.reason, self.serving.position)
        return verdict

    def _adopted(self, event: SnapshotAnswered, epoch: int, now: float) -> Effects:
        snapshot = self.line.snapshot
        assert snapshot is not None, "it was just adopted"
        if snapshot.position.epoch > epoch:
            self.freshness.new_epoch(snapshot.position.epoch)
        yield self.keeping.snapshot(snapshot.position, event.statement, event.body)
        yield from self._serve(snapshot, None, links.START)
        yield from self._drain_early(now)

    def _compact(self, event: SnapshotAnswered) -> Generator[Effect, None, bool]:
        """A snapshot on our own line, not newer than its head: a shorter journal. Verified like any other."""
        position = self.line.verified_past(event.statement, event.body)
        if position is None or not self.keeping.is_helped_by(position):
            return False
        yield self.keeping.snapshot(position, event.statement, event.body)
        return True

    # -- serving -------------------------------------------------------------------------------------------------------

    def _serve(self, snapshot: Snapshot, change: Change | None, follows: Position) -> Effects:
        yield from self._carry(self.serving.offer(snapshot, change, follows))
        yield ReportDue()

    def _carry(self, effects: Effects) -> Effects:
        """Pass on what serving wishes; what is served raises the floor."""
        for effect in effects:
            yield effect
            if isinstance(effect, Serve):
                yield self.keeping.served(effect.position)
