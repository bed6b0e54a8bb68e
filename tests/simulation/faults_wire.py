"""What goes wrong between agents and their feeds: channel, forger, Redis, network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.simulation.channel import CHANNEL_FAULTS
from tests.simulation.fault import Subject
from tests.simulation.forger import Forger
from trimtab.replica.events import Source

if TYPE_CHECKING:
    from tests.simulation.redis import Keys
    from tests.simulation.world import World

FORGERIES: Final = ("forged", "foreign", "replayed", "tampered", "hinted", "storm", "poisoned")


class WireFaults(Subject):
    """Faults of what carries changes."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._forger = Forger(world)
        self._dump: dict[str, Keys] = {}
        self._dump_poisoned = False

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        return {
            **{name: partial(self._channel, name) for name in CHANNEL_FAULTS},
            **{name: partial(self._forge, name) for name in FORGERIES},
            "redis restart": self._redis_restart,
            "redis outage": self._redis_outage,
            "old dump": self._old_dump,
            "cut from redis": lambda: self._cut("redis"),
            "cut from postgres": lambda: self._cut("postgres"),
            "cut from both": lambda: self._cut("redis", "postgres"),
            "subscription lost": lambda: self._lose(silently=False),
            "silently resubscribed": lambda: self._lose(silently=True),
            "redis alone": self._redis_alone,
            "slow answers": self._slow,
            "stale replica": self._stale,
            "trimmed stream": self._trim,
        }

    def _channel(self, name: str) -> None:
        active = self._world.channel.active
        active.add(name)
        self._disturb()
        self._commits(2)

        def end() -> None:
            active.discard(name)
            self._disturb()

        self._later(2, 10, end)

    def _forge(self, name: str) -> None:
        self._disturb()
        trick: Callable[[str], bool] = getattr(self._forger, name)
        worked = trick(self._line())
        if worked:
            self._fire(name)
        if worked and name == "poisoned":
            self._poisoned()

    def _poisoned(self) -> None:
        self._world.redis_poisoned = True
        self._later(5, 30, self._world.clean_redis)

    def _redis_restart(self) -> None:
        self._redis_down("redis restart")
        self._world.redis.restart(None)
        self._commits(1)

    def _redis_outage(self) -> None:
        self._redis_down("redis outage")
        self._commits(2)
        dump = self._world.redis.dump() if self._loop.chance(0.5) else None
        poisoned = dump is not None and self._world.redis_poisoned

        def back() -> None:
            self._disturb()
            self._world.redis.restart(dump)
            if poisoned:  # the forgery is back with the dump, cleaned or not meanwhile
                self._poisoned()

        self._later(2, 30, back)

    def _old_dump(self) -> None:
        if not self._dump:
            self._dump, self._dump_poisoned = self._world.redis.dump(), self._world.redis_poisoned
            self._later(1, 10, self._old_dump)
            self._commits(2)
            return
        if self._dump != self._world.redis.keys:
            self._fire("old dump")
        self._redis_down()
        self._world.redis.restart(self._dump)
        self._dump = {}
        if self._dump_poisoned:
            self._poisoned()

    def _trim(self) -> None:
        """Everything but the newest entry is cut while one agent is away."""
        node = self._node()
        self._disturb(node)
        node.wire.lose_subscription(silently=self._loop.chance(0.5))
        self._world.redis.cap = 1
        before = self._world.redis.of(node.environment).trimmed
        self._commits(3)
        if self._loop.chance(0.5):
            self._cut_node(node, ("postgres",), 20, 30)

        def end() -> None:
            if self._world.redis.of(node.environment).trimmed > before:
                self._fire("trimmed stream")
            self._world.redis.cap = 20

        self._later(4, 15, end)

    def _cut(self, first: Source, *more: Source) -> None:
        node = self._node()
        sources = (first, *more)
        if not node.wire.cut.intersection(sources):
            self._fire("cut from both" if more else f"cut from {first}")
        self._cut_node(node, sources, 2, 40)
        self._commits(2)

    def _lose(self, *, silently: bool) -> None:
        wire = self._node().wire
        if wire.session is not None:
            self._fire("silently resubscribed" if silently else "subscription lost")
        wire.lose_subscription(silently=silently)
        self._commits(1)

    def _redis_alone(self) -> None:
        """An agent that cannot reach Postgres misses a change on the channel; Redis has it."""
        node = self._node()
        if node.wire.session is not None and "postgres" not in node.wire.cut:
            self._fire("redis alone")
        node.wire.cut.add("postgres")
        node.wire.slow_to_subscribe = 2.0

        def mend() -> None:
            node.wire.cut.discard("postgres")
            node.wire.slow_to_subscribe = 0.0

        self._later(46, 60, mend)
        node.wire.lose_subscription(silently=self._loop.chance(0.5))
        for _ in range(6):
            self._loop.after(self._loop.between(0.0, 5.2), lambda: self._world.commit_to(node.environment))
        self._world.pause(32.0)

    def _slow(self) -> None:
        node = self._node()
        self._disturb(node)
        node.wire.slow, node.wire.slowed = self._loop.between(0.5, 6.0), False
        self._commits(2)

        def mend() -> None:
            node.wire.slow = 0.0
            self._disturb(node)

        self._later(5, 25, mend)

    def _stale(self) -> None:
        """A pooler leads an agent to a standby (fired at each answer)."""
        node = self._node()
        node.wire.misrouted = self._loop.between(0.5, 20.0)
        if self._loop.chance(0.6):
            node.wire.lose_subscription(silently=False)
        self._commits(2)

        def mend() -> None:
            node.wire.misrouted = 0.0

        self._later(5, 30, mend)
