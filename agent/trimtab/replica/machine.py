"""The replica: a state machine without I/O, without a clock and without a thread.

Events go in, effects come out (`trimtab.replica.events`). `handle` is a generator, so that long work (a snapshot of
many items) is cut into steps: the driver carries out each effect as it comes, and lets other threads run at each
`Pause`. One event is handled to its end before the next one starts. Time and randomness are given, so a seed replays
a run exactly.

This module hands out what comes. `intake` judges it by the `line`, `pursuit` decides what to ask for, `serving` what
readers see, `keeping` what the disk holds; `freshness` says since when the served view was proven the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trimtab.model.links import Position
from trimtab.model.overriding import Overrides
from trimtab.model.reports import Status
from trimtab.model.statements import Trust
from trimtab.replica.alarms import Alarms
from trimtab.replica.events import (
    Arrived,
    ChangesAnswered,
    Event,
    FloorRead,
    HeadAnswered,
    Named,
    PersistLost,
    Recovered,
    ReportDue,
    RequestFailed,
    SnapshotAnswered,
    Started,
    Subscribed,
    SubscriptionLost,
)
from trimtab.replica.freshness import Certificate, Freshness
from trimtab.replica.intake import Effects, Intake, Parts
from trimtab.replica.keeping import Keeping
from trimtab.replica.line import Line
from trimtab.replica.pursuit import Pursuit
from trimtab.replica.serving import Admit, Hold, Serving, admit_all


class Replica:
    """Follows one line. Read its properties between events: they change by nothing but `handle`."""

    def __init__(  # noqa: PLR0913 - each is a choice of its own, named where it is made
        self,
        environment: str,
        trust: Trust,
        identity: Mapping[str, str],
        *,
        random: Callable[[], float],
        require: Mapping[str, str] | None = None,
        hold: Hold = "binding",
        admit: Admit = admit_all,
        keeps: bool = True,
        overrides: Overrides | None = None,
    ) -> None:
        """`random` gives numbers in [0, 1), for jitter only. `keeps` says whether anything is kept on a disk."""
        self.environment = environment
        self.line = Line(environment, trust)
        self.serving = Serving(identity, require, hold, admit, overrides)
        self.freshness = Freshness()
        self.keeping = Keeping(random, keeps=keeps)
        self.pursuit = Pursuit(random, self.line, self.freshness, self.keeping)
        self._alarms = Alarms()
        self._started = False
        self.intake = Intake(
            Parts(
                line=self.line,
                serving=self.serving,
                freshness=self.freshness,
                keeping=self.keeping,
                pursuit=self.pursuit,
                alarms=self._alarms,
            )
        )

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
        self.pursuit.requests.expire(now)
        yield from self._dispatch(event, now)
        self.freshness.redeem(self.line, self.serving.position)
        if self._started:
            yield from self.pursuit.pursue(now)
            promotion = self.keeping.promote(self.serving.position, now)
            if promotion is not None:
                yield promotion
        yield from self._alarms.last(self._lasting())

    def _dispatch(self, event: Event, now: float) -> Effects:
        match event:
            case Arrived():
                yield from self.intake.arrive(event.message, now)
            case HeadAnswered():
                yield from self._take_head(event, now)
            case ChangesAnswered():
                yield from self.intake.take_changes(event, now)
            case SnapshotAnswered():
                yield from self.intake.take_snapshot(event, now)
            case Recovered():
                yield from self.intake.recover(event)
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
                self.pursuit.requests.started(now, awaits_redis=event.awaits_redis)
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
            "override": "; ".join(f"{one.path} is not overridden: {one.why}" for one in serving.overridden if one.why),
            "below floor": f"{serving.position} is served, {self.floor} was served before" if below else "",
        }

    def _take_head(self, event: HeadAnswered, now: float) -> Effects:
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
        yield from self.intake.take_along(event.source, event.messages, now)
