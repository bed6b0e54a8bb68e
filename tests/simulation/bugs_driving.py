"""Seeded bugs of asking, keeping and serving."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TypeAlias

from trimtab.model import links, snapshots, views
from trimtab.model.changes import Change
from trimtab.model.errors import TrimtabError
from trimtab.model.links import START, Position
from trimtab.model.snapshots import Snapshot
from trimtab.model.views import View
from trimtab.replica.events import (
    Differences,
    Effect,
    Event,
    FloorRead,
    ForgetUncleanEnds,
    PersistChange,
    PersistSnapshot,
    PromoteProven,
    RaiseFloor,
    Recovered,
    SnapshotAnswered,
)
from trimtab.replica.intake import Intake
from trimtab.replica.keeping import Keeping
from trimtab.replica.machine import Replica
from trimtab.replica.pursuit import Pursuit
from trimtab.replica.requests import Pauses, Requests
from trimtab.replica.serving import Serving

Effects: TypeAlias = Generator[Effect, None, None]


class TrustingPursuit(Pursuit):
    """A new subscription counts at once, without a comparison of heads."""

    def subscription_changed(self, *, confirmed: bool) -> None:
        super().subscription_changed(confirmed=confirmed)
        self._confirmed = False
        self._freshness.subscribed = confirmed


class SteadyRequests(Requests):
    """No jitter."""

    def schedule_poll(self, now: float, poll_after: float) -> None:
        self._next_poll = now + poll_after


class HerdingRequests(Requests):
    """Doubt asks at once."""

    def hasten_poll(self, now: float, poll_after: float) -> None:
        del poll_after
        self._next_poll = min(self._next_poll, now)


class RestlessPauses(Pauses):
    """Asks again at once."""

    def grow(self, source: str, now: float, waited: float = 0.0) -> None: ...


class RestlessRequests(Requests):
    """Wakes up every hundredth of a second while it waits for an answer."""

    def wake_at(self, now: float) -> float:
        return max(now + 0.01, min(super().wake_at(now), self._next_poll))


class PersistingFirst(Intake):
    """Writes to the journal what arrives, and checks it afterwards."""

    def arrive(self, raw: bytes, now: float) -> Effects:
        try:
            yield PersistChange(links.read(raw).position, raw)
        except TrimtabError:
            return
        yield from super().arrive(raw, now)


class PersistingSnapshotFirst(Intake):
    """Replaces the generation on disk by whatever snapshot comes."""

    def take_snapshot(self, event: SnapshotAnswered, now: float) -> Effects:
        if event.statement:
            yield PersistSnapshot(snapshots.read_statement(event.statement).position, event.statement, event.body)
        yield from super().take_snapshot(event, now)


class Forgetful(Replica):
    """Never reads the floor."""

    def _note(self, event: Event, now: float) -> None:
        if not isinstance(event, FloorRead):
            super()._note(event, now)


class FloorlessKeeping(Keeping):
    """Never raises the floor."""

    def served(self, position: Position) -> RaiseFloor:
        del position
        return RaiseFloor(self.floor)


class HastyKeeping(Keeping):
    """What is served is proven."""

    def promote(self, served: Position, now: float) -> PromoteProven | None:
        del now
        if served <= self._proven:
            return None
        self._proven = served
        return PromoteProven(served)


class IgnoringLabels(Serving):
    """Advances the view whatever happens to labels."""

    def _resolve(
        self, snapshot: Snapshot, change: Change | None
    ) -> Generator[Effect, None, tuple[View, Differences | None]]:
        if change is None or self._built is None:
            return (yield from super()._resolve(snapshot, change))
        view, differences = views.advance(self._built[1], snapshot.state, change.paths)
        self._built = (snapshot, view)
        return view, differences


class IgnoringRequire(Serving):
    """Serves whatever the labels say."""

    def _unmet(self, view: View) -> str:
        del view
        return ""


class ForgettingUrgent(Serving):
    """Does not remember that an urgent revision is owed."""

    def offer(self, snapshot: Snapshot, change: Change | None = None, follows: Position = START) -> Effects:
        self._urgent = START
        now = snapshot.urgent == snapshot.position.revision
        yield from super().offer(snapshot if now else replace(snapshot, urgent=0), change, follows)


class HoldingUrgent(Serving):
    """Holds back urgent revisions like others."""

    def offer(self, snapshot: Snapshot, change: Change | None = None, follows: Position = START) -> Effects:
        yield from super().offer(replace(snapshot, urgent=0), change, follows)


class NoQuarantine(Intake):
    """Boots from the newest state however often that killed the bot."""

    def recover(self, event: Recovered) -> Effects:
        yield from super().recover(replace(event, quarantined=False))


class EndlessQuarantine(Serving):
    """Stays with the proven state for ever."""

    def offer(self, snapshot: Snapshot, change: Change | None = None, follows: Position = START) -> Effects:
        if self.quarantined is not None:
            self.quarantined = max(self.quarantined, snapshot.position)
        yield from super().offer(snapshot, change, follows)


class RancorousServing(Serving):
    """Never says that the unclean ends are used up."""

    def offer(self, snapshot: Snapshot, change: Change | None = None, follows: Position = START) -> Effects:
        for effect in super().offer(snapshot, change, follows):
            if not isinstance(effect, ForgetUncleanEnds):
                yield effect


class HastyForgiving(Intake):
    """Takes a quarantine that has begun for the end of it."""

    def recover(self, event: Recovered) -> Effects:
        yield from super().recover(event)
        if event.quarantined:
            yield ForgetUncleanEnds()


class Rewinding(Serving):
    """Serves what is offered, older or not."""

    def offer(self, snapshot: Snapshot, change: Change | None = None, follows: Position = START) -> Effects:
        if self.view is not None and snapshot.position <= self.position:
            return
        yield from super().offer(snapshot, change, follows)
        if change is not None and change.urgent and self._built is not None:
            yield from self._swap(self._built[0], self._built[1], None)
