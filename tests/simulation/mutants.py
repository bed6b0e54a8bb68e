"""Seeded bugs: each breaks one rule, and names the invariant that must catch it.

A mutant replaces one method of the replica's parts, of the store, of a publisher or of the driver. `kinds` are faults
that every run of it contains, so that a few seeds are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.simulation.bugs_driving import (
    EndlessQuarantine,
    FloorlessKeeping,
    Forgetful,
    ForgettingUrgent,
    HastyForgiving,
    HastyKeeping,
    HerdingRequests,
    HoldingUrgent,
    IgnoringLabels,
    IgnoringRequire,
    NoQuarantine,
    PersistingFirst,
    PersistingSnapshotFirst,
    RancorousServing,
    RestlessPauses,
    RestlessRequests,
    Rewinding,
    SteadyRequests,
    TrustingPursuit,
)
from tests.simulation.bugs_line import (
    BlindFreshness,
    CertifyingFromReplica,
    CertifyingOnReceipt,
    DatedAfterAsking,
    FollowedUrgentLine,
    ForgivingLine,
    GullibleLine,
    LateFreshness,
    LooseLine,
    OneEpochLine,
    OptimisticFreshness,
    UncheckedLine,
    WorldlyLine,
    stopping_clock,
    wall_clock,
)
from tests.simulation.bugs_store import (
    DisinheritingStore,
    EagerStore,
    EarlyStore,
    GappyPublisher,
    GappyRedis,
    ReusedRevisionStore,
    SequenceStore,
    UnlockedInheritanceStore,
)
from tests.simulation.node import Node
from tests.simulation.world import Parts
from trimtab.replica.machine import Replica


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
        here.__class__ = bug

    return tamper


def _with(part: str, bug: type) -> Parts:
    return Parts(tamper=_become(part, bug))


def _without_pauses(replica: Replica, _node: Node) -> None:
    for pauses in (replica.pursuit.requests.unreachable, replica.pursuit.requests.empty_handed):
        pauses.__class__ = RestlessPauses


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
    Mutant("apply without checking the previous hash", "forks_are_told", _with("line", LooseLine), FORKS),
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
    Mutant("staleness by the wall clock", "staleness_never_lies", Parts(clock=wall_clock), ("wall clock jump",) * 3),
    Mutant("a clock that stops in suspend", "staleness_never_lies", Parts(clock=stopping_clock), ("suspend",) * 3),
    Mutant(
        "certifying what is held back",
        "staleness_never_lies",
        _with("freshness", OptimisticFreshness),
        ("value refused", "value refused"),
    ),
    Mutant("an answer compared with what came since", "alarms_are_true", _with("freshness", LateFreshness)),
    Mutant("a store that is behind is not told", "forks_are_told", _with("freshness", BlindFreshness), FORKS),
    Mutant("no jitter", "polls_are_spread", _with("pursuit.requests", SteadyRequests)),
    Mutant("doubt asks at once", "polls_are_spread", _with("pursuit.requests", HerdingRequests), ("tampered", "storm")),
    Mutant(
        "asking again without a pause",
        "requests_are_bounded",
        Parts(tamper=_without_pauses),
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
        _with("intake", PersistingFirst),
        ("tampered", "forged"),
    ),
    Mutant(
        "persisting a snapshot before checking",
        "persisted_only_when_verified",
        _with("intake", PersistingSnapshotFirst),
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
    Mutant("urgent forgotten", "urgent_is_served", _with("serving", ForgettingUrgent), ("urgent while stopped",) * 4),
    Mutant(
        "urgent forgotten at a resync",
        "urgent_is_served",
        _with("line", FollowedUrgentLine),
        ("urgent out of sight",) * 2,
    ),
    Mutant(
        "an inherited urgent change not told in a snapshot",
        "urgent_is_served",
        Parts(store=DisinheritingStore),
        ("urgent out of sight",) * 2,
    ),
    Mutant("no quarantine", "quarantine_is_kept_and_ends", _with("intake", NoQuarantine), ("crash loop",)),
    Mutant(
        "a quarantine without end", "quarantine_is_kept_and_ends", _with("serving", EndlessQuarantine), ("crash loop",)
    ),
    Mutant(
        "unclean ends not forgotten", "crash_loop_is_remembered", _with("serving", RancorousServing), ("crash loop",)
    ),
    Mutant(
        "unclean ends forgotten at once", "crash_loop_is_remembered", _with("intake", HastyForgiving), ("crash loop",)
    ),
    Mutant("served twice", "never_backwards", _with("serving", Rewinding), ("urgent",)),
)
