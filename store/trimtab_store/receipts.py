"""Receipts: waiting until every agent that a commit reaches serves it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from typing import Final

from trimtab.model.errors import UnavailableError
from trimtab.model.links import Position
from trimtab_store.deadlines import Deadline
from trimtab_store.fleet import Fleet, Member
from trimtab_store.writer import Committed, RefusedBinding, Straggler, WaitOutcome

POLL_SECONDS: Final = (0.02, 0.05)
LOOK_SECONDS: Final = 1.0
"""How long one look may take, also where the caller's own time is over."""


class FleetReceipts:
    """The `Receipts` of a store. Each wait opens connections of its own, so that waits never wait for each other."""

    def __init__(self, database_url: str | None, redis_url: str | None) -> None:
        self._database_url, self._redis_url = database_url, redis_url

    def wait(self, committed: Committed, timeout: float) -> WaitOutcome:
        """Wait for a commit; see `served`."""
        return self.served(committed.environments, committed.position, timeout)

    def served(self, environments: Sequence[str], position: Position, timeout: float) -> WaitOutcome:
        """Return once every live agent of these environments serves a position, at the latest after `timeout` seconds.

        An agent that fell silent without closing is named as a straggler for 10 minutes, but not waited for. Raises
        `UnavailableError` if neither Redis nor Postgres said anything in that time.
        """
        fleet = Fleet.connect(self._database_url, self._redis_url)
        try:
            return _wait(fleet, environments, position, Deadline.after(timeout))
        finally:
            fleet.close()

    def members(self, environments: Sequence[str], timeout: float = LOOK_SECONDS) -> list[Member]:
        """The fleet as it is now. Raises `UnavailableError` if neither server can be asked."""
        fleet = Fleet.connect(self._database_url, self._redis_url)
        try:
            return fleet.members(environments, Deadline.after(timeout))
        finally:
            fleet.close()


def judge(members: Iterable[Member], position: Position) -> WaitOutcome:
    """Who serves a position, who does not, and whose bindings refused it: those of a view that is held back, too."""
    served: list[str] = []
    stragglers: list[Straggler] = []
    refused: list[RefusedBinding] = []
    attached = 0
    for member in members:
        report = member.report
        if not (member.live or member.silent):
            continue
        if report.serves(position):
            served.append(report.agent)
            attached += 0 if report.attached is None else report.attached.count
        else:
            stragglers.append(_straggler(member, position))
        refused += [
            RefusedBinding(report.agent, report.environment, refusal.path, refusal.reason)
            for refusal in report.refused
            if refusal.revision >= position.revision
        ]
    return WaitOutcome(tuple(served), tuple(stragglers), tuple(refused), attached)


def _wait(fleet: Fleet, environments: Sequence[str], position: Position, until: Deadline) -> WaitOutcome:
    outcome: WaitOutcome | None = None
    while True:
        try:
            members = fleet.members(environments, Deadline.after(min(LOOK_SECONDS, max(until.remaining, 0.1))))
            outcome = judge(members, position)
            if all(member.report.serves(position) for member in members if member.live):
                return outcome
        except UnavailableError:
            if outcome is None and not until.remaining:
                raise
        if not until.remaining:
            assert outcome is not None  # else the error above was raised
            return outcome
        time.sleep(min(until.remaining, random.uniform(*POLL_SECONDS)))  # noqa: S311 - jitter, no secret


def _straggler(member: Member, position: Position) -> Straggler:
    report = member.report
    at = Position(report.epoch, report.revision)
    if report.attached is not None and report.waits_for_attached(position):
        at = report.attached.slowest
    who = "serves" if at == Position(report.epoch, report.revision) else "a bot attached to it serves"
    why = f"{who} {at}" if member.live else f"silent for {member.age:.0f} s"
    return Straggler(report.agent, report.environment, dict(report.labels), at, report.status.value, why)
