"""Seeded bugs of the store and of those who publish for it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.extending import Extension, extend
from tests.simulation.image import Commit, Entry, Image, written
from tests.simulation.publishing import Publisher
from tests.simulation.redis import Redis
from tests.simulation.store import Store
from trimtab.model.links import Position


class SequenceStore(Store):
    """Takes revisions from a sequence before the commit: commits come in another order."""

    locks = False
    _sequence = 0

    def reserve(self) -> int:
        self._sequence = max(self._sequence, self.image.revision) + 1
        return self._sequence

    def number(self, commit: Commit) -> int:
        return commit.reserved


class ReusedRevisionStore(Store):
    """Begins an epoch right after its own head, whatever others have seen."""

    def first_revision(self, before: Image) -> int:
        return before.revision + 1


class UnlockedInheritanceStore(Store):
    """Computes the lines that a commit extends before it has the lock."""

    def reach(self, commit: Commit) -> Sequence[str]:
        forest = commit.read.forest if commit.plan.structure is None else self.image.forest
        return forest.reached(commit.plan.environment)


class EagerStore(Store):
    """Acknowledges a commit when it has the lock: if the writer freezes there, nothing is committed."""

    def locked(self, commit: Commit) -> None:
        super().acknowledge(commit, self.image.revision + 1, written(commit.plan))

    def acknowledge(self, commit: Commit, revision: int, text: bytes) -> None:
        del commit, revision, text  # it was told already


class EarlyStore(Store):
    """Publishes before it commits."""

    def locked(self, commit: Commit) -> None:
        plan, image = commit.plan, self.image
        if plan.structure is None:
            reach = image.forest.reached(plan.environment)
            at = Position(image.epoch, image.revision + 1)
            coming, _ = extend(
                self.key, self.loop.now, image, Extension(written(plan), plan.environment, plan.edits, reach, at)
            )
            self.watcher.publish(coming, reach)


class DisinheritingStore(Store):
    """Signs snapshots that tell of the urgent changes of their own environment, not of inherited ones."""

    def newest_urgent(self, environment: str, head: Entry) -> int:
        line = self.image.lines[environment]
        own = [entry for entry in line if self.edited({"": entry}) == environment and entry.position <= head.position]
        return max((entry.urgent for entry in own if entry.urgent == entry.position.revision), default=0)


class GappyRedis(Redis):
    """A script that appends whatever is newer."""

    def place(self, keys: object, head: tuple[Position, bytes], entry: Entry) -> str:
        del keys
        return "" if entry.position > head[0] else "OLD"


class GappyPublisher(Publisher):
    """Publishes its own change only, whether the one before it is there or not."""

    def publish(self, image: Image, environments: Sequence[str]) -> None:
        for environment in environments:
            if self.redis.up:
                self.redis.append(environment, image.lines[environment][-1])
