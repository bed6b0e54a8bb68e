"""A persistent mapping for nodes with many children: buckets of plain dicts, split by the hash of the key.

`immutables.Map` does the same and reads faster, but each of its many small nodes is an object that every garbage
collection of the bot visits (docs/decisions/0002-hot-map.md). For the same reason a small document of leaves is kept
packed, as one bytes object: the collector does not track a bucket that holds only text and bytes, so it looks neither
into the bucket nor at ten thousand documents that lie scattered over the memory. Unpacking one takes a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar, cast

V = TypeVar("V")

_BITS: Final = 8
_FAN: Final = 1 << _BITS
_MASK: Final = _FAN - 1
_SPLIT: Final = 256
"""A bucket with more keys becomes a mapping of its own, so that a change copies a few hundred pointers at most."""
_LAST_SHIFT: Final = 48  # beyond that no bits of the hash are left, and a bucket grows without being split
_PACKED: Final = b"\x01"
"""How a packed document begins, and what stands between its segments and its contents. Neither can hold a control
character, so none begins with it, and U+0000 separates them."""
_PACKED_BYTES: Final = 4_096
"""A document that would be larger is kept as it is: whoever looks up one child unpacks all of them."""
_LEAVES: Final = {bytes}


class Wide(Mapping[str, V], Generic[V]):
    """Maps text to branches. `set` and `delete` make a new one; `add` changes this one and is for its builder only.

    A dict of nothing but bytes, which is a document of leaves, comes back equal, not identical.
    """

    __slots__ = ("_buckets", "_count", "_shift")

    def __init__(self, shift: int = 0) -> None:
        self._buckets: list[dict[str, V] | Wide[V] | None] = [None] * _FAN
        self._count = 0
        self._shift = shift

    @classmethod
    def of(cls, entries: Mapping[str, V], shift: int = 0) -> Wide[V]:
        """The mapping with these entries."""
        made = cls(shift)
        for key, value in entries.items():
            made.add(key, value)  # what is packed already stays as it is
        return made

    def add(self, key: str, value: V) -> None:
        """Set a key in place. Nobody else may hold this mapping yet."""
        value = cast("V", _packed(value))
        place = hash(key) >> self._shift & _MASK
        bucket = self._buckets[place]
        if bucket is None:
            self._buckets[place] = {key: value}
            self._count += 1
            return
        before = len(bucket)
        if isinstance(bucket, Wide):
            bucket.add(key, value)
        else:
            bucket[key] = value
            self._buckets[place] = self._split(bucket)
        self._count += len(bucket) - before

    def set(self, key: str, value: V) -> Wide[V]:
        """The mapping with a key set."""
        place = hash(key) >> self._shift & _MASK
        bucket = self._buckets[place]
        if isinstance(bucket, Wide):
            return self._with(place, bucket.set(key, value))
        return self._with(place, self._split({**(bucket or {}), key: cast("V", _packed(value))}))

    def delete(self, key: str) -> Wide[V]:
        """The mapping without a key, which must be there."""
        place = hash(key) >> self._shift & _MASK
        bucket = self._buckets[place]
        if isinstance(bucket, Wide):
            return self._with(place, bucket.delete(key))
        kept = dict(bucket or {})
        del kept[key]
        return self._with(place, kept or None)

    def get(self, key: str, default: V | None = None) -> V | None:  # type: ignore[override]
        """The value of a key, or the default."""
        bucket = self._buckets[hash(key) >> self._shift & _MASK]
        return default if bucket is None else cast("V | None", _unpacked(bucket.get(key, default)))

    def __getitem__(self, key: str) -> V:
        bucket = self._buckets[hash(key) >> self._shift & _MASK]
        if bucket is None:
            raise KeyError(key)
        return cast("V", _unpacked(bucket[key]))

    def __contains__(self, key: object) -> bool:
        bucket = self._buckets[hash(key) >> self._shift & _MASK]
        return bucket is not None and key in bucket

    def __iter__(self) -> Iterator[str]:
        for bucket in self._buckets:
            if bucket is not None:
                yield from bucket

    def __len__(self) -> int:
        return self._count

    def _split(self, bucket: dict[str, V]) -> dict[str, V] | Wide[V]:
        if len(bucket) <= _SPLIT or self._shift >= _LAST_SHIFT:
            return bucket
        return Wide[V].of(bucket, self._shift + _BITS)

    def _with(self, place: int, bucket: dict[str, V] | Wide[V] | None) -> Wide[V]:
        made: Wide[V] = Wide(self._shift)
        made._count = self._count - len(self._buckets[place] or ()) + len(bucket or ())
        made._buckets[:] = self._buckets
        made._buckets[place] = bucket
        return made


def _packed(value: object) -> object:
    """A small document of leaves as one bytes object; anything else as it is."""
    if not isinstance(value, dict):
        return value
    branches = cast("dict[str, object]", value)
    if set(map(type, branches.values())) != _LEAVES:
        return branches
    contents = b"\0".join(cast("dict[str, bytes]", branches).values())
    packed = _PACKED.join((b"", "\0".join(branches).encode(), contents))
    return packed if len(packed) <= _PACKED_BYTES else branches


def _unpacked(value: object) -> object:
    if not isinstance(value, bytes) or value[:1] != _PACKED:
        return value
    _, segments, contents = value.split(_PACKED, 2)
    return dict(zip(segments.decode().split("\0"), contents.split(b"\0"), strict=True))
