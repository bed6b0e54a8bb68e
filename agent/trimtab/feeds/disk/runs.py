"""Starts and ends of a bot: whether the last one stopped cleanly, and when the unclean ends were found.

Times are wall-clock seconds given by the caller; they decide nothing but a quarantine (DESIGN §6). A clean stop keeps
the unclean ends, so a quarantined bot stays so when it is started again; something newer served uses them up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from trimtab.model import canonical

CRASH_LOOP_ENDS: Final = 3
CRASH_LOOP_SECONDS: Final = 300.0
_KEPT: Final = 8


@dataclass(frozen=True, slots=True)
class Runs:
    """`running`: a start without a clean stop (yet). `unclean_ends`: when such ends were found, in order.

    `at` is the time of the last start or stop, for people.
    """

    running: bool = False
    unclean_ends: tuple[float, ...] = ()
    at: float = 0.0

    @classmethod
    def decode(cls, fields: dict[str, canonical.Json] | None) -> Runs:
        """From the fields of the file; a file that is not there means the first start."""
        if fields is None:
            return cls()
        ends = fields.get("unclean_ends")
        times = [float(end) for end in ends if isinstance(end, int | float)] if isinstance(ends, list) else []
        return cls(fields.get("running") is True, tuple(times))

    def encode(self) -> dict[str, canonical.Json]:
        """The fields of the file."""
        return {"at": self.at, "running": self.running, "unclean_ends": list(self.unclean_ends)}

    def started(self, now: float) -> Runs:
        """After a start: one more unclean end if the run before left no record of a clean stop."""
        ends = (*self.unclean_ends, now) if self.running else self.unclean_ends
        return Runs(running=True, unclean_ends=ends[-_KEPT:], at=now)

    def stopped(self, now: float) -> Runs:
        """After a clean stop."""
        return replace(self, running=False, at=now)

    def forgotten(self) -> Runs:
        """After something newer was served than what the unclean ends may have come from: they count no more."""
        return replace(self, unclean_ends=())


def is_crash_loop(unclean_ends: tuple[float, ...], now: float) -> bool:
    """Whether three unclean ends lie within the last five minutes. A clock set back or forth by more hides them."""
    recent = [end for end in unclean_ends if abs(now - end) <= CRASH_LOOP_SECONDS]
    return len(recent) >= CRASH_LOOP_ENDS
