"""Resolution over shared content: what a reader with given labels sees, path by path.

It gives what `trimtab.model.views` gives for the same state and labels; a property over random states holds the two
together. Here the candidates of all layers stand together at each path, so the labels are compared once, with each
layer, and a path is decided by the first candidate whose layer matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from immutables import Map, MapMutation

from trimtab.model import layers as selectors
from trimtab.model import paths
from trimtab.model.index import Paths
from trimtab.model.paths import Segments
from trimtab.model.resolution import ABSENT, Absent, decoded
from trimtab.model.trees import HIDDEN, WIDE
from trimtab.model.values import EMPTY, Document, Value
from trimtab.shared.content import Content
from trimtab.shared.frames import Layer
from trimtab.shared.records import SEALED, Candidates

_UNSEEN: Final = -1
_NOTHING: Final = 1 << 62
"""The mask of a sealed tombstone: above every rank."""
_MASKS_KEPT: Final = 65_536


def ranks(layers: Iterable[Layer], labels: Mapping[str, str]) -> dict[int, int]:
    """The rank of every layer that a reader with these labels sees, by the layer's number, sealed and not."""
    found = {number: rank for number, _, text, rank in layers if selectors.parse(text).matches(labels)}
    return found | {number | SEALED: rank for number, rank in found.items()}


class SharedIndex(Paths):
    """Every path of one content for one set of labels; the same interface as `trimtab.model.index.Index`.

    Resolves when it is asked and keeps nothing but the masks of the interior paths that it passed.
    """

    __slots__ = ("_masks", "_ranks", "content")

    def __init__(self, content: Content, seen: Mapping[int, int]) -> None:
        self.content = content
        self._ranks = seen
        self._masks: dict[str, int] = {}

    def peek(self, path: str) -> Value | Absent:
        """The value at a path in any spelling, `ABSENT` if there is none; raises `PathError`."""
        spelled = paths.canonical(path)
        return self._resolve(spelled, self._above(spelled))

    def leaves(self, path: str = "") -> Iterator[tuple[str, bytes]]:
        """Every leaf that shows at and below a canonical path, as path and canonical bytes."""
        return self._leaves(path, self._above(path) if path else _UNSEEN)

    def own_leaf(self, path: str) -> bytes | None:
        """The content that shows at the path itself, None if nothing or something below it shows."""
        found, content = next(self.leaves(path), ("", None))
        return content if found == path else None

    def children(self, path: str) -> Iterable[str]:
        """The segments below a path that any layer of anybody has anything at; cheap to ask for the first."""
        return self.content.look(path)[1]

    def is_wide(self, path: str) -> bool:
        """Whether more children than a few lie below a path, so that resolving it takes its time."""
        return next(islice(self.children(path), WIDE, None), None) is not None

    def categories(self) -> Iterator[str]:
        """The first segments of every path, in no particular order."""
        for segment in self.children(""):
            name = paths.write(segment)
            if next(self.leaves(name), None) is not None:
                yield name

    def root(self) -> Document:
        """The whole tree."""
        value = self._resolve("", _UNSEEN)
        return value if isinstance(value, Document) else EMPTY

    def _resolve(self, path: str, mask: int) -> Value | Absent:
        candidates, below = self.content.look(path)
        deciding, mask = self._decide(candidates, mask)
        gathered: dict[str, Value] | MapMutation[str, Value] = {}
        for segment in below if mask != _NOTHING else ():
            value = self._resolve(paths.child(path, segment), mask)
            if not isinstance(value, Absent):
                gathered[segment] = value
                if len(gathered) > WIDE and isinstance(gathered, dict):
                    gathered = Map(gathered).mutate()
        if gathered:
            return Document(gathered if isinstance(gathered, dict) else gathered.finish())
        return decoded(deciding) if deciding else ABSENT

    def _leaves(self, path: str, mask: int) -> Iterator[tuple[str, bytes]]:
        candidates, below = self.content.look(path)
        deciding, mask = self._decide(candidates, mask)
        nothing = True
        for segment in below if mask != _NOTHING else ():
            for leaf in self._leaves(paths.child(path, segment), mask):
                nothing = False
                yield leaf
        if nothing and deciding:
            yield path, deciding

    def _decide(self, candidates: Candidates, mask: int) -> tuple[bytes | None, int]:
        """The content that decides at a path, and the mask for what lies below it.

        A mask is the rank of the highest tombstone on the way: lower ranks are hidden, its own layer is not.
        """
        deciding: bytes | None = None
        ranked = self._ranks
        for layer, content in candidates:
            rank = ranked.get(layer, _UNSEEN)
            if rank == _UNSEEN:
                continue
            if rank < mask:
                break
            if deciding is None:
                deciding = content
            if content == HIDDEN:
                return deciding, _NOTHING if layer & SEALED else max(mask, rank)
        return deciding, mask

    def _above(self, path: str) -> int:
        """The mask that the ancestors of a path make."""
        if not self.content.hides:
            return _UNSEEN
        parent = paths.parent(path)
        if not parent:
            return _UNSEEN
        known = self._masks.get(parent)
        if known is None:
            known = self._decide(self.content.candidates(parent), self._above(parent))[1]
            if len(self._masks) >= _MASKS_KEPT:
                self._masks.clear()
            self._masks[parent] = known
        return known

    def _object_at(self, segments: Segments) -> Value | Absent:
        return self.peek(paths.join(segments)) if segments else self._few_categories()

    def _few_categories(self) -> Document:
        return Document({paths.parse(name)[0]: None for name in self.categories()})
