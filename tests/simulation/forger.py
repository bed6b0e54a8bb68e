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
    """What he does to one environment, one method each. Each says whether anybody was there to hear of it."""

    def __init__(self, world: World) -> None:
        self._world, self._rng = world, world.loop.rng

    def forged(self, environment: str) -> bool:
        """The very next link, right in everything but the key."""
        entry = self._next(environment)
        return entry is not None and self._announce(environment, Arrived(entry.raw))

    def foreign(self, environment: str) -> bool:
        """A message of another environment, signed by us."""
        others = [raw for raw, key in self._world.oracle.messages.items() if key.environment != environment]
        return self._announce(environment, Arrived(self._rng.choice(others)))

    def replayed(self, environment: str) -> bool:
        """Messages of ours from the past, those of a lost history too."""
        ours = [raw for raw, key in self._world.oracle.messages.items() if key.environment == environment]
        return self._announce(environment, *[Arrived(self._rng.choice(ours)) for _ in range(3) if ours])

    def tampered(self, environment: str) -> bool:
        """A message of ours with another change, or other fields in its link."""
        entry = self._world.store.image.head(environment)
        if entry is None:
            return False
        header, _, change = entry.raw.partition(b"\n")
        revision = entry.position.revision
        more = str(revision + 1).encode()
        false = (
            header + b"\n" + change.replace(b"sim", b"mis"),
            header.replace(b'"revision":%d' % revision, b'"revision":' + more) + b"\n" + change,
            header.replace(b'"epoch":1', b'"epoch":2') + b"\n" + change,
            change,
        )
        return self._announce(environment, *map(Arrived, false))

    def hinted(self, environment: str) -> bool:
        """Names of revisions that nobody made."""
        epoch, revision = self._world.store.image.epoch, self._world.store.image.revision
        return self._announce(environment, Named(Position(epoch, revision + 10**6)), Named(Position(epoch + 7, 3)))

    def storm(self, environment: str) -> bool:
        """All of it, again and again; the first of it at once."""
        tricks: list[Callable[[str], bool]] = [self.forged, self.tampered, self.hinted, self.replayed]
        for number in range(1, STORM):
            self._world.loop.after(
                STORM_SECONDS * number / STORM, partial(_do, tricks[number % len(tricks)], environment)
            )
        return tricks[0](environment)

    def poisoned(self, environment: str) -> bool:
        """Stream, head and snapshot in Redis are his."""
        entry = self._next(environment)
        other = "paper" if environment != "paper" else "base"
        if entry is None or not self._world.redis.up:
            return False
        keys = self._world.redis.of(environment)
        foreign = self._world.store.image.snapshots.get(other)
        false = self._rng.choice([self._snapshot(environment, entry), foreign])
        self._world.redis.keys[environment] = Keys(
            head=(entry.position, entry.hash), stream=[*keys.stream, entry], snapshot=false, trimmed=keys.trimmed
        )
        self._announce(environment, Named(entry.position))
        return True

    def _announce(self, environment: str, *notices: Arrived | Named) -> bool:
        return sum(self._world.redis.announce(environment, notice) for notice in notices) > 0

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


def _do(trick: Callable[[str], bool], environment: str) -> None:
    trick(environment)
