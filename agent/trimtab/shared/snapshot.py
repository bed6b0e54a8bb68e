"""`snapshot-<n>`: the layered environment at one revision; immutable once it is announced.

Pages of 4,096 bytes, each a payload of 4,092 and a checksum that counts for this page of this generation only:

    page 0      prefix, then where everything is (`Header`)
    then        records, one after the other, across the ends of pages
    then        a description as JSON: environment, layers, dimensions, the sidecar's identity
    then        the index: 255 entries a page, (64-bit hash of the path, where its record stands), sorted by hash

Reading takes a function that gives bytes of the file, and trusts nothing that it has not verified.
"""

from __future__ import annotations

import json
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from trimtab.model.errors import FilesRefused
from trimtab.model.positions import Position
from trimtab.shared import layout, records
from trimtab.shared.frames import Layer
from trimtab.shared.layout import PAGE, PAYLOAD, HashPath

ReadAt: TypeAlias = Callable[[int, int], bytes]
"""(offset, length) → bytes of the file, fewer where it ends."""

ENTRY: Final = struct.Struct("<QQ")
ENTRIES: Final = PAYLOAD // ENTRY.size
"""Index entries of one page."""
_HEADER: Final = struct.Struct("<QQQ32sQQQQQQ")
_PAGES_KEPT: Final = 64
_NEIGHBOURS: Final = 4
_MAX_RECORD: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Header:
    """Where everything is. Records and description are addressed by bytes of payload from page 1 on."""

    generation: int
    position: Position
    hash: bytes
    description_at: int
    description_length: int
    index_page: int
    paths: int
    items: int
    tombstones: int

    def encode(self) -> bytes:
        """The payload of page 0."""
        fields = (
            self.generation,
            self.position.epoch,
            self.position.revision,
            self.hash,
            self.description_at,
            self.description_length,
            self.index_page,
            self.paths,
            self.items,
            self.tombstones,
        )
        return (layout.prefix(layout.MAGIC_SNAPSHOT) + _HEADER.pack(*fields)).ljust(PAYLOAD, b"\0")

    @property
    def index_pages(self) -> int:
        """How many pages the index has."""
        return -(-self.paths // ENTRIES)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return (self.index_page + self.index_pages) * PAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a snapshot is of. `identity` are the labels that the sidecar passes on: node and region."""

    environment: str
    layers: tuple[Layer, ...] = ()
    identity: Mapping[str, str]

    def encode(self) -> bytes:
        """As JSON."""
        fields = {"environment": self.environment, "identity": dict(self.identity), "layers": self.layers}
        return json.dumps(fields).encode()


def page(payload: bytes, number: int, generation: int) -> bytes:
    """A page: its payload, filled up with zeros, and its checksum."""
    content = payload.ljust(PAYLOAD, b"\0")
    return content + layout.checksum(content, _seed(number, generation)).to_bytes(4, "little")


def index_pages(entries: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """The payloads of the index, given its sorted entries."""
    for begin in range(0, len(entries), ENTRIES):
        yield b"".join(ENTRY.pack(*entry) for entry in entries[begin : begin + ENTRIES])


class Snapshot:
    """A snapshot file, read as needed. Raises `FilesRefused` for whatever the writer did not write."""

    def __init__(self, name: str, read_at: ReadAt, hash_path: HashPath = layout.hash_path) -> None:
        self.name = name
        self._read_at = read_at
        self._hash_path = hash_path
        self._kept: dict[int, bytes] = {}
        first = read_at(0, PAGE)
        layout.check_prefix(name, first, layout.MAGIC_SNAPSHOT)
        generation = int.from_bytes(first[layout.PREFIX.size : layout.PREFIX.size + 8], "little")
        self._generation = generation
        payload = self._verified(first, 0)
        found, epoch, revision, digest, *rest = _HEADER.unpack_from(payload, layout.PREFIX.size)
        self.header = Header(found, Position(epoch, revision), digest, *rest)
        if layout.snapshot_name(generation) != name:
            raise layout.damaged(name, f"it says that it is generation {generation}")
        if len(read_at(self.header.size - 1, 1)) != 1:
            raise layout.damaged(name, "it is cut off")
        self.description = self._description()

    def record(self, path: str) -> tuple[bytes, int] | None:
        """The own part of a path's record and where it stands; None if no layer has anything at or below it."""
        name = path.encode()
        for at in self._places(self._hash_path(name)):
            total, mine = records.LENGTHS.unpack(self._bytes(at, records.LENGTHS.size))
            if not records.LENGTHS.size <= mine <= total <= _MAX_RECORD:
                raise layout.damaged(self.name, "a record has an impossible length")
            own = self._bytes(at, mine)
            if records.path_of(own) == name:
                return own, at
        return None

    def children(self, own: bytes, at: int) -> Iterator[str]:
        """The segments below a path, given what `record` gave."""
        total, mine = records.LENGTHS.unpack_from(own)
        return records.children(self._bytes(at + mine, total - mine))

    def verify(self, number: int) -> None:
        """Check one page of the file; raises `FilesRefused`."""
        self._verified(self._read_at(number * PAGE, PAGE), number)

    def paths(self) -> Iterator[str]:
        """Every path that any layer has anything at or below, in no particular order."""
        for number in range(self.header.index_pages):
            for _, at in ENTRY.iter_unpack(self._entries(number)):
                _, mine = records.LENGTHS.unpack(self._bytes(at, records.LENGTHS.size))
                yield records.path_of(self._bytes(at, mine)).decode()

    def _description(self) -> Description:
        text = self._bytes(self.header.description_at, self.header.description_length)
        try:
            fields = json.loads(text)
            layers = tuple((one[0], one[1], one[2], one[3]) for one in fields["layers"])
            return Description(environment=fields["environment"], layers=layers, identity=fields["identity"])
        except (ValueError, TypeError, LookupError) as error:
            raise layout.damaged(self.name, "its description is malformed") from error

    def _places(self, wanted: int) -> Iterator[int]:
        """Where the records of all paths with this hash stand."""
        pages = self.header.index_pages
        number = self._first_page(wanted, pages) if pages else 0
        while number < pages:
            hashes = self._hashes(number)
            place = bisect_left(hashes, wanted)
            entries = self._entries(number)
            for entry in range(place, len(hashes)):
                if hashes[entry] != wanted:
                    return
                yield ENTRY.unpack_from(entries, entry * ENTRY.size)[1]
            number += 1

    def _first_page(self, wanted: int, pages: int) -> int:
        """The first page of the index that does not end below a hash; `pages` if all do.

        Hashes are even, so the first guess or a neighbour of it is mostly right; after a few guesses it halves.
        """
        low, high = 0, pages  # all pages below `low` end below the hash, the page `high` does not
        guess, guesses = wanted * pages >> 64, 0
        while low < high:
            hashes = self._hashes(guess)
            guesses += 1
            if hashes[-1] < wanted:
                low = neighbour = guess + 1
            elif hashes[0] < wanted:
                return guess
            else:
                high = guess
                neighbour = guess - 1
            guess = neighbour if guesses <= _NEIGHBOURS else (low + high) // 2
        return low

    def _hashes(self, number: int) -> memoryview:
        return memoryview(self._entries(number)).cast("Q")[::2]

    def _entries(self, number: int) -> bytes:
        """The entries of one page of the index."""
        count = min(ENTRIES, self.header.paths - number * ENTRIES)
        return self._page(self.header.index_page + number)[: count * ENTRY.size]

    def _bytes(self, at: int, length: int) -> bytes:
        """Bytes of records or description."""
        number, begin = divmod(at, PAYLOAD)
        content = self._page(number + 1)[begin : begin + length]
        if len(content) == length:
            return content
        parts = [content]
        missing = length - len(content)
        while missing > 0:
            number += 1
            part = self._page(number + 1)[:missing]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _page(self, number: int) -> bytes:
        """The verified payload of a page."""
        kept = self._kept.get(number)
        if kept is None:
            kept = self._verified(self._read_at(number * PAGE, PAGE), number)
            if len(self._kept) >= _PAGES_KEPT:
                self._kept = {}
            self._kept[number] = kept
        return kept

    def _verified(self, content: bytes, number: int) -> bytes:
        payload = content[:PAYLOAD]
        said = int.from_bytes(content[PAYLOAD:], "little")
        if len(content) != PAGE or said != layout.checksum(payload, _seed(number, self._generation)):
            raise FilesRefused(
                f"Page {number} of {self.name} is refused",
                "it is cut off or its checksum is wrong",
                "The sidecar writes it anew when it is started again",
            )
        return payload


def _seed(number: int, generation: int) -> int:
    return number * 0x9E3779B1 ^ generation * 0x85EBCA6B
