"""A persistent mapping for nodes with many children: buckets of plain dicts, split by the hash of the key.

`immutables.Map` does the same and reads faster, but each of its many small nodes is an object that every garbage
collection of the bot visits: 10,000 children cost 0.34 ms there and 0.1 ms here (docs/decisions/0002-hot-map.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

V = TypeVar("V")

_BITS: Final = 8
_FAN: Final = 1 << _BITS
_MASK: Final = _FAN - 1
_SPLIT: Final = 256
"""A bucket with more keys becomes a mapping of its own, so that a change copies a few hundred pointers at most."""
_LAST_SHIFT: Final = 48  # beyond that no bits of the hash are left, and a bucket grows without being split


class Wide(Mapping[str, V], Generic[V]):
    """Maps text to branches. `set` and `delete` make a new one; `add` changes this one and is for its builder only."""

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
            made.add(key, value)
        return made

    def add(self, key: str, value: V) -> None:
        """Set a key in place. Nobody else may hold this mapping yet."""
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
        return self._with(place, self._split({**(bucket or {}), key: value}))

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
        return default if bucket is None else bucket.get(key, default)

    def __getitem__(self, key: str) -> V:
        bucket = self._buckets[hash(key) >> self._shift & _MASK]
        if bucket is None:
            raise KeyError(key)
        return bucket[key]

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
