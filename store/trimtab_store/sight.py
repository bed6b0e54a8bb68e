"""What readers of a line see, where there may be a layer for each of a thousand bots: layers are found by labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trimtab.model import labels, layers, paths, resolution
from trimtab.model.layers import Selector
from trimtab.model.resolution import Absent
from trimtab.model.states import LayerKey, State
from trimtab.model.trees import HIDDEN, Node
from trimtab.model.values import Value

_FLEET = "fleet"


class Sight:
    """Some layers of one state. Not shared between threads."""

    def __init__(self, state: State, keys: Iterable[LayerKey] | None = None) -> None:
        """`keys`: the layers that matter; all of them without."""
        self._state = state
        self._common: list[tuple[int, LayerKey, Selector]] = []
        self._by_label: dict[tuple[str, str], list[tuple[int, LayerKey, Selector]]] = {}
        self._fleet: Sight | None = None
        self.selectors: set[Selector] = set()
        for key in state.trees if keys is None else keys:
            selector = layers.parse(key[1])
            self.selectors.add(selector)
            found = self._by_label.setdefault(selector.labels[-1], []) if selector.labels else self._common
            found.append((state.lineage.rank(key[0], selector), key, selector))

    @classmethod
    def at(cls, state: State, path: str) -> Sight:
        """The layers that have a say about a path: they hold something at it or below, or a tombstone above it."""
        above = tuple(paths.parents(path))
        return cls(state, [key for key in state.trees if _has_a_say(state, key, path, above)])

    def matching(self, seen: Mapping[str, str]) -> tuple[LayerKey, ...]:
        """The layers that a reader with these labels sees, the winning one first."""
        found = [entry for label in seen.items() for entry in self._by_label.get(label, ()) if entry[2].matches(seen)]
        return tuple(key for _, key, _ in sorted([*self._common, *found], key=lambda entry: -entry[0]))

    def trees(self, seen: Mapping[str, str]) -> list[Node]:
        """What those layers hold."""
        return [self._state.trees[key] for key in self.matching(seen)]

    def value(self, seen: Mapping[str, str], path: str) -> Value | Absent:
        """What a reader sees at a path, as far as these layers tell."""
        return resolution.resolve(resolution.branches_at(self.trees(seen), paths.parse(path)))

    def labels(self, identity: Mapping[str, str]) -> dict[str, str]:
        """The labels that a process is read with, as `trimtab.model.labels.effective` says."""
        bot = identity.get("bot")
        if bot is None:
            return dict(identity)
        if self._fleet is None:
            self._fleet = Sight(self._state, [key for key, tree in self._state.trees.items() if _FLEET in tree])
        return labels.with_attributes(identity, self._fleet.value(identity, labels.labels_path(bot)))


def _has_a_say(state: State, key: LayerKey, path: str, above: tuple[str, ...]) -> bool:
    return state.branch(*key, path) is not None or any(state.content(*key, one) == HIDDEN for one in above)
