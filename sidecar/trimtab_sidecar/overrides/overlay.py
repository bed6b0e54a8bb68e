"""The overlay: states with a node's own overrides in them.

Where an override holds it takes the place of the very candidate that a reader would see, in the layer in which that
stands. So layers, ranks and what lies around stay as they are, whoever sees nothing there goes on seeing nothing, and
whatever reads a state needs to know nothing of overrides.

Where any does, the state has a hash of its own: revision and epoch stay the store's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, overload

from trimtab.model import documents, paths, trees
from trimtab.model.changes import Change
from trimtab.model.items import LeafEdit
from trimtab.model.overriding import LocalOverride, Overrides, Replaced, because
from trimtab.model.permitting import CONFIG
from trimtab.model.snapshots import Snapshot
from trimtab.model.states import LayerKey, State
from trimtab_sidecar.overrides import kinds

NONE: Final = Overrides({})
ALARM: Final = "override"
_NAMED: Final = 16
_DOMAIN: Final = b"trimtab local overrides 1\0"
_ALWAYS: Final = frozenset({"override", "fleet"})
_TOO_MANY: Final = "bots see too many different layers here to judge it for each; start the sidecar with --label node=…"


@dataclass(frozen=True, slots=True)
class Overlaid:
    """A state as this node's readers see it. `moved`: where overrides are others than in the state before."""

    snapshot: Snapshot
    moved: frozenset[str] = frozenset()
    told: tuple[LocalOverride, ...] = ()
    replaced: Replaced = field(default_factory=dict["tuple[LayerKey, str]", bytes])

    @property
    def variant(self) -> str:
        """Names the state with what is overridden in it; empty where nothing is."""
        return self.snapshot.hash.hex()[:_NAMED] if self.replaced else ""

    @property
    def alarm(self) -> str:
        """What does not hold, for a person; empty where everything does."""
        return "; ".join(f"{one.path} is not overridden{because(one.why)}" for one in self.told if one.why)

    @overload
    def widened(self, change: Change) -> Change: ...
    @overload
    def widened(self, change: Change | None) -> Change | None: ...
    def widened(self, change: Change | None) -> Change | None:
        """A change as this node's readers see it: where the overrides are others the values are, too."""
        if change is None or not self.moved:
            return change
        own = self.moved - {edit.path for edit in change.edits}
        return replace(change, edits=(*change.edits, *(LeafEdit("", path, "remove") for path in sorted(own))))

    @property
    def held(self) -> int:
        """How many paths are overridden for anybody."""
        return len({path for _, path in self.replaced})


class Overlay:
    """Puts overrides into one state after the other. `identity` are the labels that the readers inherit."""

    def __init__(self, identity: Mapping[str, str], overrides: Overrides = NONE) -> None:
        self._identity = dict(identity)
        self._overrides = overrides
        self._documents: frozenset[paths.Segments] = frozenset()
        self._categories: frozenset[str] = frozenset()
        self._last: Overlaid | None = None
        self._stale = True
        self.want(overrides)

    def want(self, overrides: Overrides) -> None:
        """Put these in from now on."""
        named = {CONFIG, *map(documents.document_of, overrides.wanted)} if overrides.wanted else set[str]()
        self._overrides = overrides
        self._documents = frozenset(map(paths.parse, named))
        self._categories = frozenset(one[0] for one in self._documents) | _ALWAYS
        self._stale = True

    def over(self, snapshot: Snapshot, touched: Iterable[str] | None) -> Generator[None, None, Overlaid]:
        """A state with what holds of the overrides in it, in steps.

        `touched` are the paths that may differ from the state before; None: any may. What does not concern the
        categories of an override, the bots or the permission is not judged anew.
        """
        last = self._last
        if last is None or self._stale or touched is None or self._concerns(touched):
            replaced, told = yield from self._judge(snapshot.state)
            self._stale = False
        else:
            replaced, told = last.replaced, last.told
        before = {} if last is None else last.replaced
        moved = frozenset(path for (_, path), _ in before.items() ^ replaced.items())
        self._last = Overlaid(_laid(snapshot, replaced), moved, told, replaced)
        return self._last

    def _concerns(self, touched: Iterable[str]) -> bool:
        return bool(self._overrides.wanted) and any(paths.parse(path)[0] in self._categories for path in touched)

    def _judge(self, state: State) -> Generator[None, None, tuple[Replaced, tuple[LocalOverride, ...]]]:
        wanted = self._overrides
        if not wanted.wanted:
            return {}, ()
        readers = yield from kinds.of(state, self._identity, self._documents)
        if readers is None:
            return {}, wanted.refused(_TOO_MANY)
        return (yield from wanted.judge(readers))


def _laid(snapshot: Snapshot, replaced: Replaced) -> Snapshot:
    if not replaced:
        return snapshot
    state = snapshot.state
    laid = dict(state.trees)
    for (layer, path), content in replaced.items():
        laid[layer] = trees.put(laid[layer], paths.parse(path), content)
    digest = hashlib.sha256(_DOMAIN + snapshot.hash)
    for (layer, path), content in sorted(replaced.items()):
        for part in (*layer, path, content.decode()):
            digest.update(b"%d:%s" % (len(part.encode()), part.encode()))
    return replace(snapshot, hash=digest.digest(), state=replace(state, trees=laid))
