"""A follower's account of itself: what is true about the served view, for its face and for the fleet."""

from __future__ import annotations

import copy
import logging
from typing import Final

from trimtab import clock
from trimtab.errands import Errands
from trimtab.model import documents
from trimtab.model.links import START
from trimtab.model.reports import OverrideReport, Report
from trimtab.replica.alarms import ALARM_SECONDS
from trimtab.replica.machine import Replica
from trimtab.standing import Face, Plan, Standing

_logger: Final = logging.getLogger("trimtab")


class Account:
    """Puts together what replica, errands and face know, with the alarms of the follower's own."""

    def __init__(self, plan: Plan, face: Face, errands: Errands) -> None:
        self._plan, self._face, self._errands = plan, face, errands
        self._alarms: dict[str, tuple[str, float]] = {}

    def alarm(self, name: str, text: str) -> None:
        """Raise an alarm of our own, or end it with an empty text."""
        if not text:
            self._alarms.pop(name, None)
            return
        if name not in self._alarms:
            _logger.warning("%s: %s", name, text)
        self._alarms[name] = (text, clock.now())

    def standing(self, replica: Replica, *, busy: bool, following: bool) -> Standing:
        """What the face may know. `busy`: there is something in the inbox that the replica has not heard of yet."""
        now = clock.now()
        own = {name: text for name, (text, at) in self._alarms.items() if now - at < ALARM_SECONDS}
        return Standing(
            freshness=copy.copy(replica.freshness),
            labels=replica.serving.labels,
            alarms={**replica.alarms(now), **own},
            tried=self._errands.tried,
            problems=self._errands.problems,
            held=replica.serving.held,
            overridden=replica.serving.overridden,
            caught_up=self._errands.heard_primary and not busy and replica.freshness.awaited == START,
            following=following,
        )

    def report(self, replica: Replica, *, closed: bool) -> Report | None:
        """What the fleet may know; nothing before there is anything to tell."""
        held = self._face.held
        if held.position == START and not replica.serving.withheld:
            return None
        now = clock.now()
        freshness = replica.freshness
        own = {name: text for name, (text, _) in self._alarms.items()}
        alarms = {**replica.alarms(now), **own, **self._face.alarms()}
        staleness = freshness.staleness(now)
        same_epoch = freshness.proven.epoch == held.position.epoch
        return Report(
            agent=self._plan.agent,
            environment=self._plan.environment,
            labels=dict(replica.serving.labels),
            epoch=held.position.epoch,
            revision=held.position.revision,
            proven=freshness.proven.revision if same_epoch else 0,
            status=freshness.status(now),
            staleness_seconds=staleness,
            hash=held.hash.hex(),
            refused=(*self._face.refusals(), *replica.serving.held),
            alarms=tuple(f"{name}: {text}" for name, text in alarms.items()),
            too_stale=documents.too_stale(held.view.categories(), staleness),
            attached=self._face.attached(),
            understands=self._plan.understands,
            overrides=tuple(
                OverrideReport(one.path, one.shown, one.why)
                for one in (*replica.serving.overridden, *self._face.overridden())
            ),
            closed=closed,
        )
