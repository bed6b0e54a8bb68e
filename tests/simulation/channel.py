"""The way from Redis to a subscriber, which may do anything to a message."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.loop import Loop
from trimtab.replica.events import Arrived, Named

CHANNEL_FAULTS = ("lost", "duplicated", "reordered", "delayed", "corrupted")


class Channel:
    """Carries notices. Each fault that is active strikes by chance."""

    def __init__(self, loop: Loop, fire: Callable[[str], None]) -> None:
        self._loop, self._fire = loop, fire
        self.active: set[str] = set()

    def carry(self, notice: Arrived | Named) -> list[tuple[float, Arrived | Named]]:
        """When which notices arrive for one that was sent."""
        loop = self._loop
        delay = loop.between(0.0003, 0.005)
        struck = [fault for fault in CHANNEL_FAULTS if fault in self.active and loop.chance(0.4)]
        arriving = [(delay, notice)]
        for fault in struck:
            before = arriving
            arriving = self._struck(fault, before, delay)
            if arriving != before:
                self._fire(fault)
            if fault == "lost":
                break
        return arriving

    def _struck(
        self, fault: str, arriving: list[tuple[float, Arrived | Named]], delay: float
    ) -> list[tuple[float, Arrived | Named]]:
        loop = self._loop
        if fault == "lost":
            return []
        if fault == "duplicated":
            notice = arriving[0][1]
            return arriving + [(delay + loop.between(0, 3), notice) for _ in range(loop.rng.randint(1, 3))]
        if fault == "reordered":
            return [(loop.between(0, 0.4), again) for _, again in arriving]
        if fault == "delayed":
            return [(at + loop.between(1, 15), again) for at, again in arriving]
        return [(at, self._corrupt(again)) for at, again in arriving]

    def _corrupt(self, notice: Arrived | Named) -> Arrived | Named:
        if isinstance(notice, Named) or not notice.message:
            return notice
        message, rng = notice.message, self._loop.rng
        if rng.random() < 0.3:
            return Arrived(message[: rng.randrange(len(message))])
        place = rng.randrange(len(message))
        return Arrived(message[:place] + bytes([message[place] ^ (1 << rng.randrange(8))]) + message[place + 1 :])
