"""A line that a publisher shares, one state after the other, without any store, feed or follower."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from trimtab import clock
from trimtab.model import canonical, states
from trimtab.model.canonical import Json
from trimtab.model.changes import Change
from trimtab.model.items import Item, LeafEdit
from trimtab.model.links import Position
from trimtab.model.snapshots import Snapshot
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab.shared import layout
from trimtab.shared.head import Attested
from trimtab.shared.layout import HashPath
from trimtab_sidecar.shared import Limits, Publisher, SharedDirectory, SharedFiles

LINEAGE = Lineage(("base", "production"))
VALUES: dict[str, Json] = {
    "risk.global.max": 3,
    "risk.global.names": ["a"],
    "token.t1.on": True,
    "fleet.bots.mm.labels.mode": "paper",
}


def put(path: str, value: object, layer: str = "") -> LeafEdit:
    return LeafEdit(layer, path, "put", canonical.encode(value))


def hide(path: str, layer: str = "") -> LeafEdit:
    return LeafEdit(layer, path, "hide")


def remove(path: str, layer: str = "") -> LeafEdit:
    return LeafEdit(layer, path, "remove")


def digest(epoch: int, revision: int) -> bytes:
    return bytes([epoch % 256]) + revision.to_bytes(31, "big")


class SharedLine:
    """States that follow each other, and the publisher that shares them."""

    def __init__(
        self,
        place: Path | SharedFiles,
        values: Mapping[str, Json] | None = None,
        *,
        limits: Limits | None = None,
        identity: Mapping[str, str] | None = None,
        hash_path: HashPath = layout.hash_path,
        lineage: Lineage = LINEAGE,
    ) -> None:
        files = SharedDirectory(place) if isinstance(place, Path) else place
        self.publisher = Publisher(
            files, lineage.environment, identity or {"node": "n1"}, limits=limits, hash_path=hash_path
        )
        items = [Item("base", "", path, canonical.encode(value)) for path, value in (values or {}).items()]
        self.state = states.build(lineage, items)
        self.position = Position(1, 0)
        if values is not None:
            self.resync()

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(
            self.state.lineage.environment,
            self.position,
            digest(self.position.epoch, self.position.revision),
            self.state,
        )

    def resync(self, state: State | None = None, epoch: int | None = None) -> None:
        """Publish a state that no change leads to."""
        self.state = state or self.state
        self.position = Position(epoch or self.position.epoch, self.position.revision + 1)
        drain(self.publisher.publish(self.snapshot))

    def edit(self, *edits: LeafEdit, environment: str = "base") -> None:
        """Publish one change."""
        before = self.position
        self.state = self.state.apply(environment, edits)
        self.position = Position(before.epoch, before.revision + 1)
        change = Change(environment=environment, author="t", reason="", time="", edits=tuple(sorted(edits)))
        drain(self.publisher.publish(self.snapshot, change, before))

    def attest(self, **more: object) -> None:
        now = clock.now()
        fields: dict[str, object] = {
            "heartbeat": now,
            "certified_at": now,
            "served": self.position,
            "proven": self.position,
            "subscribed": True,
        }
        self.publisher.attest(Attested(**{**fields, **more}))  # type: ignore[arg-type]

    def tidy(self) -> None:
        drain(self.publisher.tidy())

    def close(self) -> None:
        self.publisher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def drain(steps: Iterable[object]) -> None:
    for _ in steps:
        pass
