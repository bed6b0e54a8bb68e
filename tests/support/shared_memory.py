"""Shared memory without files: the bytes that the sidecar would write, read back as readers read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trimtab.model.items import LeafEdit
from trimtab.model.positions import Position
from trimtab.model.states import State
from trimtab.shared import frames, layout
from trimtab.shared.content import content_of
from trimtab.shared.layout import HashPath
from trimtab.shared.resolved import SharedIndex, ranks
from trimtab.shared.snapshot import Description, Snapshot
from trimtab_sidecar.shared import building
from trimtab_sidecar.shared.building import LayerTable, SnapshotBuilder


class Paper:
    """A generation on paper: a snapshot of a state, and frames for what comes after it."""

    def __init__(self, state: State, hash_path: HashPath = layout.hash_path) -> None:
        self.file = bytearray()
        self.table = LayerTable()
        self.table.take(state)
        self.state = state
        self.revision = 1
        self.frames = 0
        builder = SnapshotBuilder(self._write, 1, hash_path)
        description = Description(environment="production", layers=self.table.layers, identity={})
        for _ in builder.steps(state, Position(1, 1), bytes(32), self.table, description):
            pass
        for _ in building.verify("snapshot-1", self.read_at, hash_path):
            pass
        self.snapshot = Snapshot("snapshot-1", self.read_at, hash_path)
        self.content = content_of(self.snapshot)

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(self.file[offset : offset + length])

    def apply(self, environment: str, edits: Iterable[LeafEdit]) -> None:
        edits = list(edits)
        new = self.state.apply(environment, edits)
        *_, delta = building.change(self.table, self.state, new, edits)
        assert delta is not None
        self.revision += 1
        frame = frames.Frame(
            1, self.frames, 1, self.revision, bytes(32), delta.hides, delta.layers, delta.records, delta.deltas
        )
        text = frame.encode()
        read, end = frames.decode(text, 0, 1, self.frames)
        assert (read, end) == (frame, len(text))
        self.frames += 1
        self.content = self.content.following([read])
        self.state = new

    def index(self, labels: Mapping[str, str]) -> SharedIndex:
        return SharedIndex(self.content, ranks(self.content.layers, labels))

    def _write(self, offset: int, content: bytes) -> None:
        if len(self.file) < offset + len(content):
            self.file.extend(bytes(offset + len(content) - len(self.file)))
        self.file[offset : offset + len(content)] = content
