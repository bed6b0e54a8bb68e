"""Directories of shared memory to measure with: the writer's side of a sidecar, without feeds."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path

from benchmarks import fixtures
from trimtab.model import canonical
from trimtab.model.changes import Change
from trimtab.model.items import LeafEdit
from trimtab.model.links import Position
from trimtab.model.snapshots import Snapshot
from trimtab_sidecar.shared import Limits, Publisher, SharedDirectory

MEMORY = Path("/dev/shm")  # noqa: S108 - memory is the point; a directory of our own is made in there


class Shared:
    """One directory with a state of so many items, and changes to it."""

    def __init__(self, place: Path, items: int, limits: Limits | None = None) -> None:
        self.place = str(place)
        self.items = items
        self.publisher = Publisher(SharedDirectory(place), fixtures.ENVIRONMENT, {"node": "n1"}, limits=limits)
        self.state = fixtures.state(items)
        self.revision = 0
        self.resync()

    def resync(self) -> int:
        """Publish everything anew."""
        self.revision += 1
        _drain(self.publisher.publish(self._snapshot()))
        return self.revision

    def put(self, paths: Iterable[str], value: canonical.Json) -> int:
        """Publish one change."""
        edits = tuple(LeafEdit("", path, "put", canonical.encode(value)) for path in sorted(paths))
        before = Position(1, self.revision)
        self.state = self.state.apply(fixtures.ENVIRONMENT, edits)
        self.revision += 1
        change = Change(environment=fixtures.ENVIRONMENT, author="bench", reason="", time="", edits=edits)
        _drain(self.publisher.publish(self._snapshot(), change, before))
        _drain(self.publisher.tidy())
        return self.revision

    def _snapshot(self) -> Snapshot:
        digest = self.revision.to_bytes(32, "big")
        return Snapshot(fixtures.ENVIRONMENT, Position(1, self.revision), digest, self.state)


@contextlib.contextmanager
def shared(items: int, limits: Limits | None = None) -> Generator[Shared]:
    """A directory in memory that is removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="trimtab-bench-", dir=MEMORY))
    try:
        made = Shared(place / "shared", items, limits)
        yield made
        made.publisher.close()
    finally:
        shutil.rmtree(place)


def _drain(steps: Iterable[object]) -> None:
    for _ in steps:
        pass
