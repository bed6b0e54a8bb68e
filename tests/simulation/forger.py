"""Somebody who can write to Redis, knows everything public, and has no key of ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.image import TIME, Entry, Signed
from tests.simulation.redis import Keys
from trimtab.model import links, snapshots
from trimtab.model.changes import Change
from trimtab.model.items import LeafEdit
from trimtab.model.links import Link, Message, Position
from trimtab.model.snapshots import Snapshot
from trimtab.replica.events import Arrived, Named

if TYPE_CHECKING:
    from tests.simulation.world import World

STORM = 60
STORM_SECONDS = 3.0


class Forger:
    """What he does to one environment, one method each."""

    def __init__(self, world: World) -> None:
        self._world, self._rng = world, world.loop.rng

    def forged(self, environment: str) -> None:
        """The very next link, right in everything but the key."""
        entry = self._next(environment)
        if entry is not None:
            self._world.redis.announce(environment, Arrived(entry.raw))

    def foreign(self, environment: str) -> None:
        """A message of another environment, signed by us."""
        others = [raw for raw, key in self._world.oracle.messages.items() if key.environment != environment]
        self._world.redis.announce(environment, Arrived(self._rng.choice(others)))

    def replayed(self, environment: str) -> None:
        """Messages of ours from the past, those of a lost history too."""
        ours = [raw for raw, key in self._world.oracle.messages.items() if key.environment == environment]
        for _ in range(3):
            if ours:
                self._world.redis.announce(environment, Arrived(self._rng.choice(ours)))

    def tampered(self, environment: str) -> None:
        """A message of ours with another change, or other fields in its link."""
        entry = self._world.store.image.head(environment)
        if entry is None:
            return
        header, _, change = entry.raw.partition(b"\n")
        revision = entry.position.revision
        more = str(revision + 1).encode()
        for raw in (
            header + b"\n" + change.replace(b"sim", b"mis"),
            header.replace(b'"revision":%d' % revision, b'"revision":' + more) + b"\n" + change,
            header.replace(b'"epoch":1', b'"epoch":2') + b"\n" + change,
            change,
        ):
            self._world.redis.announce(environment, Arrived(raw))

    def hinted(self, environment: str) -> None:
        """Names of revisions that nobody made."""
        epoch, revision = self._world.store.image.epoch, self._world.store.image.revision
        for position in (Position(epoch, revision + 10**6), Position(epoch + 7, 3)):
            self._world.redis.announce(environment, Named(position))

    def storm(self, environment: str) -> None:
        """All of it, again and again."""
        tricks: list[Callable[[str], None]] = [self.forged, self.tampered, self.hinted, self.replayed]
        for number in range(STORM):
            self._world.loop.after(STORM_SECONDS * number / STORM, partial(tricks[number % len(tricks)], environment))

    def poisoned(self, environment: str) -> None:
        """Stream, head and snapshot in Redis are his."""
        entry = self._next(environment)
        other = "paper" if environment != "paper" else "base"
        if entry is None:
            return
        keys = self._world.redis.of(environment)
        foreign = self._world.store.image.snapshots.get(other)
        false = self._rng.choice([self._snapshot(environment, entry), foreign])
        self._world.redis.keys[environment] = Keys(
            head=(entry.position, entry.hash), stream=[*keys.stream, entry], snapshot=false, trimmed=keys.trimmed
        )
        self._world.redis.announce(environment, Named(entry.position))

    def _next(self, environment: str) -> Entry | None:
        head, state = self._world.store.image.head(environment), self._world.store.image.states.get(environment)
        if head is None or state is None:
            return None
        edits = (LeafEdit("", "risk.global.max_leverage", "put", b"666"),)
        text = Change(environment=environment, author="sim", reason="forged", time=TIME, edits=edits).encode()
        link = Link(
            environment=environment,
            epoch=head.position.epoch,
            revision=head.position.revision + 1,
            previous_revision=head.position.revision,
            previous_hash=head.hash,
            hash=links.chain(head.hash, text),
            checksum=state.apply(environment, edits).checksum,
        ).signed(self._world.forger_key)
        return Entry(link.position, link.previous_revision, head.hash, link.hash, Message(link, text).encode())

    def _snapshot(self, environment: str, entry: Entry) -> Signed:
        state = self._world.store.image.states[environment]
        snapshot = Snapshot(environment, Position(entry.position.epoch, entry.position.revision + 5), entry.hash, state)
        body = snapshots.encode(snapshot)
        statement = snapshots.sign(snapshot, body, self._world.forger_key).encode()
        return Signed(snapshot.position, entry.hash, statement, body)
