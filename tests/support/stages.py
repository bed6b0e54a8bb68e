"""Stages for the contracts of reading: a world that gives readers of one kind, an agent or one that is attached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.waiting import eventually
from tests.support.world import World
from trimtab import Agent, Attached, attach, clock
from trimtab.model.changes import Change
from trimtab.model.links import Position
from trimtab.model.reports import Status
from trimtab.model.snapshots import Snapshot
from trimtab.reading import Reading
from trimtab.shared.head import Attested
from trimtab_sidecar.shared import Limits, Publisher, SharedDirectory


class Stage(World):
    """A world that gives readers of one kind."""

    def reader(self, labels: Mapping[str, str] | None = None, **more: Any) -> Reading:
        agent: Agent = self.connect(labels=labels or {"bot": "mm"}, **more)
        assert eventually(lambda: agent.status is Status.LIVE)
        return agent


class SharedStage(Stage):
    """The same line, shared by a sidecar's writer; every generation is short."""

    def __init__(self, place: Path) -> None:
        self.publisher = Publisher(SharedDirectory(place), "production", limits=Limits(paths=4, frames=3))
        self.place = place
        self.attached: list[Attached] = []
        super().__init__()

    def reader(self, labels: Mapping[str, str] | None = None, **more: Any) -> Reading:
        made = attach(self.place, labels or {"bot": "mm"}, timeout=0, **more)
        self.attached.append(made)
        return made

    def close(self) -> None:
        for one in self.attached:
            one.close()
        self.publisher.close()
        super().close()

    def _extend(self, change: Change, *, silently: bool = False) -> int:
        before = Position() if self.link is None else self.link.position
        revision = super()._extend(change, silently=silently)
        assert self.link is not None
        made = Snapshot("production", self.link.position, self.link.hash, self.state)
        for _ in self.publisher.publish(made, change, before):
            pass
        for _ in self.publisher.tidy():
            pass
        now = clock.now()
        position = self.link.position
        said = Attested(heartbeat=now, certified_at=now, served=position, proven=position, subscribed=True)
        self.publisher.attest(said)
        return revision


def made_stage(kind: str, place: Path) -> Stage:
    """A stage of a kind, `agent` or `attached`; what it shares stands at a place that is not there yet."""
    return Stage() if kind == "agent" else SharedStage(place)
