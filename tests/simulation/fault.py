"""What every fault needs: a victim, an end, and commits meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.simulation.image import Plan
from tests.simulation.node import Node
from trimtab.replica.events import Source

if TYPE_CHECKING:
    from tests.simulation.world import World


class Subject:
    """Faults of one kind of thing. `kinds` maps each fault's name to what makes it happen."""

    def __init__(self, world: World) -> None:
        self._world, self._loop, self._rng = world, world.loop, world.loop.rng

    def _fire(self, kind: str) -> None:
        self._world.fire(kind)

    def _submit(self, kind: str, plan: Plan) -> None:
        """A commit that is a fault: it counts when it is committed."""
        self._world.store.submit(replace(plan, fault=kind))

    def _node(self) -> Node:
        return self._rng.choice(self._world.nodes)

    def _line(self) -> str:
        return self._node().environment

    def _later(self, low: float, high: float, call: Callable[[], None]) -> None:
        """Undo something after a while, unless the run has healed everything by then."""
        healing = self._world.healed

        def come() -> None:
            if self._world.healed == healing:
                call()

        self._loop.after(self._loop.between(low, high), come)

    def _disturb(self, node: Node | None = None) -> None:
        if node is None:
            self._world.disturbed_at = self._loop.now
        else:
            node.wire.disturbed_at = self._loop.now

    def _commits(self, count: int) -> None:
        """Commits spread over the next seconds."""
        for _ in range(count):
            self._loop.after(self._loop.between(0.05, 3.0), self._world.commit)

    def _cut_node(self, node: Node, sources: tuple[Source, ...], low: float, high: float) -> None:
        if "redis" in sources:
            node.wire.cut.add("redis")
            node.wire.lose_subscription(silently=False)
        if "postgres" in sources:
            node.wire.cut.add("postgres")

        def mend() -> None:
            node.wire.cut.difference_update(sources)
            self._disturb(node if "redis" in sources else None)

        self._later(low, high, mend)

    def _redis_down(self, kind: str = "") -> None:
        world = self._world
        if kind and world.redis.up:
            self._fire(kind)
        self._disturb()
        world.redis.stop()
        for node in world.nodes:
            node.wire.lose_subscription(silently=self._loop.chance(0.2))

    def _quiet(self) -> None:
        """More than ten minutes in which nothing happens."""
        self._fire("quiet hours")
        self._world.slow_polls()
        self._loop.run_until(self._loop.now + self._loop.between(640, 700))
        self._world.usual_polls()
