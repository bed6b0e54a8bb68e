"""One agent: a real replica, and a driver that is a model. Every effect is carried out in simulated time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.simulation.disk import SYNC_SECONDS, UNCLEAN_ENDS, Disk
from tests.simulation.invariants import crash_loop_is_remembered, tree_of
from tests.simulation.oracle import Key
from trimtab.model.links import START
from trimtab.model.values import Value
from trimtab.replica.events import (
    AskHead,
    Effect,
    Event,
    FetchChanges,
    FetchSnapshot,
    ForgetUncleanEnds,
    HeadAnswered,
    PersistChange,
    PersistLost,
    PersistSnapshot,
    PromoteProven,
    Raise,
    RaiseFloor,
    Recovered,
    Serve,
    Started,
    Ticked,
    Withhold,
)
from trimtab.replica.machine import Replica
from trimtab.replica.requests import PATIENCE_SECONDS
from trimtab.replica.serving import Hold

if TYPE_CHECKING:
    from tests.simulation.world import World

from tests.simulation.life import Answer, Life
from tests.simulation.reader import admit
from tests.simulation.wire import Wire


def is_quarantined(event: Recovered) -> bool:
    """Whether the proven state is to be served, and is an older one."""
    return event.quarantined and event.proven is not None and event.proven.position < event.snapshot.position


class Node:
    """A machine with one agent on it, from one crash to the next. `slept` counts the seconds it was suspended.

    `died` are the times at which its last crashes were found, for the checks.
    """

    WALL_START: ClassVar = 1_700_000_000.0

    def __init__(
        self,
        world: World,
        name: str,
        environment: str,
        identity: Mapping[str, str],
        *,
        require: Mapping[str, str] | None = None,
        hold: Hold = "binding",
    ) -> None:
        self.world, self.loop, self.name = world, world.loop, name
        self.environment, self.identity = environment, dict(identity)
        self.require = dict(require or {})
        self.hold: Hold = hold
        self.disk = Disk(environment, world.trust)
        self.replica: Replica | None = None
        self.life = Life()
        self.lives = 0
        self.suspended = self.catching_up = False
        self.wall = self.WALL_START
        self.slept = 0.0
        self.died: deque[float] = deque(maxlen=UNCLEAN_ENDS)
        self.wire = Wire(self)
        self.reported = START
        self._inbox: list[Event] = []
        self._wake_at = 0.0
        self.asked: dict[int, float] = {}
        self._syncing = False
        self._asleep_since = 0.0

    # -- a process -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new process: what the disk holds, then the feeds."""
        self.lives += 1
        before, self.life = self.life, Life(boot_floor=self.disk.floor)
        if self.lives > 1 and not before.stopped:
            self.died.append(self.loop.now)
        self._inbox.clear()
        self.asked.clear()
        self._wake_at = float("inf")
        self.replica = self.world.parts.replica(
            self.environment,
            self.world.trust,
            self.identity,
            random=Random(f"{self.world.seed} {self.name} {self.lives}").random,
            require=self.require,
            hold=self.hold,
            admit=admit,
        )
        self.world.parts.tamper(self.replica, self)
        for event in self.disk.boot(self.loop.now):
            if isinstance(event, Recovered):
                crash_loop_is_remembered(self, before, event)
            if isinstance(event, Recovered) and event.quarantined:
                self.life.crashed_upto = event.snapshot.position
            if isinstance(event, Recovered) and is_quarantined(event):
                self.life.quarantined = event.snapshot.position
                self.world.fire("quarantine")
            self.handle(event)
        self.handle(Started(awaits_redis=True))
        self.wire.subscribe()

    def reads_clock(self, replica: Replica) -> float:
        """The clock that a reader's question about freshness is answered by: the boot-time clock."""
        return self.world.parts.clock(self, replica)

    def tree(self, serve: Serve) -> dict[str, Value]:
        """Every path of a served view; those of the last two views are kept."""
        for view, tree in self.life.trees:
            if view is serve.view:
                return tree
        tree = tree_of(serve.view.root)
        self.life.trees.append((serve.view, tree))
        return tree

    def steady_gaps(self) -> list[float]:
        """The times between two polls of this process that nothing hastened or held up."""
        interval = self.life.poll_after
        gaps = [two - one for one, two in pairwise(self.life.polls)]
        return [gap for gap in gaps if 0.7 * interval < gap < 1.4 * interval]

    def crash(self) -> None:
        """The process is gone, between two instructions."""
        self.replica = None
        self.wire.drop_session()
        pending = len(self.disk.pending_journal)
        survivors = self.loop.rng.randint(0, pending)
        self.disk.crash(survivors, floor_survives=self.loop.chance(0.5))

    def stop(self) -> None:
        """The process ends cleanly."""
        self.replica = None
        self.wire.drop_session()
        self.disk.close()
        self.life.stopped = True

    def suspend(self) -> None:
        """The machine sleeps; its boot-time clock goes on."""
        self.suspended = True
        self._asleep_since = self.loop.now

    def resume(self) -> None:
        """The machine wakes up, and what waited for it comes at once."""
        self.suspended = False
        self.slept += self.loop.now - self._asleep_since
        self._wake_at = float("inf")
        waiting, self._inbox = self._inbox, []
        self.catching_up = True
        for event in waiting:
            self.handle(event)
        self.handle(Ticked())
        self.catching_up = False

    # -- events and effects --------------------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Give the replica one event, carry out what it wishes, and check what came of it."""
        replica = self.replica
        if replica is None:
            return
        if self.suspended:
            self._inbox.append(event)
            return
        self.world.count(self, event)
        if isinstance(event, HeadAnswered) and event.source == "postgres":
            self._note_answer(event)
        checks = self.world.checks
        seen = checks.before(self, replica, event)
        effects: list[Effect] = []
        for effect in replica.handle(event, self.loop.now):
            effects.append(effect)
            self._carry(effect)
        checks.after(self, replica, event, effects, seen)
        self._schedule(replica)

    def later(self, delay: float, event: Event) -> None:
        """Give this process an event in a while, if it still lives then."""
        life = self.lives

        def come() -> None:
            if self.lives == life:
                self.handle(event)

        self.loop.after(delay, come)

    def _schedule(self, replica: Replica) -> None:
        due = replica.wake_at(self.loop.now)
        if due >= self._wake_at:
            return
        self._wake_at = due
        life = self.lives

        def wake() -> None:
            if self.lives == life and self._wake_at == due and not self.suspended:
                self._wake_at = float("inf")
                self.handle(Ticked())

        self.loop.after(due - self.loop.now, wake)

    def _carry(self, effect: Effect) -> None:
        checks, wire = self.world.checks, self.wire
        match effect:
            case AskHead():
                checks.asked(self, effect.source, poll=True, request=effect.request)
                wire.ask(effect.source, effect.request, wire.head(effect))
            case FetchChanges() | FetchSnapshot():
                checks.asked(self, effect.source, poll=False, request=effect.request)
                wire.ask(effect.source, effect.request, wire.data(effect))
            case Serve():
                self.life.served, self.life.withheld = effect, False
                self.reported = max(self.reported, effect.position)
            case Withhold():
                self.life.withheld = True
            case Raise():
                self.world.trace.note(self.loop.now, self.name, "alarm", effect.alarm, effect.text)
            case _:
                self._keep(effect)

    def _keep(self, effect: Effect) -> None:
        match effect:
            case PersistChange():
                if not self.disk.append(effect.position, effect.message):
                    self.later(0.01, PersistLost())
                self._sync_soon()
            case PersistSnapshot():
                self.disk.begin(effect.position, effect.statement, effect.body)
            case RaiseFloor():
                self.disk.raise_floor(effect.position)
                self._sync_soon()
            case PromoteProven():
                self.disk.promote(effect.position)
            case ForgetUncleanEnds():
                self.disk.forgets = True
                self._sync_soon()
            case _:
                pass

    def _sync_soon(self) -> None:
        """At most one sync a second."""
        if self._syncing:
            return
        self._syncing = True
        life = self.lives

        def sync() -> None:
            self._syncing = False
            if self.lives == life and self.replica is not None:
                self.disk.sync()

        self.loop.after(SYNC_SECONDS, sync)

    def _note_answer(self, event: HeadAnswered) -> None:
        asked_at = self.asked.pop(event.request, None)
        if asked_at is None or self.loop.now - asked_at >= PATIENCE_SECONDS["postgres head"]:
            return  # too late: nobody waits for it any more
        if self.life.poll_after != event.poll_after_ms / 1000:
            self.life.poll_after = event.poll_after_ms / 1000
            self.life.intervals.append((self.loop.now, self.life.poll_after))
        if not event.is_replica:
            key = Key(self.environment, event.position.epoch, event.position.revision, event.hash)
            self.life.answers.append(Answer(asked_at, key, event.store_revision))
