"""Reports: what an agent tells the fleet about itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

import orjson

from trimtab.model.errors import ValueRefused
from trimtab.model.fields import array, flag, number, string
from trimtab.model.positions import Position

LIVE_SECONDS: Final = 15.0
"""An agent is live if it reported this recently."""
STRAGGLER_SECONDS: Final = 600.0
"""A silent agent counts as a straggler for this long, unless it closed cleanly."""
REPORT_SECONDS: Final = 5.0
"""How often an agent reports when nothing happens."""
MAX_REPORT_BYTES: Final = 64 * 1024
_AGENT_BYTES: Final = 255
_TEXT_CHARACTERS: Final = 500
"""Of one reason or alarm."""


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


@dataclass(frozen=True, slots=True)
class OverrideReport:
    """A path that a node wants to set for itself: to what (JSON, masked if it is text), and why it does not hold.

    An empty `why` says that it holds.
    """

    path: str
    value: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class AttachedBots:
    """The bots that read through a sidecar: how many, and the position of the one that is furthest behind."""

    count: int
    slowest: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One agent's report. `epoch` and `revision` name the served view, `proven` the store revision that proves it.

    `staleness_seconds` is infinite while nothing was ever certified: null in JSON, which has no infinity. `too_stale`
    are the categories for which that is too much. `attached` are the bots that a sidecar speaks for, too. `understands`
    names for schemas the newest version that its code can read. `at` is stamped by the server that takes the report, in
    seconds of its clock.
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
    too_stale: tuple[str, ...] = ()
    attached: AttachedBots | None = None
    overrides: tuple[OverrideReport, ...] = ()
    understands: Mapping[str, int] = field(default_factory=dict[str, int])
    closed: bool = False
    at: float = field(default=0.0)

    def encode(self) -> bytes:
        """JSON for `:fleet` and `trimtab_report_v1`; refusals are shortened to fit 64 KiB."""
        fields: dict[str, object] = {**asdict(self), "status": self.status.value, "labels": dict(self.labels)}
        fields["understands"] = dict(self.understands)
        fields["attached"] = None if self.attached is None else _told(self.attached)
        text = b""
        for kept in (50, 20, 5, 1, 0):
            refused = self.refused[:kept]
            fields["refused"] = [{**asdict(one), "reason": one.reason[:_TEXT_CHARACTERS]} for one in refused]
            fields["alarms"] = [alarm[:_TEXT_CHARACTERS] for alarm in self.alarms[:kept]]
            fields["too_stale"] = self.too_stale[:kept]
            fields["overrides"] = [{**asdict(one), "why": one.why[:_TEXT_CHARACTERS]} for one in self.overrides[:kept]]
            text = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
            if len(text) <= MAX_REPORT_BYTES:
                return text
        raise ValueRefused(
            "This report is refused", f"its labels alone make {len(text)} bytes", "Use fewer or shorter labels"
        )

    def serves(self, position: Position) -> bool:
        """Whether this agent serves a revision: its view reached it, or is proven up to date at a later one.

        So must every bot that is attached to it: one that has what its sidecar has is as far as that.
        """
        own = Position(self.epoch, max(self.revision, self.proven)) >= position
        return own and not self.waits_for_attached(position)

    def waits_for_attached(self, position: Position) -> bool:
        """Whether a bot that is attached is behind a revision, and behind its sidecar."""
        if self.attached is None or not self.attached.count:
            return False
        return self.attached.slowest < min(position, Position(self.epoch, self.revision))


def decode(text: bytes) -> Report:
    """Read a report; raises `ValueRefused` if it is none. Agents write these: nothing in it is trusted."""
    if len(text) > MAX_REPORT_BYTES:
        raise ValueRefused("This report is refused", f"it has {len(text)} bytes", "Update the agent")
    try:
        fields = orjson.loads(text)
        return Report(
            agent=_name(fields["agent"]),
            environment=string(fields["environment"]),
            labels={string(name): string(label) for name, label in fields["labels"].items()},
            epoch=number(fields["epoch"]),
            revision=number(fields["revision"]),
            proven=number(fields["proven"]),
            status=Status(fields["status"]),
            staleness_seconds=_staleness(fields["staleness_seconds"]),
            hash=string(fields["hash"]),
            refused=tuple(_refusal(one) for one in array(fields["refused"])),
            alarms=tuple(string(alarm)[:_TEXT_CHARACTERS] for alarm in array(fields["alarms"])),
            too_stale=tuple(string(category) for category in array(fields.get("too_stale", []))),
            attached=_attached(fields.get("attached")),
            overrides=tuple(_override(one) for one in array(fields.get("overrides", []))),
            understands={string(name): number(version) for name, version in fields.get("understands", {}).items()},
            closed=flag(fields["closed"]),
            at=_seconds(fields["at"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueRefused(
            "This report is refused", f"it is malformed ({type(error).__name__})", "Update the agent"
        ) from error


def _told(attached: AttachedBots) -> dict[str, int]:
    return {"count": attached.count, "epoch": attached.slowest.epoch, "revision": attached.slowest.revision}


def _attached(fields: Mapping[str, object] | None) -> AttachedBots | None:
    if fields is None:
        return None
    slowest = Position(number(fields["epoch"]), number(fields["revision"]))
    return AttachedBots(number(fields["count"]), slowest)


def _override(fields: Mapping[str, object]) -> OverrideReport:
    value, why = (string(fields[name])[:_TEXT_CHARACTERS] for name in ("value", "why"))
    return OverrideReport(string(fields["path"]), value, why)


def _refusal(fields: Mapping[str, object]) -> Refusal:
    return Refusal(string(fields["path"]), number(fields["revision"]), string(fields["reason"])[:_TEXT_CHARACTERS])


def _name(value: object) -> str:
    name = string(value)
    if not 0 < len(name.encode()) <= _AGENT_BYTES:
        raise ValueError("agent")
    return name


def _staleness(value: object) -> float:
    return math.inf if value is None else _seconds(value)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError("seconds")
    return float(value)
