"""What readers of an agent must never see, one function each; a violation carries the function's name.

Invariants look at what a reader, an operator or the disk would see, and at the oracle; never at how the replica works
inside. `honesty` looks at what an agent says about itself, `restraint` at what it writes and asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tests.simulation.oracle import Flat, Key
from trimtab.model.changes import Change, decode
from trimtab.model.errors import TrimtabError
from trimtab.model.links import START, Position
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.values import Document, Value, thaw
from trimtab.replica.events import (
    Recovered,
    Serve,
)
from trimtab.replica.machine import Replica

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.node import Node

CRASH_LOOP_SECONDS = 300.0

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


class Violation(AssertionError):
    """An invariant does not hold. `name` is the invariant's."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


def served_key(node: Node) -> Key | None:
    """The name of the state that the node's readers see."""
    served = node.life.served
    return None if served is None else Key(node.environment, *pair(served.position), served.hash)


def never_backwards(node: Node, serve: Serve) -> None:
    """Inside a process the served position only grows."""
    before = node.life.highest
    if serve.position <= before:
        raise Violation("never_backwards", f"{node.name} served {before}, then {serve.position}")


def never_forged_or_foreign(node: Node, serve: Serve) -> None:
    """What is served was committed, to this very line."""
    key = Key(node.environment, *pair(serve.position), serve.hash)
    if key not in node.world.oracle.states:
        raise Violation("never_forged_or_foreign", f"{node.name} serves {key}, which nobody committed")


def never_torn(node: Node, serve: Serve) -> None:
    """The served view is the state of exactly its revision, whole, for exactly the labels of that revision."""
    key = Key(node.environment, *pair(serve.position), serve.hash)
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
    """An urgent change is served whatever a binding holds back, be it followed or skipped by a snapshot.

    Not one that lies in a quarantined stretch; and of an epoch that was left since, only one that was followed.
    """
    if replica.line.snapshot is None:
        return
    oracle = node.world.oracle
    line = Key(node.environment, *pair(replica.line.position), replica.line.snapshot.hash)
    newest = oracle.urgent.get(line, 0)
    owed = max(node.life.urgent, Position(line.epoch, newest) if newest else START)
    if owed <= max(replica.serving.position, node.life.quarantined or START):
        return
    labels, _ = oracle.resolve(line, node.identity)
    if all(labels.get(dimension) == label for dimension, label in node.require.items()):
        raise Violation("urgent_is_served", f"{node.name} holds back {owed}")


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


def crash_loop_is_remembered(node: Node, before: Life, event: Recovered) -> None:
    """A clean restart ends no quarantine, and begins none again that something newer has ended."""
    if not before.stopped or before.crashed_upto is None or node.disk.booted != "applied":
        return  # where the journal was lost, the next process cannot know what was served
    used_up = before.highest > before.crashed_upto
    if used_up and event.quarantined:
        raise Violation("crash_loop_is_remembered", f"{node.name} goes back after it served {before.highest}")
    if not used_up and not event.quarantined and node.loop.now - node.died[0] <= CRASH_LOOP_SECONDS:
        raise Violation("crash_loop_is_remembered", f"{node.name} serves {event.snapshot.position}, which it died of")


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


def pair(position: Position) -> tuple[int, int]:
    return position.epoch, position.revision


def link_change(message: bytes) -> bytes:
    """The bytes of the change in a message."""
    return message.partition(b"\n")[2]


def decode_or_none(text: bytes) -> Change | None:
    """A change, None if this program cannot read it."""
    try:
        return decode(text)
    except TrimtabError:
        return None
