"""The node: the sidecar's face towards its follower, and what every local face reads.

It holds the served state as the follower left it, and how far that can be trusted. Whoever waits for news waits for an
event that is set and replaced at every swap: nobody has a queue here, so nobody can fill one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from trimtab import clock, reader
from trimtab.model import labels, views
from trimtab.model.changes import Change
from trimtab.model.links import START, Position
from trimtab.model.overriding import LocalOverride, Overrides
from trimtab.model.reports import AttachedBots, Refusal, Status
from trimtab.model.snapshots import Snapshot
from trimtab.model.states import State
from trimtab.model.views import View
from trimtab.reader import Held
from trimtab.replica.events import Serve
from trimtab.standing import Standing
from trimtab_sidecar.alarms import AlarmLog
from trimtab_sidecar.history import History
from trimtab_sidecar.overrides.overlay import ALARM as OVERRIDE
from trimtab_sidecar.overrides.overlay import NONE, Overlaid, Overlay
from trimtab_sidecar.publishing import NotPublishing, Publishing

TEND_SECONDS: Final = 0.5
VIEWS: Final = 256
"""Views of different labels that are kept; building one takes microseconds, whatever is in it."""


class Watcher(Protocol):
    """Counts what happens to a node. Must not raise."""

    def applied(self, seconds: float, change: Change | None) -> None:
        """A state is served, and it took so long; `change` is the one that led there, if it was one."""
        ...

    def stood(self, standing: Standing) -> None:
        """What is true may be new."""
        ...


class Node:
    """See `trimtab.standing.Face`. `identity` are the sidecar's own labels, which its readers inherit."""

    def __init__(
        self,
        environment: str,
        identity: Mapping[str, str],
        watcher: Watcher | None = None,
        attached: Callable[[], AttachedBots] | None = None,
        overrides: Overrides | None = None,
    ) -> None:
        """Nothing is served before the follower serves something. `overrides` are the node's own."""
        self.environment: Final = environment
        self.identity: Final = dict(identity)
        self.held: Held = reader.NOTHING
        self._verified = Snapshot(environment, START, b"", views.empty({}).state)
        self._overlay = Overlay(identity, overrides or NONE)
        self.overlaid = Overlaid(self._verified)
        self.standing = Standing()
        self.history = History()
        self._publishing: Publishing = NotPublishing()
        self._is_publishing = False
        self._watcher = watcher
        self._attached = attached
        self._stood_at = START
        self.own_alarms: dict[str, str] = {}
        """What other parts of the sidecar have to say: name → text."""
        self.reader_alarms: dict[str, str] = {}
        """The same of what every reader should know, the attached bots too."""
        self._alarm_log = AlarmLog()
        self._news = asyncio.Event()
        self._views: dict[tuple[tuple[str, str], ...], View] = {}

    # -- what the local faces read -------------------------------------------------------------------------------------

    @property
    def position(self) -> Position:
        """The served position, (0, 0) before the first."""
        return self.held.position

    @property
    def state(self) -> State:
        """The served state, with the node's own overrides in it."""
        return self.overlaid.snapshot.state

    @property
    def has_data(self) -> bool:
        """Whether validated data are served."""
        return self.position > START

    @property
    def ready(self) -> bool:
        """Whether they are, and bots that attach find them. What comes later and cannot be shared is an alarm."""
        return self.has_data and self._publishing.visible

    @property
    def status(self) -> Status:
        """How far the freshness of what is served can be trusted."""
        return self.standing.status(clock.now())

    @property
    def staleness_seconds(self) -> float:
        """Seconds since what is served was last proven to be the newest; infinite if it never was."""
        return self.standing.freshness.staleness(clock.now())

    @property
    def known_alarms(self) -> Mapping[str, str]:
        """What a person should know now: name → text."""
        return {**self.standing.alarms, **self.alarms()}

    @property
    def feed(self) -> str:
        """What keeps the served state up to date now: redis, postgres, disk, or none."""
        if not self.has_data:
            return "none"
        status = self.status
        if status is Status.LIVE:
            return "redis"
        if status is Status.DEGRADED:
            return "postgres"
        return "disk" if status is Status.OFFLINE else "none"

    @property
    def news(self) -> asyncio.Event:
        """Set at the next swap. Take it before looking at the state."""
        return self._news

    def view(self, identity: Mapping[str, str]) -> View:
        """What a process with these identity labels sees now. A bounded number of views is kept until the next swap."""
        key = tuple(sorted(identity.items()))
        found = self._views.get(key)
        if found is None:
            if len(self._views) >= VIEWS:
                self._views.clear()
            found = self._views[key] = views.build(self.state, labels.effective(self.state, identity))
        return found

    def ring(self) -> None:
        """Have everyone who waits look again."""
        rung, self._news = self._news, asyncio.Event()
        rung.set()

    def share(self, publishing: Publishing) -> None:
        """Publish what is served from now on; before the first state."""
        self._publishing = publishing

    def unshare(self) -> None:
        """Attest once more that nobody follows, and give shared memory back."""
        self.attest()
        publishing, self._publishing = self._publishing, NotPublishing()
        publishing.close()

    def attest(self) -> None:
        """Say in shared memory what is true, and that we live."""
        told = {**self.standing.alarms, **self.reader_alarms}
        self._publishing.attest(replace(self.standing, alarms=told), self._stood_at)
        self._alarm_log.note({**told, **self._publishing.alarms})  # who adds to `own_alarms` says it

    async def tend(self) -> None:
        """Attest twice a second, and tidy up, for ever."""
        while True:
            self.attest()
            for _ in self._publishing.tidy() if not self._is_publishing else ():
                await asyncio.sleep(0)
            await asyncio.sleep(TEND_SECONDS)

    # -- Face ----------------------------------------------------------------------------------------------------------

    def judge(self, view: View, position: Position) -> Sequence[Refusal]:  # noqa: ARG002 - no bindings here
        """See `Face.judge`."""
        return ()

    def refusals(self) -> tuple[Refusal, ...]:
        """See `Face.refusals`."""
        return ()

    def alarms(self) -> Mapping[str, str]:
        """See `Face.alarms`."""
        return {**self.own_alarms, **self.reader_alarms, **self._publishing.alarms}

    def attached(self) -> AttachedBots | None:
        """See `Face.attached`."""
        return None if self._attached is None else self._attached()

    def overridden(self) -> tuple[LocalOverride, ...]:
        """See `Face.overridden`."""
        return self.overlaid.told

    def serve(self, served: Serve, *, first: bool) -> Iterator[None]:
        """See `Face.serve`."""
        while self._is_publishing:  # overrides: they are done in a moment
            yield
        old = self.held
        if served.position <= old.position:
            return  # a follower that began again has caught up with what is served
        started = clock.now()
        change = None if first else served.change
        snapshot = Snapshot(self.environment, served.position, served.hash, served.view.state)
        touched = None if change is None or change.needs_snapshot else [edit.path for edit in change.edits]
        self._is_publishing = True
        try:
            overlaid = yield from self._overlay.over(snapshot, touched)
            self.held = reader.hold(served.view, served.position, served.hash)
            self._swap(snapshot, overlaid)
            seen = overlaid.widened(change)
            self.history.add(served.position, overlaid.snapshot.state, seen, overlaid.variant)
            yield from self._publishing.publish(overlaid.snapshot, seen, old.position)
        finally:
            self._is_publishing = False
        self.ring()
        if self._watcher is not None:
            self._watcher.applied(clock.now() - started, change)

    def override(self, overrides: Overrides) -> Iterator[None]:
        """Serve the same revision with other overrides: one publication, in steps; none where nothing differs."""
        while self._is_publishing:
            yield
        self._overlay.want(overrides)
        if not self.has_data:
            return
        self._is_publishing = True
        try:
            overlaid = yield from self._overlay.over(self._verified, None)
            self._swap(self._verified, overlaid)
            if overlaid.moved:
                self.history.forget()
                own = overlaid.widened(Change(environment=self.environment, author="", reason="", time=""))
                yield from self._publishing.publish(overlaid.snapshot, own, self.position)
                self.ring()
        finally:
            self._is_publishing = False

    def _swap(self, verified: Snapshot, overlaid: Overlaid) -> None:
        self._verified, self.overlaid = verified, overlaid
        self._views.clear()
        self.reader_alarms.pop(OVERRIDE, None)
        if overlaid.alarm:
            self.reader_alarms[OVERRIDE] = overlaid.alarm

    def withhold(self, reason: str) -> None:
        """See `Face.withhold`: never asked for, because a sidecar requires no labels."""
        raise AssertionError(reason)

    def stand(self, standing: Standing) -> None:
        """See `Face.stand`."""
        known, self.standing, self._stood_at = self.standing, standing, self.position
        if _essence(known) != _essence(standing):
            self.attest()
        if self._watcher is not None:
            self._watcher.stood(standing)


def _essence(standing: Standing) -> tuple[object, ...]:
    """What readers of shared memory should know at once, and not only at the next heartbeat."""
    freshness = standing.freshness
    return freshness.proven, freshness.subscribed, freshness.ahead, freshness.forked, standing.following
