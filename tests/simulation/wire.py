"""The way between one agent and its feeds: requests, answers and a subscription, each of which may come to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation import feeds
from tests.simulation.redis import Session
from trimtab.model.links import START
from trimtab.replica.events import (
    Arrived,
    AskHead,
    Event,
    FetchChanges,
    FetchSnapshot,
    Named,
    RequestFailed,
    Source,
    Subscribed,
    SubscriptionLost,
)

if TYPE_CHECKING:
    from tests.simulation.node import Node


class Wire:
    """One agent's connections. `cut` names the feeds that it cannot reach; times are in seconds.

    `misrouted` is the lag of a standby that answers instead of the primary, `slow` what an answer may take,
    `slow_to_subscribe` what a subscription may take; 0 for neither. `slowed`: whether an answer was slow since.
    """

    def __init__(self, node: Node) -> None:
        self._node, self._loop = node, node.loop
        self.cut: set[Source] = set()
        self.misrouted = self.slow = self.slow_to_subscribe = 0.0
        self.slowed = False
        self.disturbed_at = 0.0
        self.session: Session | None = None

    def mend(self) -> None:
        """All is well again."""
        self.cut.clear()
        self.misrouted = self.slow = self.slow_to_subscribe = 0.0

    # -- requests ------------------------------------------------------------------------------------------------------

    def head(self, effect: AskHead) -> Callable[[], Event]:
        """What answers a question for the head."""
        if effect.source == "redis":
            return lambda: feeds.redis_head(self._node.world.redis.of(self._node.environment), effect.request)
        self._node.asked[effect.request] = self._loop.now
        self._node.life.polls.append(self._loop.now)

        def answer() -> Event:
            lagging = self._lagging()
            store = self._node.world.store
            image = store.image if lagging is None else store.standby(lagging)
            return feeds.postgres_head(
                image,
                self._node.environment,
                effect,
                is_replica=lagging is not None,
                poll_after_ms=store.poll_after_ms,
            )

        return answer

    def data(self, effect: FetchChanges | FetchSnapshot) -> Callable[[], Event]:
        """What answers a request for changes or a snapshot."""

        def answer() -> Event:
            store, keys = self._node.world.store, self._node.world.redis.of(self._node.environment)
            lagging = self._lagging()
            image = store.image if lagging is None else store.standby(lagging)
            if isinstance(effect, FetchSnapshot):
                signed = keys.snapshot if effect.source == "redis" else image.snapshots.get(self._node.environment)
                held = None if signed is None else (signed.statement, signed.body)
                return feeds.snapshot(effect.source, held, effect.request)
            if effect.source == "redis":
                newest = keys.head[0] if keys.head else START
                return feeds.changes("redis", keys.stream, newest, effect.after, effect.request)
            line = image.lines.get(self._node.environment, ())
            newest = line[-1].position if line else START
            return feeds.changes("postgres", line, newest, effect.after, effect.request)

        return answer

    def _lagging(self) -> float | None:
        """How far the standby is behind that answers instead of the primary."""
        if self.misrouted > 0:
            self._node.world.fire("stale replica")
            return self.misrouted
        return None

    def ask(self, source: Source, request: int, answer: Callable[[], Event]) -> None:
        """Carry a request there and its answer back; the answer is of some instant between."""
        life = self._node.lives
        there, back = self._latency(), self._latency()
        if self.slow and not self.slowed:
            self.slowed = True
            self._node.world.fire("slow answers")
        failed = RequestFailed(source=source, request=request, reason="unreachable")

        def arrive() -> None:
            if self._node.lives != life:
                return
            if not self._reachable(source):
                if self._loop.chance(0.7):
                    self._node.later(back, failed)
                return
            self._node.later(back, answer())

        self._loop.after(there, arrive)

    def _latency(self) -> float:
        return self._loop.between(0.0005, 0.02) + (self._loop.between(0, self.slow) if self.slow else 0.0)

    def _reachable(self, source: Source) -> bool:
        up = self._node.world.redis.up if source == "redis" else self._node.world.store.up
        return up and source not in self.cut

    # -- the subscription ----------------------------------------------------------------------------------------------

    def subscribe(self) -> None:
        """Ask for a subscription; the confirmation comes later, and only then is it reported."""
        life = self._node.lives
        there, back = self._latency() + self._loop.between(0, self.slow_to_subscribe), self._latency()

        def confirm(session: Session) -> None:
            if self._node.lives == life and self.session is session and session in self._node.world.redis.sessions:
                if not self._node.world.parts.hasty_subscription:
                    self._node.handle(Subscribed())
                if not self._node.suspended:
                    self._node.world.checks.subscribed(self._node, session)

        def arrive() -> None:
            if self._node.lives != life or self._node.replica is None or self.session is not None:
                return
            if not self._reachable("redis"):
                self._loop.after(self._loop.between(0.2, 1.0), self.subscribe)
                return
            session = Session(self._node.environment, self._receive)
            self.session = session
            self._node.world.redis.sessions.append(session)
            self._loop.after(back, lambda: confirm(session))

        if self._node.world.parts.hasty_subscription:
            self._node.handle(Subscribed())
        self._loop.after(there, arrive)

    def drop_session(self) -> None:
        """The server's side of the subscription is gone."""
        if self.session is not None:
            if self.session in self._node.world.redis.sessions:
                self._node.world.redis.sessions.remove(self.session)
            self.session = None

    def lose_subscription(self, *, silently: bool) -> None:
        """The connection breaks; the client notices at its next ping, or its library mends it without a word."""
        if self._node.replica is None:
            return
        self.drop_session()
        self.disturbed_at = self._loop.now
        noticed = self._loop.between(0.05, 5.0)
        life = self._node.lives

        def again() -> None:
            if self._node.lives == life and self.session is None:
                if not silently:
                    self._node.handle(SubscriptionLost("no pong"))
                self.subscribe()

        self._loop.after(noticed, again)

    def _receive(self, notice: Arrived | Named) -> None:
        """The channel's end at this node: the channel may do anything to a notice on its way."""
        if "redis" in self.cut:
            return
        for delay, event in self._node.world.channel.carry(notice):
            self._node.later(delay, event)
