"""One agent: a real replica, and a driver that is a model. Every effect is carried out in simulated time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.simulation import feeds
from tests.simulation.invariants import tree_of
from tests.simulation.disk import SYNC_SECONDS, Disk
from tests.simulation.oracle import Key
from tests.simulation.redis import Session
from trimtab.model.links import START, Position
from trimtab.model.reports import Refusal
from trimtab.model.values import Value
from trimtab.model.views import View
from trimtab.replica.events import (
    Arrived,
    AskHead,
    Effect,
    Event,
    FetchChanges,
    FetchSnapshot,
    HeadAnswered,
    Named,
    PersistChange,
    PersistLost,
    PersistSnapshot,
    PromoteProven,
    Raise,
    RaiseFloor,
    Recovered,
    RequestFailed,
    Serve,
    Source,
    Started,
    Subscribed,
    SubscriptionLost,
    Ticked,
    Withhold,
)
from trimtab.replica.machine import Replica
from trimtab.replica.requests import PATIENCE_SECONDS
from trimtab.replica.serving import Hold

if TYPE_CHECKING:
    from tests.simulation.world import World

REFUSED_PATH = "risk.global.max_leverage"
REFUSED_VALUE = 99


@dataclass(frozen=True)
class Answer:
    """A primary's answer, as the world knows it: when it was asked for, and what was the head."""

    asked_at: float
    key: Key
    store_revision: int


@dataclass
class Life:
    """What one process did, kept by the driver for the checks and nobody else."""

    boot_floor: Position = START
    first_served: dict[Position, float] = field(default_factory=dict[Position, float])
    highest: Position = START
    served: Serve | None = None
    withheld: bool = False
    urgent: Position = START
    quarantined: Position | None = None
    proven: Position = START
    poll_after: float = 0.5
    answers: deque[Answer] = field(default_factory=lambda: deque[Answer](maxlen=64))
    asks: deque[tuple[float, str]] = field(default_factory=deque[tuple[float, str]])
    wakes: deque[float] = field(default_factory=deque[float])
    polls: list[float] = field(default_factory=list[float])
    promoted: Position = START
    told: Serve | None = None
    trees: deque[tuple[View, dict[str, Value]]] = field(default_factory=lambda: deque(maxlen=2))
    intervals: deque[tuple[float, float]] = field(default_factory=lambda: deque([(0.0, 0.5)]))

    def fastest(self, since: float) -> float:
        """The shortest poll interval that held at any time since then."""
        while len(self.intervals) > 1 and self.intervals[1][0] < since:
            self.intervals.popleft()
        return min(interval for _, interval in self.intervals)


def admit(view: View, position: Position) -> Sequence[Refusal]:
    """A binding whose model refuses one value."""
    if view.index.get(REFUSED_PATH) == REFUSED_VALUE:
        return (Refusal(REFUSED_PATH, position.revision, "too much"),)
    return ()


class Node:
    """A machine with one agent on it, from one crash to the next. `slept` counts the seconds it was suspended."""

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
        self.require, self.hold = dict(require or {}), hold
        self.disk = Disk(environment, world.trust)
        self.replica: Replica | None = None
        self.life = Life()
        self.lives = 0
        self.suspended = self.catching_up = False
        self.cut: set[Source] = set()
        self.misrouted = 0.0
        self.slow = 0.0
        self.wall = self.WALL_START
        self.slept = 0.0
        self.disturbed_at = 0.0
        self.session: Session | None = None
        self.reported = START
        self._inbox: list[Event] = []
        self._wake_at = 0.0
        self._asked: dict[int, float] = {}
        self._syncing = False
        self._asleep_since = 0.0

    # -- a process -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new process: what the disk holds, then the feeds."""
        self.lives += 1
        self.life = Life(boot_floor=self.disk.floor)
        self._inbox.clear()
        self._asked.clear()
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
            if isinstance(event, Recovered) and event.quarantined and event.proven is not None:
                if event.proven.position < event.snapshot.position:
                    self.life.quarantined = event.snapshot.position
                    self.world.fire("quarantine")
            self.handle(event)
        self.handle(Started())
        self.subscribe()

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
        self.drop_session()
        pending = len(self.disk.pending_journal)
        survivors = self.loop.rng.randint(0, pending)
        self.disk.crash(self.loop.now, survivors, floor_survives=self.loop.chance(0.5))

    def stop(self) -> None:
        """The process ends cleanly."""
        self.replica = None
        self.drop_session()
        self.disk.close()

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
        match effect:
            case AskHead():
                self.world.checks.asked(self, effect.source, poll=True, request=effect.request)
                self._ask(effect.source, effect.request, self._head(effect))
            case FetchChanges() | FetchSnapshot():
                self.world.checks.asked(self, effect.source, poll=False, request=effect.request)
                self._ask(effect.source, effect.request, self._data(effect))
            case Serve():
                self.life.served, self.life.withheld = effect, False
                self.reported = max(self.reported, effect.position)
            case Withhold():
                self.life.withheld = True
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
            case Raise():
                self.world.trace.note(self.loop.now, self.name, "alarm", effect.alarm, effect.text)
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
        asked_at = self._asked.pop(event.request, None)
        if asked_at is None or self.loop.now - asked_at >= PATIENCE_SECONDS["postgres head"]:
            return  # too late: nobody waits for it any more
        if self.life.poll_after != event.poll_after_ms / 1000:
            self.life.poll_after = event.poll_after_ms / 1000
            self.life.intervals.append((self.loop.now, self.life.poll_after))
        if not event.is_replica:
            key = Key(self.environment, event.position.epoch, event.position.revision, event.hash)
            self.life.answers.append(Answer(asked_at, key, event.store_revision))

    # -- requests ------------------------------------------------------------------------------------------------------

    def _head(self, effect: AskHead) -> Callable[[], Event]:
        if effect.source == "redis":
            return lambda: feeds.redis_head(self.world.redis.of(self.environment), effect.request)
        self._asked[effect.request] = self.loop.now
        self.life.polls.append(self.loop.now)

        def answer() -> Event:
            lagging = self._lagging()
            store = self.world.store
            image = store.image if lagging is None else store.standby(lagging)
            return feeds.postgres_head(
                image,
                self.environment,
                effect.request,
                is_replica=lagging is not None,
                poll_after_ms=store.poll_after_ms,
            )

        return answer

    def _data(self, effect: FetchChanges | FetchSnapshot) -> Callable[[], Event]:
        def answer() -> Event:
            store, keys = self.world.store, self.world.redis.of(self.environment)
            lagging = self._lagging()
            image = store.image if lagging is None else store.standby(lagging)
            if isinstance(effect, FetchSnapshot):
                signed = keys.snapshot if effect.source == "redis" else image.snapshots.get(self.environment)
                held = None if signed is None else (signed.statement, signed.body)
                return feeds.snapshot(effect.source, held, effect.request)
            if effect.source == "redis":
                newest = keys.head[0] if keys.head else START
                return feeds.changes("redis", keys.stream, newest, effect.after, effect.request)
            line = image.lines.get(self.environment, ())
            newest = line[-1].position if line else START
            return feeds.changes("postgres", line, newest, effect.after, effect.request)

        return answer

    def _lagging(self) -> float | None:
        """How far the standby is behind that answers instead of the primary."""
        if self.misrouted > 0:
            self.world.fire("stale replica")
            return self.misrouted
        return None

    def _ask(self, source: Source, request: int, answer: Callable[[], Event]) -> None:
        """Carry a request there and its answer back; the answer is of some instant between."""
        life = self.lives
        there, back = self._latency(), self._latency()
        failed = RequestFailed(source=source, request=request, reason="unreachable")

        def arrive() -> None:
            if self.lives != life:
                return
            if not self._reachable(source):
                if self.loop.chance(0.7):
                    self.later(back, failed)
                return
            self.later(back, answer())

        self.loop.after(there, arrive)

    def _latency(self) -> float:
        return self.loop.between(0.0005, 0.02) + (self.loop.between(0, self.slow) if self.slow else 0.0)

    def _reachable(self, source: Source) -> bool:
        up = self.world.redis.up if source == "redis" else self.world.store.up
        return up and source not in self.cut

    # -- the subscription ----------------------------------------------------------------------------------------------

    def subscribe(self) -> None:
        """Ask for a subscription; the confirmation comes later, and only then is it reported."""
        life = self.lives
        there, back = self._latency(), self._latency()

        def confirm(session: Session) -> None:
            if self.lives == life and self.session is session and session in self.world.redis.sessions:
                if not self.world.parts.hasty_subscription:
                    self.handle(Subscribed())
                if not self.suspended:
                    self.world.checks.subscribed(self, session)

        def arrive() -> None:
            if self.lives != life or self.replica is None or self.session is not None:
                return
            if not self._reachable("redis"):
                self.loop.after(self.loop.between(0.2, 1.0), self.subscribe)
                return
            session = Session(self.environment, self._receive)
            self.session = session
            self.world.redis.sessions.append(session)
            self.loop.after(back, lambda: confirm(session))

        if self.world.parts.hasty_subscription:
            self.handle(Subscribed())
        self.loop.after(there, arrive)

    def drop_session(self) -> None:
        """The server's side of the subscription is gone."""
        if self.session is not None:
            if self.session in self.world.redis.sessions:
                self.world.redis.sessions.remove(self.session)
            self.session = None

    def lose_subscription(self, *, silently: bool) -> None:
        """The connection breaks; the client notices at its next ping, or its library mends it without a word."""
        if self.replica is None:
            return
        self.drop_session()
        self.disturbed_at = self.loop.now
        noticed = self.loop.between(0.05, 5.0)
        life = self.lives

        def again() -> None:
            if self.lives == life and self.session is None:
                if not silently:
                    self.handle(SubscriptionLost("no pong"))
                self.subscribe()

        self.loop.after(noticed, again)

    def _receive(self, notice: Arrived | Named) -> None:
        """The channel's end at this node: the channel may do anything to a notice on its way."""
        if "redis" in self.cut:
            return
        for delay, event in self.world.channel.carry(notice):
            self.later(delay, event)
