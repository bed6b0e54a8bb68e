"""The body of a snapshot: its items, group by group, read in steps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import orjson

from trimtab.model import layers, paths
from trimtab.model.errors import PathError, ValueRefused
from trimtab.model.items import digest_prefix
from trimtab.model.states import STEP, Assembly
from trimtab.model.structure import Lineage

_MAX_KNOWN: Final = 4096


def read(lineage: Lineage, text: bytes, position: int, assembly: Assembly) -> Iterator[None]:
    """Add the items of all groups from a position on; yields after every `STEP` of them.

    Raises ValueError, TypeError or a `TrimtabError` for what `snapshots.encode` would not have written.
    """
    while position < len(text):
        end = text.index(b"\n", position)
        environment, layer, count = orjson.loads(text[position:end])
        if environment not in lineage.environments or layers.parse(layer).text != layer or type(count) is not int:
            raise ValueRefused("A layer is refused", f"{environment!r} ({layer!r}) does not belong here", "")
        position = end + 1
        reader = _Reader(environment, layer, assembly)
        while count > 0:
            taken = min(count, STEP)
            position = reader.take(text, position, taken)
            count -= taken
            yield None


class _Reader:
    """Reads the items of one group. Neighbours share their parent path, so each parent is parsed once."""

    def __init__(self, environment: str, layer: str, assembly: Assembly) -> None:
        self._prefix = digest_prefix(environment, layer)
        self._assembly = assembly
        self._builder = assembly.layer(environment, layer)
        self._parent_text = ""
        self._parent: tuple[str, ...] = ()
        self._known: set[str] = set()  # last segments found to be bare: documents of one kind repeat them

    def take(self, text: bytes, position: int, count: int) -> int:
        """Take `count` items from a position on; returns the position after them."""
        add, sha256, prefix = self._builder.add, hashlib.sha256, self._prefix
        total = 0
        for _ in range(count):
            middle = text.index(b"\n", position)
            end = text.index(b"\n", middle + 1)
            path = text[position:middle]
            content = text[middle + 1 : end]
            parent, segment = self._place(path.decode())
            add(parent, segment, content)
            total += int.from_bytes(sha256(b"%b%b\0%b" % (prefix, path, content)).digest(), "big")
            position = end + 1
        self._assembly.total += total
        self._assembly.count += count
        return position

    def _place(self, path: str) -> tuple[tuple[str, ...], str]:
        """The parent's segments and the last one; raises `PathError` unless the path is written canonically."""
        parent, _, last = path.rpartition(".")
        plain = len(path) <= paths.MAX_SEGMENT_BYTES and (last in self._known or self._learn(last))
        if plain and parent == self._parent_text:
            return self._parent, last
        segments = paths.split(path)
        if '"' in path and paths.join(segments) != path:
            raise PathError(f"The path {path!r} is refused", "it is not written canonically", "")
        self._parent_text, self._parent = (parent, segments[:-1]) if plain else ("", ())
        return segments[:-1], segments[-1]

    def _learn(self, segment: str) -> bool:
        if not paths.is_bare(segment):
            return False
        if len(self._known) < _MAX_KNOWN:
            self._known.add(segment)
        return True
