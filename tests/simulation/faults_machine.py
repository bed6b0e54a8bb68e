"""What goes wrong with the machines that agents run on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.fault import Subject
from trimtab.replica.events import PersistLost

if TYPE_CHECKING:
    from tests.simulation.disk import Name
    from tests.simulation.node import Node


class MachineFaults(Subject):
    """Faults of a process, its disk and its clocks."""

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        return {
            "disk lost": self._disk_lost,
            "crash": self._crash,
            "clean restart": self._restart,
            "applied rotten": lambda: self._rot("applied"),
            "only proven left": lambda: self._rot("applied", "previous"),
            "crash loop": self._crash_loop,
            "wall clock jump": self._wall,
            "suspend": lambda: self._suspend(3, 40),
            "long suspend": lambda: self._suspend(300, 1500),
            "quiet hours": self._quiet,
            "poll interval": self._poll,
        }

    def _disk_lost(self) -> None:
        node = self._node()
        if node.replica is not None and not node.suspended:
            if "applied" in node.disk.generations:
                self._fire("disk lost")
            node.disk.lose()
            node.handle(PersistLost())
            self._commits(1)

    def _crash(self) -> None:
        node = self._node()
        if node.replica is not None:
            self._fire("crash")
        self._commits(1)
        node.crash()
        self._loop.run_until(self._loop.now + self._loop.between(0.01, 3.0))
        node.start()

    def _restart(self) -> None:
        node = self._node()
        if node.replica is not None:
            self._fire("clean restart")
        self._stop_and_start(node)

    def _stop_and_start(self, node: Node) -> None:
        node.stop()
        self._loop.run_until(self._loop.now + self._loop.between(0.01, 3.0))
        node.start()

    def _rot(self, *names: Name) -> None:
        """A crash after which generations on disk do not verify."""
        node = self._node()
        if len(names) > 1 and "proven" not in node.disk.generations:
            self._quiet()
            self._world.commit_to(node.environment)
            self._loop.run_until(self._loop.now + 2)
        if node.replica is None or not node.disk.has_older(*names):
            return
        node.crash()
        for name in names:
            node.disk.rot(name)
        self._commits(1)
        if self._loop.chance(0.5):
            self._cut_node(node, ("redis", "postgres"), 2, 20)
        node.start()
        if node.disk.booted not in {None, *names}:
            self._fire("only proven left" if len(names) > 1 else "applied rotten")

    def _crash_loop(self) -> None:
        """A bot that dies of what it is served, three times in a row, ten minutes after all was well.

        Somebody may start it again on purpose, before something newer comes and after it.
        """
        node = self._node()
        self._quiet()
        self._world.commit_to(node.environment)
        self._loop.run_until(self._loop.now + 3)
        quarantined = False
        for _ in range(3):
            node.crash()
            self._loop.run_until(self._loop.now + self._loop.between(0.1, 5.0))
            node.start()
            quarantined = quarantined or node.life.quarantined is not None
            self._loop.run_until(self._loop.now + self._loop.between(0.1, 5.0))
        if quarantined:
            self._fire("crash loop")
        if self._loop.chance(0.5):
            self._stop_and_start(node)
        if self._loop.chance(0.7):
            self._world.commit_to(node.environment)
            self._loop.run_until(self._loop.now + self._loop.between(0.1, 5.0))
            self._stop_and_start(node)

    def _wall(self) -> None:
        self._fire("wall clock jump")
        for node in self._world.nodes:
            node.wall += self._rng.choice([-3600.0, -20.0, -3.0, 3.0, 86400.0])
        self._cut_node(self._node(), ("redis", "postgres"), 2, 20)
        self._commits(1)

    def _suspend(self, low: float, high: float) -> None:
        node = self._node()
        if node.suspended or node.replica is None:
            return
        self._fire("suspend" if low < 100 else "long suspend")
        node.suspend()
        self._commits(1)
        if low >= 100:
            self._world.slow_polls()
        self._loop.run_until(self._loop.now + self._loop.between(low, high))
        node.resume()
        self._world.usual_polls()

    def _poll(self) -> None:
        before = self._world.store.poll_after_ms
        self._world.store.poll_after_ms = self._rng.choice([200, 500, 3000])
        if self._world.store.poll_after_ms != before:
            self._fire("poll interval")
        self._later(3, 10, self._world.usual_polls)
