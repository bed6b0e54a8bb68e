"""Content: what a reader finds at a path, whoever it is: a snapshot file, and over it what the log says since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from trimtab.model.positions import Position
from trimtab.shared import records
from trimtab.shared.frames import Frame, Layer
from trimtab.shared.records import Candidates
from trimtab.shared.snapshot import Snapshot

NO_CANDIDATES: Final[Candidates] = ()


class Base(Protocol):
    """What a snapshot file offers; a dict does the same in tests."""

    def record(self, path: str) -> tuple[bytes, int] | None:
        """The own part of a record, and where it stands; None if there is none."""
        ...

    def children(self, own: bytes, at: int) -> Iterable[str]:
        """The segments that a record lists."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """One state, as frames were laid over a snapshot. Immutable: the next frame makes another one.

    `hides`: whether there may be a tombstone anywhere; `paths`: how many the snapshot has. `patch` and `deltas` hold
    only text and bytes, which the collector of the bot never visits.
    """

    base: Base
    position: Position
    hash: bytes
    layers: tuple[Layer, ...]
    hides: bool
    paths: int = 0
    patch: dict[str, bytes] = field(default_factory=dict[str, bytes])
    deltas: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def candidates(self, path: str) -> Candidates:
        """What the layers hold at a path, the winning one first; empty if none holds anything."""
        own = self.patch.get(path)
        if own is None:
            found = self.base.record(path)
            if found is None:
                return NO_CANDIDATES
            own = found[0]
        return records.candidates(own)

    def look(self, path: str) -> tuple[Candidates, Iterable[str]]:
        """Candidates and children of a path with one look; the children are read only if they are asked for."""
        found = self.base.record(path)
        own = self.patch.get(path)
        if own is None:
            own = None if found is None else found[0]
        below: Iterable[str] = ()
        if found is not None and records.has_children(found[0]):
            below = self.base.children(*found)
        changes = self.deltas.get(path)
        if changes is not None:
            below = _changed(below, changes)
        return (NO_CANDIDATES if own is None else records.candidates(own)), below

    def following(self, frames: Iterable[Frame]) -> Content:
        """The content after some changes."""
        patch, deltas = dict(self.patch), dict(self.deltas)
        layers, hides, position, digest = self.layers, self.hides, self.position, self.hash
        last: Frame | None = None
        for frame in frames:
            patch.update(frame.records)
            for parent, content in frame.deltas.items():
                deltas[parent] = deltas.get(parent, b"") + content
            layers += frame.layers
            hides = hides or frame.hides
            last = frame
        if last is not None:
            position, digest = Position(last.epoch, last.revision), last.hash
        return replace(self, patch=patch, deltas=deltas, layers=layers, hides=hides, position=position, hash=digest)


def content_of(snapshot: Snapshot) -> Content:
    """The content of a snapshot file that nothing was laid over yet."""
    header = snapshot.header
    return Content(
        base=snapshot,
        position=header.position,
        hash=header.hash,
        layers=snapshot.description.layers,
        hides=header.tombstones > 0,
        paths=header.paths,
    )


def _changed(below: Iterable[str], changes: bytes) -> Iterator[str]:
    changed = records.deltas(changes)
    for segment in below:
        if changed.pop(segment, True):
            yield segment
    for segment, there in changed.items():
        if there:
            yield segment
