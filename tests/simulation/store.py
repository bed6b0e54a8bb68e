"""The store as a model: one line of revisions, commits under the lock of one head row, standbys that lag.

A commit is four steps with time between them: it reads outside the lock, takes the lock and a revision, commits, and
publishes. What is committed is real: changes, links and snapshots are made and signed by `trimtab.model`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from tests.simulation.extending import Extension, extend, told
from tests.simulation.image import TIME, Acknowledged, Commit, Entry, Image, Plan, Signed, Watcher, written
from tests.simulation.loop import Loop
from tests.simulation.oracle import Key, Oracle
from tests.simulation.trace import Trace
from trimtab.model import snapshots
from trimtab.model.changes import Change, EpochRecord
from trimtab.model.links import Position
from trimtab.model.snapshots import Snapshot
from trimtab.model.statements import SigningKey
from trimtab.model.structure import Forest

LOCK_SECONDS: Final = 2.0
"""A writer that froze inside the lock loses it after this long."""


class Store:
    """The primary, its past, and its standbys, which are the primary some time ago."""

    def __init__(self, loop: Loop, trace: Trace, key: SigningKey, oracle: Oracle, watcher: Watcher) -> None:
        self.loop, self.trace, self.key, self.oracle, self.watcher = loop, trace, key, oracle, watcher
        self.images = [Image(0.0, 0, 1, 0, Forest({}, {}), {}, {}, {})]
        self.up = True
        self.term = 0
        self.poll_after_ms = 1000
        self.acknowledged: list[Acknowledged] = []
        self.epochs: list[EpochRecord] = []
        self.signed: set[bytes] = set()
        self.diverged = False
        self.unreadable: set[bytes] = set()
        self.founded = 0
        self._founding = self.images[0]
        self.lost: list[Acknowledged] = []
        self.declared: list[Acknowledged] = []
        self._holder: Commit | None = None
        self._waiting: list[Commit] = []

    @property
    def image(self) -> Image:
        """The primary now."""
        return self.images[-1]

    def standby(self, lag: float) -> Image:
        """What a standby holds that is this many seconds behind; no standby is older than what the run began with."""
        late = (image for image in reversed(self.images) if image.time <= self.loop.now - lag)
        image = next(late, self.images[0])
        return image if image.commits >= self.founded else self._founding

    def found(self) -> None:
        """What is here now will not be lost."""
        self.founded, self._founding = self.image.commits, self.image

    # -- a commit ------------------------------------------------------------------------------------------------------

    def submit(self, plan: Plan) -> None:
        """Start a commit: read outside the lock, and come back for it."""
        if not self.up:
            return
        commit = Commit(plan, self.image, self.reserve(), self.term)
        self.loop.after(self.loop.between(0.001, 0.05), lambda: self._lock(commit))

    def reserve(self) -> int:
        """What a writer takes before it has the lock: nothing."""
        return 0

    def number(self, commit: Commit) -> int:
        """The revision of a commit that holds the lock: the head row's next."""
        del commit
        return self.image.revision + 1

    def reach(self, commit: Commit) -> Sequence[str]:
        """The lines that a commit extends, as the structure is under the lock."""
        return self.image.forest.reached(commit.plan.environment)

    def _lock(self, commit: Commit) -> None:
        if not self._alive(commit):
            return
        if self._holder is not None and self.locks:
            self._waiting.append(commit)
            return
        self._holder = commit
        self.locked(commit)
        if commit.plan.frozen:
            self.trace.note(self.loop.now, "store", "writer frozen", commit.plan.environment)
            self.watcher.fire("writer frozen")
            self.loop.after(LOCK_SECONDS, lambda: self._release(commit))
        else:
            self.loop.after(self.loop.between(0.001, 0.03), lambda: self._commit(commit))

    locks = True

    def locked(self, commit: Commit) -> None:
        """What a writer does on getting the lock, before it commits: nothing that anybody sees."""

    def _commit(self, commit: Commit) -> None:
        if not self._alive(commit):
            return
        plan, before = commit.plan, self.image
        forest = before.forest
        if plan.structure is not None:
            forest = forest.with_environment(plan.structure.environment, plan.structure.parent)
        structured = replace(before, forest=forest)
        self.images.append(structured)  # what `reach` looks at
        reach = self.reach(commit)
        revision = self.number(commit)
        self.images.pop()
        text = written(plan)
        done = (*plan.edits, plan.unsaid) if plan.unsaid else plan.edits
        by = Extension(text, plan.environment, done, reach, Position(before.epoch, revision), plan.urgent)
        image, entries = extend(self.key, self.loop.now, structured, by)
        self._enter(image, entries, text, [told(plan.unsaid)] if plan.unsaid else [])
        if plan.fault and (plan.structure is None or forest != before.forest):
            self.watcher.fire(plan.fault)
        self.acknowledge(commit, revision, text)
        self._release(commit)
        self._follow_up(plan, image, entries)

    def _follow_up(self, plan: Plan, image: Image, entries: Mapping[str, Entry]) -> None:
        """What comes after COMMIT: snapshots are signed, and the change is published unless its writer dies."""
        reach = list(entries)
        must_sign = plan.structure is not None or plan.garbled or plan.unsaid is not None
        if must_sign:
            self.unreadable.update(entry.raw for entry in entries.values())
        if must_sign or self.loop.chance(0.2):
            self.loop.after(self.loop.between(0.005, 0.3), lambda: self.sign(reach))
        if plan.killed:
            self.trace.note(self.loop.now, "store", "writer killed", f"after {image.revision}")
            self.watcher.fire("writer killed")
        else:
            self.loop.after(self.loop.between(0.0005, 0.02), lambda: self.watcher.publish(image, reach))

    def acknowledge(self, commit: Commit, revision: int, text: bytes) -> None:
        """Tell the writer; what it was told must never be lost."""
        commit.acknowledged = True
        self.acknowledged.append(Acknowledged(self.image.epoch, revision, text))

    def _enter(self, image: Image, entries: Mapping[str, Entry], text: bytes, unsaid: Sequence[object]) -> None:
        before = self.image
        self.images.append(image)
        position = next(iter(entries.values())).position
        messages = {environment: entry.raw for environment, entry in entries.items()}
        self.oracle.commit(position.epoch, position.revision, text, messages, unsaid)
        self.trace.note(self.loop.now, "store", "committed", position, *entries)
        self.watcher.committed(image, entries, before)

    def sign(self, environments: Sequence[str]) -> None:
        """Sign a snapshot of each line as it is now; a row of its own, after the commits."""
        if not self.up:
            return
        signed = dict(self.image.snapshots)
        for environment in environments:
            head = self.image.head(environment)
            if head is None:
                continue
            urgent = self.newest_urgent(environment, head)
            snapshot = Snapshot(environment, head.position, head.hash, self.image.states[environment], urgent)
            body = snapshots.encode(snapshot)
            statement = snapshots.sign(snapshot, body, self.key).encode()
            self.signed.add(statement)
            signed[environment] = Signed(head.position, head.hash, statement, body)
        self.images.append(replace(self.image, time=self.loop.now, snapshots=signed))

    def newest_urgent(self, environment: str, head: Entry) -> int:
        """The newest urgent revision of a line in its epoch, as a snapshot says it."""
        del environment
        return head.urgent

    def _alive(self, commit: Commit) -> bool:
        """Whether a writer still has its session."""
        return self.up and commit.term == self.term

    def _release(self, commit: Commit) -> None:
        if self._holder is commit:
            self._holder = None
            if self._waiting:
                self._lock(self._waiting.pop(0))

    # -- what befalls a store ------------------------------------------------------------------------------------------

    def crash(self) -> None:
        """The primary dies: every session is gone, every open transaction with it."""
        self.up = False
        self.term += 1
        self._holder = None
        self._waiting.clear()

    def restart(self) -> None:
        """The primary is back with all that it committed."""
        self.up = True

    def fail_over(self, lag: float) -> int:
        """A standby becomes the primary, and what it had not received is gone: how many commits that is."""
        self.crash()
        promoted = self.standby(lag)
        lost = self.image.commits - promoted.commits
        self.images = self.images[: self.images.index(promoted) + 1]
        self.oracle.fail_over(promoted.commits)
        self.diverged = self.diverged or lost > 0
        held = self.changes()
        self.lost += [one for one in self.acknowledged if one.change not in held and one not in self.declared]
        self.up = True
        self.trace.note(self.loop.now, "store", "promoted a standby", f"{lost} commits lost", promoted.revision)
        return lost

    def declare_epoch(self) -> None:
        """Begin a new epoch above every revision that anybody knows, and link every environment into it."""
        if not self.up:
            return
        before = self.image
        record = EpochRecord(
            max(before.epoch, self.watcher.highest_seen().epoch) + 1,
            before.epoch,
            before.revision,
            "see the audit",
            "failover",
        )
        revision = self.first_revision(before)
        change = Change(environment="base", author="sim", reason="", time=TIME, kind="epoch", epoch=record)
        reach = sorted(before.forest.parents)
        by = Extension(change.encode(), "base", (), reach, Position(record.epoch, revision))
        image, entries = extend(self.key, self.loop.now, before, by)
        self.term += 1  # the lock of the head row is taken before anything else, so who was on the way starts anew
        self._holder = None
        self._waiting.clear()
        self.epochs.append(record)
        self._enter(image, entries, change.encode(), [])
        self.diverged = False
        self.declared, self.lost = [*self.declared, *self.lost], []
        self.loop.after(self.loop.between(0.005, 0.5), lambda: self.sign(reach))
        self.loop.after(self.loop.between(0.0005, 0.02), lambda: self.watcher.publish(image, reach))

    def first_revision(self, before: Image) -> int:
        """The first revision of a new epoch: never one that was used."""
        return max(before.revision, self.watcher.highest_seen().revision) + 1

    def changes(self) -> set[bytes]:
        """Every change that the primary holds."""
        return {entry.raw.partition(b"\n")[2] for line in self.image.lines.values() for entry in line}

    def edited(self, entries: Mapping[str, Entry]) -> str:
        """The environment that a commit edited."""
        change = next(iter(entries.values())).raw.partition(b"\n")[2]
        return str(json.loads(change)["environment"])

    def heads(self) -> dict[str, Key]:
        """The names of the primary's newest states."""
        return {
            environment: Key(environment, line[-1].position.epoch, line[-1].position.revision, line[-1].hash)
            for environment, line in self.image.lines.items()
        }
