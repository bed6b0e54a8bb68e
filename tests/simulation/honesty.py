"""What an agent says about itself must be true, one invariant each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.simulation.oracle import Key
from trimtab.model import links
from trimtab.model.links import Position
from trimtab.model.reports import Status
from trimtab.replica.events import (
    Arrived,
    ChangesAnswered,
    Effect,
    Event,
    HeadAnswered,
    RaiseFloor,
    Serve,
)
from trimtab.replica.machine import Replica

if TYPE_CHECKING:
    from tests.simulation.node import Node

from tests.simulation.invariants import Violation, decode_or_none, link_change, pair, served_key

FRESH = {Status.LIVE, Status.DEGRADED}
CERTIFIED_POLLS = 3
SLACK = 1e-6


def staleness_never_lies(node: Node, replica: Replica) -> None:
    """What is served is not older than the agent says, by the true time at which the primary moved on."""
    key = served_key(node)
    if key is None:
        return
    if key in node.world.lost and replica.status(node.loop.now) not in {Status.FORKED, Status.AHEAD}:
        return  # an agent cannot know that a history is lost before the primary says so; then `forks_are_told`
    age = node.world.true_age(key)
    says = replica.staleness(node.reads_clock(replica))
    if says < age - SLACK:
        raise Violation("staleness_never_lies", f"{node.name} at {key} says {says:.3f} s, it is {age:.3f} s old")


def status_never_lies(node: Node, replica: Replica) -> None:
    """LIVE or DEGRADED only where a primary's answer, asked for within three polls, proves the served state."""
    status = replica.status(node.reads_clock(replica))
    if status not in FRESH:
        return
    key = served_key(node)
    since = node.loop.now - CERTIFIED_POLLS * node.life.poll_after - SLACK
    proofs = [answer for answer in node.life.answers if answer.asked_at >= since]
    oracle = node.world.oracle
    if key is None or not any(oracle.descends(key, answer.key) for answer in proofs):
        raise Violation("status_never_lies", f"{node.name} at {key} says {status} without a proof: {proofs}")


def forks_are_told(node: Node, replica: Replica, event: Event, line: Key | None) -> None:
    """A store that is behind what it gave, and a change or head that does not follow ours, are said aloud."""
    if line is None or replica.line.position.epoch != line.epoch:
        return
    contradiction = ""
    if isinstance(event, HeadAnswered):
        if node.world.checks.is_awaited(node, event):
            contradiction = _other_history(node, event.messages, line)
            contradiction = contradiction or ("" if event.is_replica else _contradiction(node, event, line))
    elif isinstance(event, Arrived):
        contradiction = _other_history(node, (event.message,), line)
    elif isinstance(event, ChangesAnswered) and node.world.checks.is_awaited(node, event):
        contradiction = _other_history(node, event.messages, line)
    status = replica.status(node.loop.now)
    if contradiction and status not in ({Status.FORKED} if "fork" in contradiction else {Status.FORKED, Status.AHEAD}):
        raise Violation("forks_are_told", f"{node.name} at {line} says {status}: {contradiction}")


def alarms_are_true(node: Node, replica: Replica) -> None:
    """No alarm about the store without a cause, and none is missing about what is served."""
    now = node.loop.now
    status, alarms = replica.status(now), replica.alarms(now)
    if status in {Status.FORKED, Status.AHEAD} and not node.world.contradicted:
        raise Violation("alarms_are_true", f"{node.name} says {status}: {alarms}, but nothing was ever lost")
    for name, due in (
        ("forked", status is Status.FORKED),
        ("requirement", node.life.withheld),
        ("held", bool(replica.serving.held)),
        ("quarantined", replica.serving.quarantined is not None),
    ):
        if due != (name in alarms):
            raise Violation("alarms_are_true", f"{node.name}: {name} is {due}, alarms are {sorted(alarms)}")


def floor_is_kept(node: Node, replica: Replica) -> None:
    """What was served once is remembered; a process below it says OFFLINE, and is flagged."""
    floor = node.life.boot_floor
    if replica.floor < floor or replica.floor < node.life.highest:
        raise Violation("floor_is_kept", f"{node.name} remembers {replica.floor}")
    if node.disk.pending_floor < node.life.highest:
        raise Violation("floor_is_kept", f"{node.name} serves what its floor {node.disk.pending_floor} does not know")
    if node.life.served is not None and replica.serving.position < floor:
        status, alarms = replica.status(node.loop.now), replica.alarms(node.loop.now)
        if status not in {Status.OFFLINE, Status.AHEAD, Status.FORKED} or "below floor" not in alarms:
            raise Violation("floor_is_kept", f"{node.name} is below {floor} and says {status}, {sorted(alarms)}")


def serve_is_remembered(node: Node, effects: Sequence[Effect]) -> None:
    """Each served position is followed by its floor."""
    for place, effect in enumerate(effects):
        if isinstance(effect, Serve):
            rest = effects[place + 1 :]
            if not any(isinstance(later, RaiseFloor) and later.position >= effect.position for later in rest):
                raise Violation("floor_is_kept", f"{node.name} served {effect.position} and did not note it")


def receipts_never_lie(node: Node, replica: Replica) -> None:
    """Who says that it serves a revision serves every link of its line up to it."""
    proven = replica.freshness.proven
    if proven == node.life.promoted:
        return
    node.life.promoted = proven
    key = served_key(node)
    proofs = [a for a in node.life.answers if (a.key.epoch, a.store_revision) >= pair(proven)]
    if key is None or not any(node.world.oracle.descends(key, answer.key) for answer in proofs):
        raise Violation("receipts_never_lie", f"{node.name} at {key} says that it serves {proven}")


def _contradiction(node: Node, event: HeadAnswered, line: Key) -> str:
    head = Key(node.environment, *pair(event.position), event.hash)
    if event.position == Position(line.epoch, line.revision) and event.hash != line.hash:
        return "fork: the store's revision is another one"
    asked = node.world.checks.line_when_asked(node, event)
    if asked is not None and event.position < asked:
        return f"behind {asked}: the store is at {head}"
    return ""


def _other_history(node: Node, messages: Sequence[bytes], line: Key) -> str:
    """Whether authentic messages, taken one after the other, leave our line for another one of the same epoch."""
    here = line
    for message in messages:
        key = node.world.oracle.messages.get(message)
        if key is None or key.environment != node.environment or key.epoch != line.epoch:
            return ""
        link = links.read(message).link
        if key.revision <= here.revision:
            continue
        if link.previous_revision > here.revision:
            return ""
        if link.previous_hash != here.hash:
            return f"fork: {key} does not follow ours"
        if decode_or_none(link_change(message)) is None:
            return ""
        here = key
    return ""
