"""The view of an attached reader: one content, resolved for its labels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from trimtab.cache import CACHED, Cache
from trimtab.model import labels as labelling
from trimtab.model import paths
from trimtab.model.errors import FilesRefused
from trimtab.model.resolution import ABSENT, Absent
from trimtab.reader import Held
from trimtab.shared.content import Content
from trimtab.shared.resolved import SharedIndex, ranks

RENEWED: Final = 64
"""Touched paths whose values are put into the next cache at once; of more, what is touched is forgotten."""


@dataclass(frozen=True, slots=True, eq=False)
class SharedView:
    """See `trimtab.resolving.Resolved`."""

    labels: Mapping[str, str]
    index: SharedIndex

    def categories(self) -> Iterator[str]:
        """The first segments of every path."""
        return self.index.categories()


def resolve(content: Content, identity: Mapping[str, str]) -> SharedView:
    """The view of a content for a process: its labels are its identity, and what configuration gives its bot."""
    return SharedView(found := labels_of(content, identity), SharedIndex(content, ranks(content.layers, found)))


def labels_of(content: Content, identity: Mapping[str, str]) -> dict[str, str]:
    """The labels that a process is read with."""
    bot = identity.get("bot")
    if bot is None:
        return dict(identity)
    index = SharedIndex(content, ranks(content.layers, identity))
    return labelling.with_attributes(identity, index.peek(labelling.labels_path(bot)))


def following(
    old: Held, content: Content, identity: Mapping[str, str], touched: frozenset[str] | None
) -> tuple[Held, frozenset[str] | None]:
    """The next view, which knows what was read from the one before and is still so, and the paths that may differ.

    `touched` are those that changed; None: any may. Where the labels change any may.
    """
    before = old.view
    assert isinstance(before, SharedView)
    found: Mapping[str, str] = before.labels
    if touched is None or any(labelling.is_label_path(path) for path in touched):
        found = labels_of(content, identity)
    if touched is None or found != before.labels:
        return fresh(content, identity), None
    view = SharedView(found, SharedIndex(content, ranks(content.layers, found)))
    cache = _carried(old.cache, before.index, view.index, touched)
    return Held(view, content.position, content.hash, cache), touched


def fresh(content: Content, identity: Mapping[str, str]) -> Held:
    """A view that nothing was read from yet."""
    view = resolve(content, identity)
    return Held(view, content.position, content.hash, Cache(view.index))


def _carried(known: Cache, before: SharedIndex, index: SharedIndex, touched: Collection[str]) -> Cache:
    """The cache of the next view: this one without what a touched path decides, at, above and below it.

    Few paths are resolved at once: a dict without holes is copied as a block of memory.
    """
    cache = Cache(index)
    if len(known) >= CACHED:
        return cache
    cache.update(known)
    if len(touched) > RENEWED:
        _forget(cache, touched)
        return cache
    for path in touched:
        if path in cache:
            _renew(cache, path, index)
        for above in paths.parents(path):
            if above in cache:
                _renew(cache, above, index)
        if next(iter(before.children(path)), None) is not None:
            _forget_below(cache, {path})
    return cache


def _renew(cache: Cache, path: str, index: SharedIndex) -> None:
    try:
        value = ABSENT if index.is_wide(path) else index.peek(path)
    except FilesRefused:
        value = ABSENT  # whoever reads it next is told
    if isinstance(value, Absent):
        del cache[path]
    else:
        cache[path] = value


def _forget(cache: Cache, touched: Collection[str]) -> None:
    for path in touched:
        cache.pop(path, None)
        for above in paths.parents(path):
            cache.pop(above, None)
    _forget_below(cache, set(touched))


def _forget_below(cache: Cache, touched: set[str]) -> None:
    """Forget what lies below a touched path: a tombstone there hides and uncovers it."""
    for path in [path for path in cache if not touched.isdisjoint(paths.parents(path))]:
        del cache[path]
