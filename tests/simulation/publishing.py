"""Publishers as a model: the committing process and the relays, both by the rules of DESIGN §4.4."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tests.simulation.image import Entry, Image, Signed
from tests.simulation.loop import Loop
from tests.simulation.redis import Redis
from tests.simulation.store import Store
from tests.simulation.trace import Trace
from trimtab.model.links import Position


class Publisher:
    """Carries committed changes to Redis. What is published it learns from Redis's head alone."""

    def __init__(self, loop: Loop, trace: Trace, redis: Redis, store: Store) -> None:
        self.loop, self.trace, self.redis, self.store = loop, trace, redis, store
        self.relays = 1
        self._stopped_until = 0.0

    def start(self) -> None:
        """Relays compare every second, each in its own time."""
        for number in range(self.relays):
            self.loop.after(self.loop.between(0.1, 1.0), partial(self._relay, number))

    def publish(self, image: Image, environments: Sequence[str]) -> None:
        """What the committing process does right after COMMIT."""
        for environment in environments:
            if self.redis.up:
                self.repair(image, environment)

    def stop_for(self, seconds: float) -> None:
        """All relays are down for a while."""
        self._stopped_until = self.loop.now + seconds

    def _relay(self, number: int) -> None:
        if self.redis.up and self.store.up and self.loop.now >= self._stopped_until:
            image = self.store.image  # read now, used a little later: others move meanwhile
            self.loop.after(self.loop.between(0.001, 0.1), lambda: self._compare(image))
        self.loop.after(self.loop.between(0.8, 1.2), lambda: self._relay(number))

    def _compare(self, image: Image) -> None:
        for environment in image.lines:
            if self.redis.up:
                self.repair(image, environment)

    def repair(self, image: Image, environment: str) -> None:
        """Bring one environment to where the database is, without ever leaving a gap."""
        line = image.lines[environment]
        keys = self.redis.of(environment)
        if keys.head is None or keys.head[0].epoch < image.epoch:
            self._begin(image, environment, line)
        elif keys.head[0].epoch == image.epoch:
            rest = self._after(line, keys.head)
            if rest is None:
                if line[-1].position >= keys.head[0]:
                    self.trace.note(self.loop.now, "relay", "FORK", environment, keys.head[0])
                return
            for entry in rest:
                word = self.redis.append(environment, entry)
                if word == "BROKEN":
                    self._begin(image, environment, line)
                if word not in {"APPENDED", "ALREADY", "OLD"}:
                    return
            self._renew(image, environment)

    def _begin(self, image: Image, environment: str, line: Sequence[Entry]) -> None:
        """A missing head, or an old epoch's: from the signed snapshot, then the changes after it."""
        signed = image.snapshots.get(environment)
        if signed is None or signed.position.epoch != image.epoch:
            if line[-1].previous_revision == 0:
                self.redis.append(environment, line[-1])
            return
        if self.redis.start(environment, self.redis.of(environment).head, signed):
            for entry in line:
                if entry.position > signed.position:
                    self.redis.append(environment, entry)

    def _after(self, line: Sequence[Entry], head: tuple[Position, bytes]) -> list[Entry] | None:
        """The links after a head, None if the database does not hold that head."""
        for place in range(len(line) - 1, -1, -1):
            if line[place].hash == head[1] and line[place].position == head[0]:
                return list(line[place + 1 :])
        return None

    def _renew(self, image: Image, environment: str) -> None:
        signed: Signed | None = image.snapshots.get(environment)
        keys = self.redis.of(environment)
        if signed is None or keys.head is None or signed.position.epoch != keys.head[0].epoch:
            return
        if keys.snapshot is None or keys.snapshot.position < signed.position:
            keys.snapshot = signed
