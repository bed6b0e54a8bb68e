"""The faults, by name. What must be fired is noted where it takes effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.faults_machine import MachineFaults
from tests.simulation.faults_store import StoreFaults
from tests.simulation.faults_wire import WireFaults

if TYPE_CHECKING:
    from tests.simulation.world import World


class Faults:
    """Everything that can go wrong in a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.kinds: dict[str, Callable[[], None]] = {}
        for subject in (WireFaults(world), StoreFaults(world), MachineFaults(world)):
            self.kinds |= subject.kinds

    def strike(self, kind: str) -> None:
        """Make one fault happen now."""
        self._world.trace.note(self._world.loop.now, "fault", kind)
        self.kinds[kind]()
