"""One run: a store, a Redis, publishers, agents and a seed that decides what befalls them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.simulation import keys
from tests.simulation.channel import Channel
from tests.simulation.checks import Checks
from tests.simulation.faults import Faults
from tests.simulation.image import Entry, Image, Plan, Watcher
from tests.simulation.loop import Loop
from tests.simulation.node import Node
from tests.simulation.oracle import Key, Oracle
from tests.simulation.plans import Plans
from tests.simulation.publishing import Publisher
from tests.simulation.redis import Redis
from tests.simulation.store import Store
from tests.simulation.trace import Trace
from trimtab.model.links import Position
from trimtab.replica.events import Event
from trimtab.replica.machine import Replica

QUIET_POLL_MS = 30_000
REAL_KEYS_EVERY = 50


def _no_tampering(_replica: Replica, _node: Node) -> None:
    pass


def _boot_time(node: Node, _replica: Replica) -> float:
    return node.loop.now


@dataclass(frozen=True)
class Parts:
    """What a world is made of; a seeded bug replaces one of them."""

    replica: type[Replica] = Replica
    store: type[Store] = Store
    publisher: type[Publisher] = Publisher
    redis: type[Redis] = Redis
    tamper: Callable[[Replica, Node], None] = _no_tampering
    clock: Callable[[Node, Replica], float] = _boot_time
    hasty_subscription: bool = False


class World(Watcher):
    """See the module. `fired` counts what really happened, by kind of fault."""

    def __init__(self, seed: int, parts: Parts, kinds: Sequence[str] = ()) -> None:
        self.seed, self.parts = seed, parts
        self.loop, self.trace = Loop(seed), Trace()
        self.key, self.forger_key = keys.pair(seed, real=seed % REAL_KEYS_EVERY == 0)
        self.trust = self.key.trust()
        self.oracle = Oracle()
        self.checks = Checks(self)
        self.store = parts.store(self.loop, self.trace, self.key, self.oracle, self)
        self.redis = parts.redis(self.loop, self.loop.rng.choice([3, 20, 20]))
        self.redis.appended = self.checks.appended
        self.publisher = parts.publisher(self.loop, self.trace, self.redis, self.store)
        self.publisher.relays = self.loop.rng.randint(1, 2)
        self.channel = Channel(self.loop, self.fire)
        self.plans = Plans(self.loop.rng)
        self.faults = Faults(self)
        self.kinds = tuple(kinds)
        self.nodes: list[Node] = []
        self.fired: Counter[str] = Counter()
        self.events = 0
        self.healed = False
        self.contradicted = False
        self.redis_poisoned = False
        self.lost: set[Key] = set()
        self.disturbed_at = 0.0
        self.herded = 0
        self._superseded: dict[Key, float] = {}
        self._news: deque[float] = deque()
        self._pause = 0.0

    # -- what the parts ask and tell -----------------------------------------------------------------------------------

    def fire(self, kind: str) -> None:
        """A fault took effect: what was struck and changed nothing does not count."""
        self.fired[kind] += 1

    def count(self, node: Node, event: Event) -> None:
        """An agent is given an event."""
        self.events += 1
        self.trace.note(self.loop.now, node.name, type(event).__name__)

    def committed(self, image: Image, entries: Mapping[str, Entry], before: Image) -> None:
        """See `Watcher`."""
        self._news.append(self.loop.now)
        self._mark(self._heads)
        self.checks.committed(image, entries, before)

    def publish(self, image: Image, environments: Sequence[str]) -> None:
        """See `Watcher`."""
        self.publisher.publish(image, environments)

    def highest_seen(self) -> Position:
        """See `Watcher`: what Redis and the reports of the agents know."""
        known = [keys.head[0] for keys in self.redis.keys.values() if keys.head and not self.redis_poisoned]
        known += [node.reported for node in self.nodes]
        return Position(max((p.epoch for p in known), default=0), max((p.revision for p in known), default=0))

    def true_age(self, key: Key) -> float:
        """How long ago the primary moved on from a state; 0 while it is the newest."""
        return self.loop.now - self._superseded.get(key, self.loop.now)

    def redis_leads_on(self, node: Node, replica: Replica) -> bool:
        """Whether what Redis holds leads from an agent's line to its head: it may be trimmed beyond its snapshot."""
        keys = self.redis.of(node.environment)
        here = replica.line.position
        if keys.snapshot is not None:
            here = max(here, keys.snapshot.position)
        for entry in keys.stream:
            if entry.position > here:
                follows = (entry.position.epoch, entry.previous_revision) == (here.epoch, here.revision)
                if not follows or entry.raw in self.store.unreadable:
                    return False
                here = entry.position
        return True

    def news_within(self, seconds: float) -> int:
        """How many commits there were lately."""
        while self._news and self._news[0] < self.loop.now - seconds:
            self._news.popleft()
        return len(self._news)

    def _mark(self, before: Mapping[str, Key]) -> None:
        heads = self.store.heads()
        for environment, key in before.items():
            if heads.get(environment) != key:
                self._superseded[key] = self.loop.now
        for key in heads.values():
            self._superseded.pop(key, None)
        self._heads = heads

    _heads: Mapping[str, Key] = {}

    # -- what happens --------------------------------------------------------------------------------------------------

    def plan(self, *, urgent: bool = False) -> Plan:
        """A random edit."""
        return self.plans.edit(tuple(self.store.image.forest.parents), urgent=urgent)

    def commit(self) -> None:
        """A random commit."""
        self.store.submit(self.plan(urgent=self.loop.chance(0.05)))

    def commit_to(self, environment: str) -> None:
        """A commit that extends a given line."""
        value = str(self.loop.rng.randint(3, 60)).encode()
        self.store.submit(self.plans.put(environment, "trading.size", value))

    def lose(self, commits: int) -> int:
        """A standby was promoted, and so many commits are gone."""
        if commits:
            self.contradicted = True
            self._mark(self._heads)
            held = {entry.hash for line in self.store.image.lines.values() for entry in line}
            self.lost |= {key for key in self.oracle.states if key.hash not in held}
        return commits

    def declare(self) -> None:
        """Somebody declares the loss."""
        if self.store.diverged and self.store.up:
            self.fire("epoch")
            self.store.declare_epoch()

    def clean_redis(self) -> None:
        """Somebody throws away what a forger wrote; the relays write it anew."""
        self.redis.keys.clear()
        self.redis_poisoned = False
        self.disturbed_at = self.loop.now

    def pause(self, seconds: float) -> None:
        """The schedule leaves the world alone for a while."""
        self._pause = seconds

    def slow_polls(self) -> None:
        """The server asks for few polls; agents hear of it at their next."""
        self.store.poll_after_ms = QUIET_POLL_MS
        self.loop.run_until(self.loop.now + 2)

    def usual_polls(self) -> None:
        """Polls as configured by default."""
        self.store.poll_after_ms = 1000
