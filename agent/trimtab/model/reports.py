"""Reports: what an agent tells the fleet about itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

import orjson

from trimtab.model.errors import ValueRefused
from trimtab.model.links import Position

LIVE_SECONDS: Final = 15.0
"""An agent is live if it reported this recently."""
STRAGGLER_SECONDS: Final = 600.0
"""A silent agent counts as a straggler for this long, unless it closed cleanly."""
REPORT_SECONDS: Final = 5.0
"""How often an agent reports when nothing happens."""
MAX_REPORT_BYTES: Final = 64 * 1024


class Status(StrEnum):
    """How far a reader may trust the freshness of what it reads (DESIGN §6)."""

    LIVE = "LIVE"
    DEGRADED = "DEGRADED"
    STALE = "STALE"
    OFFLINE = "OFFLINE"
    AHEAD = "AHEAD"
    FORKED = "FORKED"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A binding that kept its own last good value: where, at which revision, and what its model said."""

    path: str
    revision: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One agent's report. `epoch` and `revision` name the served view, `proven` the store revision that proves it.

    `staleness_seconds` is infinite while nothing was ever certified: null in JSON, which has no infinity. `at` is
    stamped by the server that takes the report, in seconds of its clock.
    """

    agent: str
    environment: str
    labels: Mapping[str, str]
    epoch: int
    revision: int
    proven: int
    status: Status
    staleness_seconds: float
    hash: str = ""
    refused: tuple[Refusal, ...] = ()
    alarms: tuple[str, ...] = ()
    closed: bool = False
    at: float = field(default=0.0)

    def encode(self) -> bytes:
        """JSON for `:fleet` and `trimtab_report_v1`; refusals are shortened to fit 64 KiB."""
        fields: dict[str, object] = {**asdict(self), "status": self.status.value, "labels": dict(self.labels)}
        text = b""
        for kept in (50, 20, 5, 1, 0):
            fields["refused"] = [{**asdict(one), "reason": one.reason[:500]} for one in self.refused[:kept]]
            fields["alarms"] = [alarm[:500] for alarm in self.alarms[:kept]]
            text = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
            if len(text) <= MAX_REPORT_BYTES:
                return text
        raise ValueRefused(
            "This report is refused", f"its labels alone make {len(text)} bytes", "Use fewer or shorter labels"
        )

    def serves(self, position: Position) -> bool:
        """Whether this agent serves a revision: its view reached it, or is proven up to date at a later one."""
        return Position(self.epoch, max(self.revision, self.proven)) >= position


def decode(text: bytes) -> Report:
    """Read a report; raises `ValueRefused` if it is none. Agents write these: nothing in it is trusted."""
    if len(text) > MAX_REPORT_BYTES:
        raise ValueRefused("This report is refused", f"it has {len(text)} bytes", "Update the agent")
    try:
        fields = orjson.loads(text)
        return Report(
            agent=str(fields["agent"]),
            environment=str(fields["environment"]),
            labels={str(name): str(label) for name, label in fields["labels"].items()},
            epoch=int(fields["epoch"]),
            revision=int(fields["revision"]),
            proven=int(fields["proven"]),
            status=Status(fields["status"]),
            staleness_seconds=_staleness(fields["staleness_seconds"]),
            hash=str(fields["hash"]),
            refused=tuple(Refusal(str(r["path"]), int(r["revision"]), str(r["reason"])) for r in fields["refused"]),
            alarms=tuple(str(alarm) for alarm in fields["alarms"]),
            closed=bool(fields["closed"]),
            at=float(fields["at"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueRefused(
            "This report is refused", f"it is malformed ({type(error).__name__})", "Update the agent"
        ) from error


def _staleness(value: object) -> float:
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError("staleness")
    return float(value)
