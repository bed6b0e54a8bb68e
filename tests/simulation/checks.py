"""When which invariant is looked at: around every event of an agent, and at every step of store and publisher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation import honesty, invariants, restraint
from tests.simulation.image import Entry, Image
from tests.simulation.invariants import Violation, served_key
from tests.simulation.oracle import Key
from tests.simulation.redis import Session
from trimtab.model.links import START, Position
from trimtab.model.reports import Status
from trimtab.replica.events import (
    ChangesAnswered,
    Effect,
    Event,
    HeadAnswered,
    PersistChange,
    PersistSnapshot,
    PromoteProven,
    Serve,
    Ticked,
)
from trimtab.replica.machine import Replica
from trimtab.replica.requests import PATIENCE_SECONDS, Kind

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World

INFINITE = float("inf")
GRACE_SECONDS = 6.0
CATCH_UP_SECONDS = 20.0
"""A confirmed subscription shows what Redis had at that moment within this time, Postgres or not."""


@dataclass(frozen=True)
class Seen:
    """An agent before an event."""

    line: Key | None
    served: Serve | None


class Checks:
    """Runs the invariants of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._asked_at: dict[tuple[str, int, int], float] = {}
        self._lines_when_asked: dict[tuple[str, int, int], Position] = {}

    # -- around an agent's event ---------------------------------------------------------------------------------------

    def before(self, node: Node, replica: Replica, event: Event) -> Seen:
        if isinstance(event, Ticked):
            node.life.wakes.append(node.loop.now)
        snapshot = replica.line.snapshot
        line = None
        if snapshot is not None:
            line = Key(node.environment, snapshot.position.epoch, snapshot.position.revision, snapshot.hash)
        return Seen(line, node.life.served)

    def after(self, node: Node, replica: Replica, event: Event, effects: Sequence[Effect], seen: Seen) -> None:
        for effect in effects:
            self._effect(node, effect, seen)
        kept = START if seen.line is None else Position(seen.line.epoch, seen.line.revision)
        for effect in effects:
            if isinstance(effect, PersistChange | PersistSnapshot):
                restraint.persisted_only_when_verified(node, effect, kept)
                kept = max(kept, effect.position)
        if effects:
            honesty.serve_is_remembered(node, effects)
            restraint.polls_are_spread(node, event, effects)
        honesty.forks_are_told(node, replica, event, seen.line)
        honesty.floor_is_kept(node, replica)
        invariants.urgent_is_served(node, replica)
        invariants.requirement_is_kept(node, replica)
        invariants.quarantine_is_kept_and_ends(node, replica)
        restraint.requests_are_bounded(node)
        self.probe(node)

    def _effect(self, node: Node, effect: Effect, seen: Seen) -> None:
        if isinstance(effect, Serve):
            invariants.never_backwards(node, effect)
            invariants.never_forged_or_foreign(node, effect)
            invariants.never_torn(node, effect)
            if seen.served is None or not node.life.first_served:
                invariants.events_match_views(node, None, effect)
            else:
                invariants.events_match_views(node, node.life.told, effect)
            node.life.told = effect
            node.life.first_served[effect.position] = node.loop.now
            node.life.highest = effect.position
        elif isinstance(effect, PromoteProven):
            restraint.proven_was_served_long_enough(node, effect)
        elif isinstance(effect, PersistChange) and restraint.urgent_of(effect):
            node.life.urgent = max(node.life.urgent, effect.position)

    def probe(self, node: Node) -> None:
        """What a reader could ask at any moment."""
        replica = node.replica
        if replica is None or node.suspended:
            return
        honesty.staleness_never_lies(node, replica)
        honesty.status_never_lies(node, replica)
        honesty.receipts_never_lie(node, replica)
        honesty.alarms_are_true(node, replica)

    def asked(self, node: Node, source: str, *, poll: bool, request: int) -> None:
        """An agent sends a request."""
        self._asked_at[node.name, node.lives, request] = node.loop.now
        kind = "poll" if poll and source == "postgres" else "head" if poll else "data"
        node.life.asks.append((node.loop.now, kind))
        if node.replica is not None and kind == "poll":
            self._lines_when_asked[node.name, node.lives, request] = node.replica.line.position

    def line_when_asked(self, node: Node, event: HeadAnswered) -> Position | None:
        """Where an agent's line stood when it asked what is answered now; the floor counts as well."""
        line = self._lines_when_asked.get((node.name, node.lives, event.request))
        return None if line is None else max(line, node.life.boot_floor)

    def is_awaited(self, node: Node, event: ChangesAnswered | HeadAnswered) -> bool:
        """Whether an agent surely still waits for this answer: it may give up on Redis, or when its patience ends."""
        asked_at = self._asked_at.get((node.name, node.lives, event.request), -INFINITE)
        kind: Kind = "changes" if isinstance(event, ChangesAnswered) else "postgres head"
        return event.source == "postgres" and node.loop.now - asked_at < PATIENCE_SECONDS[kind]

    def subscribed(self, node: Node, session: Session) -> None:
        """A subscription was confirmed: what Redis has now must reach the agent soon, by Redis alone if need be."""
        world = self.world
        head = world.redis.of(node.environment).head
        if head is None or head[0].epoch != world.store.image.epoch or world.redis_poisoned:
            return
        key = Key(node.environment, head[0].epoch, head[0].revision, head[1])
        at, life = node.loop.now, node.lives

        def look(*, again: bool = False) -> None:
            replica = node.replica
            undisturbed = node.lives == life and node.wire.session is session and node.wire.disturbed_at < at
            if replica is None or not undisturbed or world.disturbed_at >= at or node.suspended:
                return
            if replica.status(node.loop.now) in {Status.FORKED, Status.AHEAD}:
                return
            if again:
                catches_up_after_resubscribe(world, node, replica, key)
            elif world.redis_leads_on(node, replica):  # the way may have opened this very moment
                node.loop.after(GRACE_SECONDS, lambda: look(again=True))

        node.loop.after(CATCH_UP_SECONDS, look)

    # -- store and publisher -------------------------------------------------------------------------------------------

    def committed(self, image: Image, entries: Mapping[str, Entry], before: Image) -> None:
        """Called at each commit, with the database before it."""
        revisions_are_ordered_like_commits(self.world, image, entries, before)
        inheritance_reaches_every_line(self.world, entries)
        for node in self.world.nodes:
            self.probe(node)

    def appended(self, environment: str, entry: Entry) -> None:
        """Called when Redis appends to a stream."""
        published_only_after_committed(self.world, entry)
        stream_has_no_gap(self.world, environment)


def catches_up_after_resubscribe(world: World, node: Node, replica: Replica, key: Key) -> None:
    """What Redis had when a subscription was confirmed has reached the agent, through Redis alone if need be."""
    if replica.line.position < Position(key.epoch, key.revision) and world.redis_leads_on(node, replica):
        raise Violation("catches_up_after_resubscribe", f"{node.name} is at {replica.line.position}, not {key}")


def revisions_are_ordered_like_commits(world: World, image: Image, entries: Mapping[str, Entry], before: Image) -> None:
    """Each commit has the next revision of its database; a new epoch begins above every revision ever used."""
    position = next(iter(entries.values())).position
    if position.revision <= before.revision or len({entry.position for entry in entries.values()}) != 1:
        raise Violation("revisions_are_ordered_like_commits", f"{position} was committed after {before.revision}")
    seen = world.highest_seen()
    if image.epoch > before.epoch and (position.epoch <= seen.epoch or position.revision <= seen.revision):
        raise Violation("revisions_are_ordered_like_commits", f"{position} was used: {seen}")


def inheritance_reaches_every_line(world: World, entries: Mapping[str, Entry]) -> None:
    """A commit extends the line of the edited environment and of every one that inherits from it at that moment."""
    for environment, entry in entries.items():
        key = world.oracle.messages[entry.raw]
        if key.hash != entry.hash or (key.environment, key.revision) != (environment, entry.position.revision):
            raise Violation("inheritance_reaches_every_line", f"the link of {environment} does not follow its line")
    edited = world.store.edited(entries)
    expected = world.oracle.reached(edited)
    if not expected <= set(entries):
        raise Violation("inheritance_reaches_every_line", f"{edited} reaches {expected}, linked are {set(entries)}")


def published_only_after_committed(world: World, entry: Entry) -> None:
    """Nothing enters a stream that Postgres does not hold."""
    if entry.raw not in world.oracle.messages:
        raise Violation("published_only_after_committed", f"{entry.position} is in Redis and in no database")


def stream_has_no_gap(world: World, environment: str) -> None:
    """Each entry of a stream follows the one before it."""
    stream = world.redis.of(environment).stream
    if len(stream) >= 2 and stream[-1].previous_hash != stream[-2].hash:
        raise Violation("stream_has_no_gap", f"{environment}: {stream[-1].position} after {stream[-2].position}")


def acknowledged_commits_survive(world: World) -> None:
    """What a writer was told is in the database, or was lost at a failover that an epoch declares."""
    held = world.store.changes()
    for one in world.store.acknowledged:
        if one.change not in held and one not in world.store.declared:
            raise Violation("acknowledged_commits_survive", f"{one.epoch}-{one.revision} is gone")


def converges(world: World) -> None:
    """Some time after the last fault every agent is at the head, serves it, and can prove it."""
    for node in world.nodes:
        replica, head = node.replica, world.store.heads().get(node.environment)
        if replica is None or head is None:
            raise Violation("converges", f"{node.name} does not run, or follows nothing")
        now, key = node.loop.now, served_key(node)
        at_head = replica.line.snapshot is not None and replica.line.snapshot.hash == head.hash
        if not at_head or key != head or node.life.withheld:
            raise Violation("converges", f"{node.name}: line {replica.line.position}, serves {key}, head {head}")
        status, proven = replica.status(now), replica.freshness.proven
        if status is not Status.LIVE or proven < Position(head.epoch, world.store.image.revision):
            raise Violation("converges", f"{node.name} says {status}, {replica.alarms(now)}, proven {proven}")
