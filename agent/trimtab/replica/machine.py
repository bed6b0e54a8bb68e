"""The replica: a state machine without I/O, without a clock and without a thread.

Events go in, effects come out (`trimtab.replica.events`). `handle` is a generator, so that long work (a snapshot of
many items) is cut into steps: the driver carries out each effect as it comes, and lets other threads run at each
`Pause`. One event is handled to its end before the next one starts. Time and randomness are given, so a seed replays
a run exactly.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Mapping
from typing import Final, TypeAlias

from trimtab.model import links
from trimtab.model.changes import Change
from trimtab.model.links import Position
from trimtab.model.reports import Status
from trimtab.model.snapshots import Snapshot
from trimtab.model.statements import Trust
from trimtab.replica.events import (
    Arrived,
    AskHead,
    ChangesAnswered,
    Effect,
    Event,
    FetchChanges,
    FetchSnapshot,
    FloorRead,
    HeadAnswered,
    Named,
    Pause,
    PersistChange,
    PersistSnapshot,
    PromoteProven,
    Raise,
    RaiseFloor,
    Recovered,
    ReportDue,
    RequestFailed,
    Serve,
    SnapshotAnswered,
    Source,
    Started,
    Subscribed,
    SubscriptionLost,
)
from trimtab.replica.freshness import Certificate, Freshness
from trimtab.replica.line import Judgement, Line, Verdict
from trimtab.replica.requests import Kind, Requests
from trimtab.replica.serving import Admit, Hold, Serving, admit_all

PROVEN_SECONDS: Final = 600.0
"""How long a revision must have been served before it counts as proven."""
MAX_EARLY: Final = 256
"""Messages kept while the gap before them is fetched."""

ALARM_SECONDS: Final = 300.0
"""An alarm that nothing renews ends after this long."""

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
        self.floor = links.START
        self._requests = Requests(random)
        self._alarms: dict[str, tuple[str, float]] = {}
        self._started = False
        self._target = links.START
        self._snapshot_wanted = links.START
        self._early: dict[Position, bytes] = {}
        self._served_since: deque[tuple[Position, float]] = deque()
        self._proven = links.START
        self._persisted = _Persisted()

    def status(self, now: float) -> Status:
        """How far the freshness of the served view can be trusted."""
        return self.freshness.status(now)

    def staleness(self, now: float) -> float:
        """Seconds since the served view was proven the newest; infinite if never in this process."""
        return self.freshness.staleness(now)

    def alarms(self, now: float) -> dict[str, str]:
        """What a person should know: name → text."""
        lasting = {"forked": self.freshness.forked, "ahead": self.freshness.ahead, "requirement": self.serving.withheld}
        passing = {name: text for name, (text, at) in self._alarms.items() if now - at < ALARM_SECONDS}
        return {**passing, **{name: text for name, text in lasting.items() if text}}

    def wake_at(self, now: float) -> float:
        """When to send the next `Ticked` at the latest."""
        return self._requests.wake_at(now)

    def handle(self, event: Event, now: float) -> Effects:
        """Take one event. Exhaust the generator before the next: effects are meant to be carried out as they come."""
        yield from self._dispatch(event, now)
        self.freshness.redeem(self.line, self.serving.position)
        if self._started:
            yield from self._pursue(now)
            yield from self._prove(now)

    def _dispatch(self, event: Event, now: float) -> Effects:
        match event:
            case Arrived():
                yield from self._arrive(event.message, now)
            case HeadAnswered():
                yield from self._take_head(event, now)
            case ChangesAnswered():
                yield from self._take_changes(event, now)
            case SnapshotAnswered():
                yield from self._take_snapshot(event, now)
            case Subscribed() | SubscriptionLost():
                yield from self._resubscribe(now, confirmed=isinstance(event, Subscribed))
            case Recovered():
                yield from self._recover(event)
            case _:
                self._note(event, now)

    def _note(self, event: Event, now: float) -> None:
        """The events that ask for nothing by themselves."""
        match event:
            case FloorRead():
                self.floor = max(self.floor, event.position)
            case Started():
                self._started = True
            case Named():
                self._target = max(self._target, event.position)
            case RequestFailed() if self._requests.close(event.request) is not None:
                self._requests.failed(event.source, now)
            case _:
                self._requests.expire(now)

    def _resubscribe(self, now: float, *, confirmed: bool) -> Effects:
        """News may have been missed: only a comparison of heads makes the subscription count."""
        self._requests.forget("redis")
        self.freshness.subscribed = False
        if confirmed:
            self._requests.succeeded("redis")
            yield self._ask_head("redis", now)
        yield ReportDue()

    # -- taking what came --------------------------------------------------------------------------------------------

    def _recover(self, event: Recovered) -> Effects:
        if self.line.snapshot is not None:
            return
        self.line.adopt(event.snapshot)
        self._persisted.position = event.snapshot.position
        if event.quarantined and event.proven is not None and event.proven.position < event.snapshot.position:
            yield from self.serving.quarantine(event.proven, event.snapshot.position)
        else:
            yield from self.serving.offer(event.snapshot)

    def _arrive(self, raw: bytes, now: float) -> Effects:
        judgement = yield from self._judge(raw, now)
        if judgement.verdict is Verdict.GAP and len(self._early) < MAX_EARLY:
            self._early[judgement.position] = raw
        elif judgement.verdict is Verdict.REFUSED:
            self._requests.next_poll = min(self._requests.next_poll, now)  # doubt: compare heads
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
                self._persisted.bytes += len(raw)
                yield PersistChange(judgement.position, raw)
                yield from self._serve(self.line.snapshot, judgement.change, before, now)
            case Verdict.GAP:
                self._target = max(self._target, judgement.position)
            case Verdict.NEEDS_SNAPSHOT | Verdict.NEWER_EPOCH:
                self._snapshot_wanted = max(self._snapshot_wanted, judgement.position)
            case Verdict.FORKED:
                yield from self._fork(judgement.reason)
            case Verdict.REFUSED:
                yield from self._raise("refused", judgement.reason, now)
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

    def _take_head(self, event: HeadAnswered, now: float) -> Effects:
        request = self._requests.close(event.request)
        if request is None:
            return
        self._requests.succeeded(event.source)
        self._target = max(self._target, event.position)
        if event.source == "redis":
            self.freshness.subscribed = True
            if self.line.hash_at(event.position) not in {None, event.hash}:
                self._requests.next_poll = min(self._requests.next_poll, now)  # unsigned: a reason to ask, no proof
            return
        self.freshness.poll_after = event.poll_after_ms / 1000
        self._requests.schedule_poll(now, self.freshness.poll_after)
        if not event.is_replica:
            was = self.freshness.forked
            certificate = Certificate(event.position, event.hash, event.store_revision, request.asked_at)
            self.freshness.answered(certificate, self.line, request.line, self.floor)
            if self.freshness.forked and not was:
                yield from self._fork(self.freshness.forked)

    def _take_changes(self, event: ChangesAnswered, now: float) -> Effects:
        request = self._requests.close(event.request)
        if request is None:
            return
        self._requests.succeeded(event.source)
        before = self.line.position
        for raw in event.messages:
            judgement = yield from self._judge(raw, now)
            yield Pause()
            if judgement.verdict not in {Verdict.APPLIED, Verdict.OLD}:
                break
        yield from self._drain_early(now)
        if self.line.position == before and self._snapshot_wanted <= before:
            self._no_progress(event, now)

    def _no_progress(self, event: ChangesAnswered, now: float) -> None:
        """The feed had nothing that follows: ask the other one, or stop believing the hint."""
        self._requests.failed(event.source, now)
        if event.source == "postgres":
            if event.trimmed:
                self._snapshot_wanted = max(self._snapshot_wanted, self._target)
            self._target = self.freshness.awaited

    def _take_snapshot(self, event: SnapshotAnswered, now: float) -> Effects:
        request = self._requests.close(event.request)
        if request is None:
            return
        if not event.statement:
            self._requests.failed(event.source, now)
            return
        epoch = self.line.position.epoch
        verdict = yield from self._judge_snapshot(event, now)
        if verdict is Verdict.APPLIED:
            self._requests.succeeded(event.source)
            yield from self._adopted(event, epoch, now)
        elif request.compacting:
            yield from self._compact(event)
        else:  # not what was wanted: it may not be signed yet, or the hint was wrong
            self._requests.failed(event.source, now)
            self._target = self.freshness.awaited

    def _judge_snapshot(self, event: SnapshotAnswered, now: float) -> Generator[Effect, None, Verdict]:
        verdict = Verdict.OLD
        for judgement in self.line.offer_snapshot(event.statement, event.body, frozen=bool(self.freshness.forked)):
            if judgement is None:
                yield Pause()
                continue
            verdict = judgement.verdict
            if verdict is Verdict.REFUSED:
                yield from self._raise("refused", judgement.reason, now)
            elif verdict is Verdict.FORKED:
                yield from self._fork(judgement.reason)
        return verdict

    def _adopted(self, event: SnapshotAnswered, epoch: int, now: float) -> Effects:
        snapshot = self.line.snapshot
        if snapshot is None:
            return
        if snapshot.position.epoch > epoch:
            self.freshness.new_epoch()
        self._persisted = _Persisted(snapshot.position, 0, len(event.body))
        yield PersistSnapshot(snapshot.position, event.statement, event.body)
        yield from self._serve(snapshot, None, links.START, now)
        yield from self._drain_early(now)

    def _compact(self, event: SnapshotAnswered) -> Effects:
        """A snapshot on our own line, older than its head: a shorter journal. Verified like any other."""
        position = self.line.verified_past(event.statement, event.body)
        if position is not None and position > self._persisted.position:
            self._persisted = _Persisted(position, 0, len(event.body))
            yield PersistSnapshot(position, event.statement, event.body)

    # -- serving -------------------------------------------------------------------------------------------------------

    def _serve(self, snapshot: Snapshot, change: Change | None, follows: Position, now: float) -> Effects:
        for effect in self.serving.offer(snapshot, change, follows):
            if isinstance(effect, Raise):
                yield from self._raise(effect.alarm, effect.text, now)
                continue
            yield effect
            if isinstance(effect, Serve):
                self.floor = max(self.floor, effect.position)
                yield RaiseFloor(self.floor)
        yield ReportDue()

    def _prove(self, now: float) -> Effects:
        """Note since when the served revision is served, and promote what was served long enough."""
        served = self.serving.position
        last, noted_at = self._served_since[-1] if self._served_since else (links.START, -math.inf)
        if served != last and now - noted_at >= 1:
            self._served_since.append((served, now))
        proven = self._proven
        while self._served_since and now - self._served_since[0][1] >= PROVEN_SECONDS:
            proven = self._served_since[0][0]
            if len(self._served_since) == 1:
                break
            self._served_since.popleft()
        if proven > self._proven:
            self._proven = proven
            yield PromoteProven(proven)

    # -- asking --------------------------------------------------------------------------------------------------------

    def _pursue(self, now: float) -> Effects:
        """Ask for whatever is missing: the head when a poll is due, a snapshot, or changes."""
        if now >= self._requests.next_poll and not self._requests.is_open("postgres head"):
            self._requests.schedule_poll(now, self.freshness.poll_after)
            yield self._ask_head("postgres", now)
        target = max(self._target, self.freshness.awaited)
        here = self.line.position
        needs_snapshot = self.line.snapshot is None or self._snapshot_wanted > here or target.epoch > here.epoch
        if needs_snapshot:
            yield from self._fetch_snapshot(now)
        elif target > here and not self.freshness.forked and not self._requests.is_open("changes"):
            source = self._requests.choose(now, subscribed=self.freshness.subscribed)
            if source is not None:
                yield FetchChanges(source, self._requests.ask("changes", source, now, here), here)
        elif self._persisted.wants_compaction:
            self._persisted.bytes = 0  # asked once for each stretch
            yield from self._fetch_snapshot(now, compacting=True)

    def _fetch_snapshot(self, now: float, *, compacting: bool = False) -> Effects:
        source = self._requests.choose(now, subscribed=self.freshness.subscribed)
        if source is not None and not self._requests.is_open("snapshot"):
            number = self._requests.ask("snapshot", source, now, self.line.position, compacting=compacting)
            yield FetchSnapshot(source, number)

    def _ask_head(self, source: Source, now: float) -> AskHead:
        kind: Kind = "redis head" if source == "redis" else "postgres head"
        return AskHead(source, self._requests.ask(kind, source, now, self.line.position))

    # -- alarms --------------------------------------------------------------------------------------------------------

    def _fork(self, reason: str) -> Effects:
        """Keep serving, freeze the line, and wait for an epoch record."""
        self.freshness.forked = reason
        yield Raise("forked", reason)
        yield ReportDue()

    def _raise(self, name: str, text: str, now: float) -> Effects:
        known = self._alarms.get(name)
        if known is None or now - known[1] >= ALARM_SECONDS:
            yield Raise(name, text)
        self._alarms[name] = (text, now)


class _Persisted:
    """What the disk holds: the position of its snapshot, and how many bytes of journal follow."""

    def __init__(self, position: Position = links.START, journal: int = 0, snapshot: int = 0) -> None:
        self.position = position
        self.bytes = journal
        self._snapshot = snapshot

    @property
    def wants_compaction(self) -> bool:
        """Whether the journal has outgrown the snapshot: a mebibyte, and a quarter of the snapshot."""
        return self.bytes > max(1024 * 1024, self._snapshot // 4)
