"""What an agent writes to its disk and asks of others, one invariant each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.simulation.disk import follows
from trimtab.model.links import Position
from trimtab.replica.events import (
    Arrived,
    AskHead,
    Effect,
    Event,
    Named,
    PersistChange,
    PersistSnapshot,
    PromoteProven,
)

if TYPE_CHECKING:
    from tests.simulation.node import Node

from tests.simulation.invariants import Violation, decode_or_none, link_change

PROVEN_SECONDS = 600.0
SLACK = 1e-6


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


def requests_are_bounded(node: Node) -> None:
    """In ten seconds an agent polls at its interval, asks for data with growing pauses, and seldom wakes up."""
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


def urgent_of(effect: PersistChange) -> bool:
    """Whether a followed change is marked urgent."""
    change = decode_or_none(link_change(effect.message))
    return change is not None and change.urgent
