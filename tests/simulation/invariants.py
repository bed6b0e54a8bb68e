"""What must never happen to an agent, one function each; a violation carries the function's name.

They look at what a reader, an operator or the disk would see, and at the oracle; never at how the replica works inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from tests.simulation.disk import follows
from tests.simulation.oracle import Flat, Key
from trimtab.model import links
from trimtab.model.changes import Change, decode
from trimtab.model.errors import TrimtabError
from trimtab.model.links import START, Position
from trimtab.model.reports import Status
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.values import Document, Value, thaw
from trimtab.replica.events import (
    Arrived,
    AskHead,
    ChangesAnswered,
    Effect,
    Event,
    HeadAnswered,
    Named,
    PersistChange,
    PersistSnapshot,
    PromoteProven,
    RaiseFloor,
    Serve,
)
from trimtab.replica.machine import Replica

if TYPE_CHECKING:
    from tests.simulation.node import Node

FRESH = {Status.LIVE, Status.DEGRADED}
PROVEN_SECONDS = 600.0
CERTIFIED_POLLS = 3
SLACK = 1e-6
PATHS = (
    "fleet.bots.b1.labels.mode",
    "fleet.bots.b3",
    "risk",
    "risk.global",
    "risk.global.max_leverage",
    "risk.global.max_loss",
    "risk.limits",
    "risk.limits.btc",
    "strategy.extra",
    "strategy.mm",
    "strategy.mm.pairs",
    "strategy.unsaid",
    "trading.note",
    "trading.size",
    "nothing.here",
)
"""Some of these are read through the index of each view that is served."""


class Violation(AssertionError):
    """An invariant does not hold. `name` is the invariant's."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


def served_key(node: Node) -> Key | None:
    """The name of the state that the node's readers see."""
    served = node.life.served
    return None if served is None else Key(node.environment, *_pair(served.position), served.hash)


# -- the view ----------------------------------------------------------------------------------------------------------


def never_backwards(node: Node, serve: Serve) -> None:
    """Inside a process the served position only grows."""
    before = node.life.highest
    if serve.position <= before:
        raise Violation("never_backwards", f"{node.name} served {before}, then {serve.position}")


def never_forged_or_foreign(node: Node, serve: Serve) -> None:
    """What is served was committed, to this very line."""
    key = Key(node.environment, *_pair(serve.position), serve.hash)
    if key not in node.world.oracle.states:
        raise Violation("never_forged_or_foreign", f"{node.name} serves {key}, which nobody committed")


def never_torn(node: Node, serve: Serve) -> None:
    """The served view is the state of exactly its revision, whole, for exactly the labels of that revision."""
    key = Key(node.environment, *_pair(serve.position), serve.hash)
    labels, expected = node.world.oracle.resolve(key, node.identity)
    if dict(serve.view.labels) != labels:
        raise Violation("never_torn", f"{node.name} at {key} has labels {dict(serve.view.labels)}, not {labels}")
    found = leaves_of(node.tree(serve))
    if found != expected:
        odd = sorted(p for p in found.keys() | expected.keys() if found.get(p) != expected.get(p))
        told = [(path, found.get(path), expected.get(path)) for path in odd]
        raise Violation("never_torn", f"{node.name} at {key}: {told}")
    tree = node.tree(serve)
    for path in node.loop.rng.sample(PATHS, 4):
        read = serve.view.index.get(path, ABSENT)
        if read is not tree.get(path, ABSENT) and read != tree.get(path, ABSENT):
            raise Violation("never_torn", f"{node.name} at {key}: {path} reads {read}, not {tree.get(path, ABSENT)}")


def events_match_views(node: Node, before: Serve | None, serve: Serve) -> None:
    """What subscribers are told is the difference between the two views."""
    if before is None:
        return
    old, new = leaves_of(node.tree(before)), leaves_of(node.tree(serve))
    expected = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    told = {path: (_text(one), _text(two)) for path, (one, two) in serve.differences.items()}
    if told != {path: (old.get(path), new.get(path)) for path in expected}:
        raise Violation("events_match_views", f"{node.name} at {serve.position}: told {told}, changed {expected}")


def requirement_is_kept(node: Node, replica: Replica) -> None:
    """A view that violates `require=` is never served, and readers are stopped while configuration says so."""
    served = node.life.served
    if served is not None:
        for dimension, label in node.require.items():
            if served.view.labels.get(dimension) != label:
                raise Violation("requirement_is_kept", f"{node.name} serves {dict(served.view.labels)}")
    if node.life.withheld != bool(replica.serving.withheld):
        raise Violation("requirement_is_kept", f"{node.name}: readers are stopped: {node.life.withheld}, it says not")


def urgent_is_served(node: Node, replica: Replica) -> None:
    """An urgent change that was followed is served whatever a binding holds back."""
    if node.life.urgent <= replica.serving.position or replica.line.snapshot is None:
        return
    line = Key(node.environment, *_pair(replica.line.position), replica.line.snapshot.hash)
    labels, _ = node.world.oracle.resolve(line, node.identity)
    if all(labels.get(dimension) == label for dimension, label in node.require.items()):
        raise Violation("urgent_is_served", f"{node.name} holds back {node.life.urgent}")


def quarantine_is_kept_and_ends(node: Node, replica: Replica) -> None:
    """After unclean ends the proven revision is served, until a newer one is there: then that."""
    upto = node.life.quarantined
    if upto is None or node.life.withheld or replica.serving.held or node.life.served is None:
        return
    if replica.line.position <= upto:
        recovered = node.disk.generations.get("proven")
        if recovered is not None and replica.serving.position > recovered.newest:
            raise Violation("quarantine_is_kept_and_ends", f"{node.name} serves {replica.serving.position}")
    elif replica.serving.position != replica.line.position:
        raise Violation("quarantine_is_kept_and_ends", f"{node.name} stays at {replica.serving.position}")


# -- what it says about itself -----------------------------------------------------------------------------------------


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
    if isinstance(event, HeadAnswered) and not event.is_replica and event.source == "postgres":
        contradiction = _contradiction(node, event, line)
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


def receipts_never_lie(node: Node, replica: Replica) -> None:
    """Who says that it serves a revision serves every link of its line up to it."""
    proven = replica.freshness.proven
    if proven == node.life.promoted:
        return
    node.life.promoted = proven
    key = served_key(node)
    proofs = [a for a in node.life.answers if (a.key.epoch, a.store_revision) >= _pair(proven)]
    if key is None or not any(node.world.oracle.descends(key, answer.key) for answer in proofs):
        raise Violation("receipts_never_lie", f"{node.name} at {key} says that it serves {proven}")


# -- the disk ----------------------------------------------------------------------------------------------------------


def persisted_only_when_verified(node: Node, effect: PersistChange | PersistSnapshot, kept: Position) -> None:
    """What reaches the disk was committed to this line, and continues what lies there."""
    world = node.world
    if isinstance(effect, PersistSnapshot):
        if effect.statement not in world.store.signed:
            raise Violation("persisted_only_when_verified", f"{node.name}: the snapshot {effect.position} is not ours")
        return
    key = world.oracle.messages.get(effect.message)
    if key is None or key.environment != node.environment:
        raise Violation("persisted_only_when_verified", f"{node.name}: {effect.position} is not of this line")
    if not follows(effect.message, kept):
        raise Violation("persisted_only_when_verified", f"{node.name}: {effect.position} does not follow {kept}")


def proven_was_served_long_enough(node: Node, effect: PromoteProven) -> None:
    """Proven is what this process first served at least ten minutes ago."""
    since = node.life.first_served.get(effect.position)
    if since is None or node.loop.now - since < PROVEN_SECONDS - SLACK:
        raise Violation("proven_was_served_long_enough", f"{node.name}: {effect.position} is served since {since}")


# -- what it asks for --------------------------------------------------------------------------------------------------


def requests_are_bounded(node: Node) -> None:
    """In any ten seconds an agent polls at its interval, asks for data with growing pauses, and wakes up now and then."""
    now, life = node.loop.now, node.life
    while life.asks and life.asks[0][0] < now - 10:
        life.asks.popleft()
    while life.wakes and life.wakes[0] < now - 10:
        life.wakes.popleft()
    news = node.world.news_within(10.0)
    polls = sum(kind == "poll" for _, kind in life.asks)
    data = len(life.asks) - polls
    fastest = life.fastest(now - 10)
    if polls > 10 / (0.5 * fastest) + 6:
        raise Violation("requests_are_bounded", f"{node.name} polled {polls} times in ten seconds")
    if data > 30 + 3 * news:
        raise Violation("requests_are_bounded", f"{node.name} asked {data} times in ten seconds")
    if len(life.wakes) > 60 + 3 * len(life.asks) + 3 * news:
        raise Violation("requests_are_bounded", f"{node.name} woke up {len(life.wakes)} times in ten seconds")


def polls_are_spread(node: Node, event: Event, effects: Sequence[Effect]) -> None:
    """What reaches all agents at once does not make them ask the primary at once."""
    if node.catching_up:
        return  # its own long sleep made a poll due
    if isinstance(event, Arrived | Named) and any(
        e for e in effects if isinstance(e, AskHead) and e.source == "postgres"
    ):
        node.world.herded += 1
        if node.world.herded > 4:
            raise Violation("polls_are_spread", f"{node.name} asks at once, again: {type(event).__name__}")


def polls_have_jitter(node: Node) -> None:
    """The time between two polls is never the same: agents started at once do not stay in step."""
    gaps = node.steady_gaps()
    if len(gaps) >= 20 and max(gaps) - min(gaps) < 0.1 * node.life.poll_after:
        raise Violation("polls_are_spread", f"{node.name} polls every {min(gaps):.3f} to {max(gaps):.3f} s")


# -- helpers -----------------------------------------------------------------------------------------------------------


def serve_is_remembered(node: Node, effects: Sequence[Effect]) -> None:
    """Each served position is followed by its floor."""
    for place, effect in enumerate(effects):
        if isinstance(effect, Serve):
            rest = effects[place + 1 :]
            if not any(isinstance(later, RaiseFloor) and later.position >= effect.position for later in rest):
                raise Violation("floor_is_kept", f"{node.name} served {effect.position} and did not note it")


def urgent_of(effect: PersistChange) -> bool:
    """Whether a followed change is marked urgent."""
    change = decode_or_none(link_change(effect.message))
    return change is not None and change.urgent


def leaves_of(tree: dict[str, Value]) -> Flat:
    """The leaves of a tree as text."""
    return {path: _json(value) for path, value in tree.items() if not isinstance(value, Document) or not value}


def tree_of(root: Document) -> dict[str, Value]:
    """Every path of a tree."""
    found: dict[str, Value] = {}

    def walk(prefix: str, document: Document) -> None:
        for segment in document.segments():
            value = document[segment]
            found[prefix + segment] = value
            if isinstance(value, Document):
                walk(f"{prefix}{segment}.", value)

    walk("", root)
    return found


def _json(value: Value) -> str:
    return orjson.dumps(thaw(value), option=orjson.OPT_SORT_KEYS).decode()


def _text(value: Value | Absent) -> str | None:
    return None if value is ABSENT or isinstance(value, Absent) else _json(value)


def _pair(position: Position) -> tuple[int, int]:
    return position.epoch, position.revision


def _contradiction(node: Node, event: HeadAnswered, line: Key) -> str:
    head = Key(node.environment, *_pair(event.position), event.hash)
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


def link_change(message: bytes) -> bytes:
    """The bytes of the change in a message."""
    return message.partition(b"\n")[2]


def decode_or_none(text: bytes) -> Change | None:
    """A change, None if this program cannot read it."""
    try:
        return decode(text)
    except TrimtabError:
        return None
