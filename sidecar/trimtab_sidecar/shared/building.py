"""Building: from states to the bytes of snapshot files and frames, in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from trimtab.model import layers as selectors
from trimtab.model import paths, trees
from trimtab.model.items import LeafEdit
from trimtab.model.paths import Segments
from trimtab.model.positions import START, Position
from trimtab.model.states import STEP, LayerKey, State
from trimtab.model.trees import HIDDEN, Branch
from trimtab.shared import records, snapshot
from trimtab.shared.frames import Layer
from trimtab.shared.layout import PAGE, PAYLOAD, HashPath
from trimtab.shared.snapshot import Description, Header

_FLUSH_PAGES: Final = 16


class LayerTable:
    """The number of every layer. Numbers are given once, so that frames stay right when a log goes over to the next."""

    def __init__(self) -> None:
        self._numbers: dict[LayerKey, int] = {}
        self.hides = False  # whether there may be a tombstone anywhere
        self._layers: list[Layer] = []

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer with its number and rank."""
        return tuple(self._layers)

    def take(self, state: State) -> tuple[Layer, ...]:
        """Number the layers of a state; returns those that are new."""
        known = len(self._layers)
        for environment, text in state.trees:
            if (environment, text) not in self._numbers:
                rank = state.lineage.rank(environment, selectors.parse(text))
                number = self._numbers[environment, text] = len(self._layers)
                self._layers.append((number, environment, text, rank))
        return tuple(self._layers[known:])

    def ranked(self, state: State) -> list[tuple[int, Branch]]:
        """The trees of a state with the numbers of their layers, the highest rank first."""
        found = [(self._layers[self._numbers[key]][3], self._numbers[key], tree) for key, tree in state.trees.items()]
        return [(number, tree) for _, number, tree in sorted(found, key=lambda one: (-one[0], one[1]))]


@dataclass(frozen=True, slots=True)
class Delta:
    """What a frame says of one change, whichever generation it is written to."""

    position: Position
    hash: bytes
    layers: tuple[Layer, ...] = ()
    records: dict[str, bytes] = field(default_factory=dict[str, bytes])
    deltas: dict[str, bytes] = field(default_factory=dict[str, bytes])
    hides: bool = False

    @property
    def size(self) -> int:
        """About how many bytes it will take."""
        return sum(map(len, self.records.values())) + sum(map(len, self.deltas.values()))


def change(table: LayerTable, old: State, new: State, edits: Iterable[LeafEdit]) -> Iterator[Delta | None]:
    """What a frame says of the edits between two states, without its name; yields None between steps."""
    fresh = table.take(new)
    before, after = table.ranked(old), table.ranked(new)
    held: dict[str, bytes] = {}
    hides = False
    moved: dict[str, dict[str, bool]] = {}
    for number, path in enumerate(sorted({edit.path for edit in edits}), 1):
        segments = paths.parse(path)
        found = _candidates(after, segments)
        held[path] = records.encode(path, found)
        hides = hides or any(content == HIDDEN for _, content in found)
        for depth in range(1, len(segments)) if table.hides else ():  # what seals a tombstone may have changed
            above = _candidates(after, segments[:depth])
            if above != _candidates(before, segments[:depth]):
                at = paths.join(segments[:depth])
                held[at] = records.encode(at, above)
        for depth in range(len(segments), 0, -1):
            was, now = _exists(before, segments[:depth]), _exists(after, segments[:depth])
            if was == now:
                break
            parent = paths.join(segments[: depth - 1]) if depth > 1 else ""
            moved.setdefault(parent, {})[segments[depth - 1]] = now
        if number % STEP == 0:
            yield None
    deltas = {
        parent: b"".join(records.encode_delta(segment, there=there) for segment, there in sorted(below.items()))
        for parent, below in moved.items()
    }
    table.hides = table.hides or hides
    yield Delta(START, b"", fresh, held, deltas, hides)


def _candidates(ranked: Iterable[tuple[int, Branch]], segments: Segments) -> list[tuple[int, bytes]]:
    return _sealed((number, trees.descend(tree, segments)) for number, tree in ranked)


def _sealed(branches: Iterable[tuple[int, Branch | None]]) -> list[tuple[int, bytes]]:
    """The candidates at a path from what the layers hold there, the highest rank first; see `records.SEALED`."""
    found: list[tuple[int, bytes]] = []
    below = False
    for number, branch in branches:
        if branch is None:
            continue
        content = trees.content_of(branch)
        below = below or (not isinstance(branch, bytes) and len(branch) > (content is not None))
        if content is not None:
            found.append((number | records.SEALED if content == HIDDEN and not below else number, content))
    return found


def _exists(ranked: Iterable[tuple[int, Branch]], segments: Segments) -> bool:
    return any(trees.descend(tree, segments) is not None for _, tree in ranked)


class SnapshotBuilder:
    """Writes one snapshot file, in steps; `size` bytes are written when `steps` ends."""

    def __init__(self, write: Callable[[int, bytes], None], generation: int, hash_path: HashPath) -> None:
        self._write = write
        self._generation = generation
        self._hash_path = hash_path
        self._pending = bytearray()
        self._pages = 1  # page 0 comes last
        self._entries: list[tuple[int, int]] = []
        self._at = 0
        self._tombstones = 0
        self.size = 0

    def steps(
        self, state: State, position: Position, digest: bytes, table: LayerTable, description: Description
    ) -> Iterator[None]:
        """Write the file of a state."""
        for count, (path, held, below) in enumerate(_merged("", table.ranked(state)), 1):
            self._tombstones += sum(content == HIDDEN for _, content in held)
            self._add(path, records.encode(path, held, below))
            if count % STEP == 0:
                yield
        table.hides = table.hides or self._tombstones > 0
        at, text = self._at, description.encode()
        self._put(text)
        self._flush(whole=True)
        index_page = self._pages
        self._entries.sort()
        yield
        for payload in snapshot.index_pages(self._entries):
            self._write(self._pages * PAGE, snapshot.page(payload, self._pages, self._generation))
            self._pages += 1
            yield
        header = Header(
            self._generation, position, digest, at, len(text), index_page, len(self._entries), state.count,
            self._tombstones,
        )  # fmt: skip
        self._write(0, snapshot.page(header.encode(), 0, self._generation))
        self.size = header.size

    def _add(self, path: str, record: bytes) -> None:
        self._entries.append((self._hash_path(path.encode()), self._at))
        self._put(record)

    def _put(self, content: bytes) -> None:
        self._pending += content
        self._at += len(content)
        if len(self._pending) >= _FLUSH_PAGES * PAYLOAD:
            self._flush(whole=False)

    def _flush(self, *, whole: bool) -> None:
        """Write the pages that are full, and with `whole` the last one, too."""
        count = -(-len(self._pending) // PAYLOAD) if whole else len(self._pending) // PAYLOAD
        pages: list[bytes] = []
        for number in range(count):
            payload = bytes(self._pending[number * PAYLOAD : (number + 1) * PAYLOAD])
            pages.append(snapshot.page(payload, self._pages + number, self._generation))
        if pages:
            self._write(self._pages * PAGE, b"".join(pages))
        self._pages += count
        del self._pending[: count * PAYLOAD]


def _merged(path: str, branches: list[tuple[int, Branch]]) -> Iterator[tuple[str, list[tuple[int, bytes]], list[str]]]:
    """Every path at and below one that any layer has anything at: its candidates and its children."""
    held = _sealed(branches)
    below = trees.segments_of(branch for _, branch in branches)
    yield path, held, below
    for segment in below:
        found = [
            (number, child) for number, branch in branches if (child := trees.child_of(branch, segment)) is not None
        ]
        at = paths.child(path, segment)
        if all(isinstance(branch, bytes) for _, branch in found):
            yield at, _sealed(found), []
        else:
            yield from _merged(at, found)


def verify(name: str, read_at: snapshot.ReadAt, hash_path: HashPath) -> Iterator[None]:
    """Read a snapshot file back, every page of it; raises `FilesRefused` if it is not what was written."""
    written = snapshot.Snapshot(name, read_at, hash_path)
    for number in range(written.header.size // PAGE):
        written.verify(number)
        if number % STEP == 0:
            yield
