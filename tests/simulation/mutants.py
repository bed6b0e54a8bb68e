"""Seeded bugs: each breaks one rule, and names the invariant that must catch it.

A mutant replaces one method of the replica's parts, of the store, of a publisher or of the driver. `kinds` are faults
that every run of it contains, so that a few seeds are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from tests.simulation.node import Node
from tests.simulation.publishing import Publisher
from tests.simulation.redis import Redis
from tests.simulation.store import Commit, Entry, Image, Store
from tests.simulation.world import Parts
from trimtab.model import changes, labels, links, snapshots
from trimtab.model.changes import Change
from trimtab.model.errors import TrimtabError
from trimtab.model.links import START, Message, Position
from trimtab.model.snapshots import Snapshot, Statement
from trimtab.model.views import View
from trimtab.replica import serving
from trimtab.replica.events import (
    Arrived,
    Effect,
    Event,
    FloorRead,
    HeadAnswered,
    PersistChange,
    PersistSnapshot,
    PromoteProven,
    RaiseFloor,
    Recovered,
)
from trimtab.replica.freshness import Certificate, Freshness
from trimtab.replica.keeping import Keeping
from trimtab.replica.line import Judgement, Line, Verdict
from trimtab.replica.machine import Replica
from trimtab.replica.pursuit import Pursuit
from trimtab.replica.requests import Pauses, Requests
from trimtab.replica.serving import Serving

Effects: TypeAlias = Generator[Effect, None, None]


@dataclass(frozen=True)
class Mutant:
    """One bug. `caught_by` is the invariant whose violation ends a run of it."""

    name: str
    caught_by: str
    parts: Parts
    kinds: tuple[str, ...] = ()


def _become(part: str, bug: type) -> Callable[[Replica, Node], None]:
    """Give one part of each replica another class; its state stays."""

    def tamper(replica: Replica, _node: Node) -> None:
        here: object = replica
        for name in part.split("."):
            here = getattr(here, name)
        here.__class__ = bug  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue] - that is the bug

    return tamper


def _with(part: str, bug: type) -> Parts:
    return Parts(tamper=_become(part, bug))


# -- the store and the publisher ---------------------------------------------------------------------------------------


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
        super().acknowledge(commit, self.image.revision + 1, self._text(commit))

    def _text(self, commit: Commit) -> bytes:
        return Change(
            environment=commit.plan.environment,
            author="sim",
            reason=commit.plan.note,
            time="",
            edits=tuple(sorted(commit.plan.edits)),
        ).encode()

    def acknowledge(self, commit: Commit, revision: int, text: bytes) -> None:
        for place, one in enumerate(self.acknowledged):
            if one.change == self._text(commit):
                self.acknowledged[place] = replace(one, change=text, revision=revision)


class EarlyStore(Store):
    """Publishes before it commits."""

    def locked(self, commit: Commit) -> None:
        if commit.plan.structure is None and not commit.plan.unsaid:
            image, entries = self._extend(
                self.image,
                Change(
                    environment=commit.plan.environment,
                    author="sim",
                    reason=commit.plan.note,
                    time="2026-01-05T14:03:07Z",
                    urgent=commit.plan.urgent,
                    edits=tuple(sorted(commit.plan.edits)),
                ).encode(),
                commit.plan.edits,
                commit.plan.environment,
                self.image.forest.reached(commit.plan.environment),
                (self.image.epoch, self.image.revision + 1),
            )
            self.watcher.publish(image, list(entries))


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


# -- the chain ---------------------------------------------------------------------------------------------------------


class LooseLine(Line):
    """Applies a change without looking at the previous hash."""

    def _place(self, message: Message) -> Judgement:
        here, link = self.snapshot, message.link
        if here is not None and link.epoch == here.position.epoch and link.revision > here.position.revision:
            return self._apply(message, here)
        return super()._place(message)


class GullibleLine(Line):
    """Takes what hashes right, whoever signed it."""

    def offer(self, raw: bytes) -> Judgement:
        try:
            message = links.read(raw)
        except TrimtabError as error:
            return Judgement(Verdict.REFUSED, str(error))
        right = links.chain(message.link.previous_hash, message.change) == message.link.hash
        if not right or message.link.environment != self._environment:
            return Judgement(Verdict.REFUSED, "it is not whole")
        return self._place(message)


class UncheckedLine(Line):
    """Does not compare the checksum after a change with the signed one."""

    def _apply(self, message: Message, snapshot: Snapshot) -> Judgement:
        change = _decoded(message.change)
        if change is None or change.needs_snapshot:
            return super()._apply(message, snapshot)
        state = snapshot.state.apply(change.environment, change.edits)
        link = message.link
        self.snapshot = Snapshot(self._environment, link.position, link.hash, state)
        self._remember(link.position, link.hash)
        return Judgement(Verdict.APPLIED, position=link.position, change=change)


class OneEpochLine(Line):
    """Does not look at epochs: the first link of a new one is taken for a fork."""

    def _place(self, message: Message) -> Judgement:
        if self.snapshot is not None and message.link.epoch > self.position.epoch:
            return Judgement(Verdict.FORKED, "it does not follow", message.position)
        return super()._place(message)

    def offer_epoch_only(self, raw: bytes) -> Judgement:
        return Judgement(Verdict.OLD)

    def _place_snapshot(self, statement: Statement) -> Judgement | None:
        if self.snapshot is not None and statement.epoch > self.position.epoch:
            return Judgement(Verdict.FORKED, "it does not follow", self.position)
        return super()._place_snapshot(statement)


class WorldlyLine(Line):
    """Does not look at the environment: our signature is enough."""

    def offer(self, raw: bytes) -> Judgement:
        try:
            message = links.read(raw)
            links.verify(message, self._trust, message.link.environment)
        except TrimtabError as error:
            return Judgement(Verdict.REFUSED, str(error))
        return self._place(message)

    def offer_snapshot(
        self, statement_bytes: bytes, body: bytes, *, frozen: bool = False
    ) -> Iterator[Judgement | None]:
        mine = self._environment
        try:
            self._environment = snapshots.read_statement(statement_bytes).environment
            yield from super().offer_snapshot(statement_bytes, body, frozen=frozen)
        except TrimtabError as error:
            yield Judgement(Verdict.REFUSED, str(error))
        finally:
            self._environment = mine


class ForgivingLine(Line):
    """Takes an authentic change that does not follow for an old one."""

    def _place(self, message: Message) -> Judgement:
        found = super()._place(message)
        return replace(found, verdict=Verdict.OLD) if found.verdict is Verdict.FORKED else found


# -- freshness ---------------------------------------------------------------------------------------------------------


class CertifyingOnReceipt(Replica):
    """Certifies whenever a change arrives."""

    def handle(self, event: Event, now: float) -> Effects:
        before = self.line.position
        yield from super().handle(event, now)
        if isinstance(event, Arrived) and self.line.position > before:
            self.freshness.certified_at = now


class CertifyingFromReplica(Replica):
    """Does not ask who answered."""

    def _take_head(self, event: HeadAnswered, now: float) -> None:
        super()._take_head(replace(event, is_replica=False), now)


class DatedAfterAsking(Replica):
    """Dates a certificate when the answer comes."""

    def handle(self, event: Event, now: float) -> Effects:
        dated = self.freshness.certified_at
        yield from super().handle(event, now)
        if self.freshness.certified_at > dated and isinstance(event, HeadAnswered):
            self.freshness.certified_at = now


class OptimisticFreshness(Freshness):
    """Certifies the line, not what is served."""

    def redeem(self, line: Line, served: Position) -> None:
        del served
        super().redeem(line, line.position)


class LateFreshness(Freshness):
    """Compares an answer with what is held now, not with what was held when it was asked for."""

    def answered(self, certificate: Certificate, line: Line, seen: Position, served: Position) -> None:
        super().answered(certificate, line, max(seen, line.position), served)


class BlindFreshness(Freshness):
    """Never looks whether the store is behind."""

    def answered(self, certificate: Certificate, line: Line, seen: Position, served: Position) -> None:
        del seen
        super().answered(certificate, line, START, served)


def _wall_clock(node: Node, replica: Replica) -> float:
    """Reads the wall clock, as if it had been right at the start of the run and certificates were dated by it."""
    del replica
    return node.wall - Node.WALL_START + node.loop.now


def _stopping_clock(node: Node, replica: Replica) -> float:
    """Reads a clock that stands still while the machine sleeps."""
    del replica
    return node.loop.now - node.slept


# -- asking ------------------------------------------------------------------------------------------------------------


class TrustingPursuit(Pursuit):
    """A new subscription counts at once, without a comparison of heads."""

    def subscription_changed(self, *, confirmed: bool) -> None:
        super().subscription_changed(confirmed=confirmed)
        self._confirmed = False
        self._freshness.subscribed = confirmed


class SteadyRequests(Requests):
    """No jitter."""

    def schedule_poll(self, now: float, poll_after: float) -> None:
        self._next_poll = now + poll_after


class HerdingRequests(Requests):
    """Doubt asks at once."""

    def hasten_poll(self, now: float, poll_after: float) -> None:
        del poll_after
        self._next_poll = min(self._next_poll, now)


class RestlessPauses(Pauses):
    """Asks again at once."""

    def grow(self, source: str, now: float) -> None: ...


class RestlessRequests(Requests):
    """Wakes up every hundredth of a second while it waits for an answer."""

    def wake_at(self, now: float) -> float:
        return max(now + 0.01, min(super().wake_at(now), self._next_poll))


# -- keeping and serving -----------------------------------------------------------------------------------------------


class PersistingFirst(Replica):
    """Writes to the journal what arrives, and checks it afterwards."""

    def _arrive(self, raw: bytes, now: float) -> Effects:
        try:
            yield PersistChange(links.read(raw).position, raw)
        except TrimtabError:
            return
        yield from super()._arrive(raw, now)


class PersistingSnapshotFirst(Replica):
    """Replaces the generation on disk by whatever snapshot comes."""

    def _take_snapshot(self, event: object, now: float) -> Effects:
        statement = getattr(event, "statement", b"")
        if statement:
            position = snapshots.read_statement(statement).position
            yield PersistSnapshot(position, statement, getattr(event, "body", b""))
        yield from super()._take_snapshot(event, now)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


class Forgetful(Replica):
    """Never reads the floor."""

    def _note(self, event: Event, now: float) -> None:
        if not isinstance(event, FloorRead):
            super()._note(event, now)


class FloorlessKeeping(Keeping):
    """Never raises the floor."""

    def served(self, position: Position) -> RaiseFloor:
        del position
        return RaiseFloor(self.floor)


class HastyKeeping(Keeping):
    """What is served is proven."""

    def promote(self, served: Position, now: float) -> PromoteProven | None:
        del now
        if served <= self._proven:
            return None
        self._proven = served
        return PromoteProven(served)


class IgnoringLabels(Serving):
    """Advances the view whatever happens to labels."""

    def _resolve(self, snapshot: Snapshot, change: Change | None) -> Generator[Effect, None, tuple[View, object]]:  # type: ignore[override]
        known = labels.is_label_path
        serving.labels.is_label_path = lambda path: False
        try:
            return (yield from super()._resolve(snapshot, change))
        finally:
            serving.labels.is_label_path = known


class IgnoringRequire(Serving):
    """Serves whatever the labels say."""

    def _unmet(self, view: View) -> str:
        del view
        return ""


class ForgettingUrgent(Serving):
    """Does not remember that an urgent revision is owed."""

    def offer(self, snapshot: Snapshot, change: Change | None = None, follows: Position = START) -> Effects:
        yield from super().offer(snapshot, change, follows)
        self._urgent = False


class HoldingUrgent(Serving):
    """Holds back urgent revisions like others."""

    def offer(self, snapshot: Snapshot, change: Change | None = None, follows: Position = START) -> Effects:
        yield from super().offer(snapshot, None if change is None else replace(change, urgent=False), follows)


class NoQuarantine(Replica):
    """Boots from the newest state however often that killed the bot."""

    def _recover(self, event: Recovered) -> Effects:
        yield from super()._recover(replace(event, quarantined=False))


class EndlessQuarantine(Serving):
    """Stays with the proven state for ever."""

    def offer(self, snapshot: Snapshot, change: Change | None = None, follows: Position = START) -> Effects:
        if self.quarantined is not None:
            self.quarantined = max(self.quarantined, snapshot.position)
        yield from super().offer(snapshot, change, follows)


class Rewinding(Serving):
    """Serves what is offered, older or not."""

    def offer(self, snapshot: Snapshot, change: Change | None = None, follows: Position = START) -> Effects:
        if self.view is not None and snapshot.position <= self.position:
            return
        yield from super().offer(snapshot, change, follows)
        if change is not None and change.urgent and self._built is not None:
            yield from self._swap(self._built[0], self._built[1], None)


def _decoded(text: bytes) -> Change | None:
    try:
        return changes.decode(text)
    except TrimtabError:
        return None


LOSSES: Final = ("lost", "reordered", "subscription lost")
FORKS: Final = ("failover", "failover", "failover")

MUTANTS: Final = (
    Mutant(
        "a sequence instead of the head row",
        "revisions_are_ordered_like_commits",
        Parts(store=SequenceStore),
        ("writers at once",),
    ),
    Mutant(
        "an epoch that uses revisions again",
        "revisions_are_ordered_like_commits",
        Parts(store=ReusedRevisionStore),
        FORKS,
    ),
    Mutant(
        "inheritance computed outside the lock",
        "inheritance_reaches_every_line",
        Parts(store=UnlockedInheritanceStore),
        ("environment created", "writers at once"),
    ),
    Mutant("acknowledged before commit", "acknowledged_commits_survive", Parts(store=EagerStore), ("writer frozen",)),
    Mutant("publish before commit", "published_only_after_committed", Parts(store=EarlyStore)),
    Mutant(
        "appended over a gap",
        "stream_has_no_gap",
        Parts(redis=GappyRedis, publisher=GappyPublisher),
        ("writer killed", "relays down"),
    ),
    Mutant(
        "apply without checking the previous hash", "forks_are_told", _with("line", LooseLine), FORKS
    ),
    Mutant("a fork taken for an old message", "forks_are_told", _with("line", ForgivingLine), FORKS),
    Mutant("signature not checked", "never_forged_or_foreign", _with("line", GullibleLine), ("forged", "storm")),
    Mutant("checksum not checked", "never_torn", _with("line", UncheckedLine), ("checksum differs",)),
    Mutant("epoch not checked", "alarms_are_true", _with("line", OneEpochLine), ("epoch",)),
    Mutant("environment not checked", "alarms_are_true", _with("line", WorldlyLine), ("foreign", "foreign")),
    Mutant(
        "snapshot read before the subscription is confirmed",
        "catches_up_after_resubscribe",
        Parts(hasty_subscription=True),
        ("redis alone", "redis alone", "redis alone"),
    ),
    Mutant(
        "no comparison after a resubscribe",
        "catches_up_after_resubscribe",
        _with("pursuit", TrustingPursuit),
        ("redis alone", "redis alone", "redis alone"),
    ),
    Mutant(
        "certifying on receipt", "status_never_lies", Parts(replica=CertifyingOnReceipt), ("cut from postgres",) * 3
    ),
    Mutant("certifying from a replica", "status_never_lies", Parts(replica=CertifyingFromReplica), ("stale replica",)),
    Mutant("dated after asking", "staleness_never_lies", Parts(replica=DatedAfterAsking), ("slow answers",) * 2),
    Mutant(
        "staleness by the wall clock", "staleness_never_lies", Parts(clock=_wall_clock), ("wall clock jump",) * 3
    ),
    Mutant("a clock that stops in suspend", "staleness_never_lies", Parts(clock=_stopping_clock), ("suspend",) * 3),
    Mutant(
        "certifying what is held back",
        "staleness_never_lies",
        _with("freshness", OptimisticFreshness),
        ("value refused", "value refused"),
    ),
    Mutant("an answer compared with what came since", "alarms_are_true", _with("freshness", LateFreshness)),
    Mutant("a store that is behind is not told", "forks_are_told", _with("freshness", BlindFreshness), FORKS),
    Mutant("no jitter", "polls_are_spread", _with("pursuit.requests", SteadyRequests)),
    Mutant(
        "doubt asks at once", "polls_are_spread", _with("pursuit.requests", HerdingRequests), ("tampered", "storm")
    ),
    Mutant(
        "asking again without a pause",
        "requests_are_bounded",
        Parts(tamper=lambda replica, node: _both_pauses(replica)),
        ("newer writer", "primary crash", "newer writer"),
    ),
    Mutant(
        "waking up while waiting",
        "requests_are_bounded",
        _with("pursuit.requests", RestlessRequests),
        ("cut from postgres", "cut from both"),
    ),
    Mutant(
        "persisting before checking",
        "persisted_only_when_verified",
        Parts(replica=PersistingFirst),
        ("tampered", "forged"),
    ),
    Mutant(
        "persisting a snapshot before checking",
        "persisted_only_when_verified",
        Parts(replica=PersistingSnapshotFirst),
        ("poisoned", "poisoned"),
    ),
    Mutant("the floor not read", "floor_is_kept", Parts(replica=Forgetful), ("crash",)),
    Mutant("the floor not kept", "floor_is_kept", _with("keeping", FloorlessKeeping)),
    Mutant("proven promoted at once", "proven_was_served_long_enough", _with("keeping", HastyKeeping)),
    Mutant("label change ignored", "never_torn", _with("serving", IgnoringLabels), ("label change",) * 3),
    Mutant(
        "a requirement ignored", "requirement_is_kept", _with("serving", IgnoringRequire), ("requirement violated",) * 2
    ),
    Mutant("urgent held back", "urgent_is_served", _with("serving", HoldingUrgent), ("urgent", "urgent")),
    Mutant(
        "urgent forgotten", "urgent_is_served", _with("serving", ForgettingUrgent), ("urgent while stopped",) * 4
    ),
    Mutant("no quarantine", "quarantine_is_kept_and_ends", Parts(replica=NoQuarantine), ("crash loop",)),
    Mutant(
        "a quarantine without end", "quarantine_is_kept_and_ends", _with("serving", EndlessQuarantine), ("crash loop",)
    ),
    Mutant("served twice", "never_backwards", _with("serving", Rewinding), ("urgent",)),
)


def _both_pauses(replica: Replica) -> None:
    for pauses in (replica.pursuit.requests.unreachable, replica.pursuit.requests.empty_handed):
        pauses.__class__ = RestlessPauses


__all__ = ["LOSSES", "MUTANTS", "Mutant", "field"]
