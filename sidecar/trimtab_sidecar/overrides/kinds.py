"""Kinds: which readers a node can have, as far as they differ in what overrides are judged by.

A reader brings `bot`, and `node` or `region` where the sidecar names none; every other label comes from configuration.
So the labels that any layer names, and the bots that configuration declares, give all that can be. Who sees the same
layers is of one kind. A bot that nobody has heard of sees what a reader without a name sees.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping
from itertools import product
from math import prod
from typing import Final

from trimtab.model import labels, layers, trees, views
from trimtab.model.layers import IDENTITY_DIMENSIONS
from trimtab.model.paths import Segments
from trimtab.model.states import LayerKey, State
from trimtab.model.trees import Node
from trimtab.model.views import View

MAX_IDENTITIES: Final = 16_384
MAX_KINDS: Final = 1_024
_STEP: Final = 32
_FLEET: Final = ("fleet", "bots")


def of(
    state: State, identity: Mapping[str, str], documents: Collection[Segments]
) -> Generator[None, None, list[View] | None]:
    """One view for each kind, of these documents only; None where there are too many kinds. In steps."""
    near = {key: tree for key, tree in state.trees.items() if _can_meet(key[1], identity)}
    shown = State(state.lineage, {key: near[key] for key in near if any(_says(near[key], one) for one in documents)})
    fleet = State(state.lineage, {key: tree for key, tree in near.items() if _says(tree, _FLEET)})
    yield
    choices = _choices(identity, (*shown.trees, *fleet.trees), labels.declared_bots(fleet))
    if prod(map(len, choices.values())) > MAX_IDENTITIES:
        return None
    kinds: dict[tuple[LayerKey, ...], View] = {}
    shown_to, labelled = _Near(shown, choices), _Near(fleet, choices)
    for number, named in enumerate(product(*choices.values()), 1):
        own = {dimension: label for dimension, label in zip(choices, named, strict=True) if label is not None}
        view = views.build(shown_to.of(own), labels.effective(labelled.of(own), {**identity, **own}))
        kinds.setdefault(view.order, view)
        if len(kinds) > MAX_KINDS:
            return None
        if number % _STEP == 0:
            yield
    return list(kinds.values())


class _Near:
    """A state, by who may see what of it: of a thousand layers for one bot each, one bot is compared with its own."""

    def __init__(self, state: State, dimensions: Collection[str]) -> None:
        self._lineage = state.lineage
        self._trees: dict[tuple[str, str] | None, dict[LayerKey, Node]] = {}
        for key, tree in state.trees.items():
            named = [one for one in layers.parse(key[1]).labels if one[0] in dimensions]
            self._trees.setdefault(named[0] if named else None, {})[key] = tree

    def of(self, own: Mapping[str, str]) -> State:
        """At least what a reader sees who brings these labels."""
        found = dict(self._trees.get(None, {}))
        for one in own.items():
            found.update(self._trees.get(one, {}))
        return State(self._lineage, found)


def _choices(identity: Mapping[str, str], seen: Iterable[LayerKey], bots: Iterable[str]) -> dict[str, list[str | None]]:
    """What a reader may bring in each dimension that the sidecar leaves open; None for nothing that anybody names."""
    named: dict[str, set[str]] = {one: set() for one in sorted(IDENTITY_DIMENSIONS - identity.keys())}
    for _, text in seen:
        for dimension, label in layers.parse(text).labels:
            if dimension in named:
                named[dimension].add(label)
    if "bot" in named:
        named["bot"].update(bots)
    return {dimension: [None, *sorted(found)] for dimension, found in named.items()}


def _can_meet(layer: str, identity: Mapping[str, str]) -> bool:
    """Whether some reader of this node sees a layer."""
    return all(identity.get(dimension, label) == label for dimension, label in layers.parse(layer).labels)


def _says(tree: Node, document: Segments) -> bool:
    """Whether a layer holds anything at, above or below a document."""
    here = tree
    for segment in document:
        below = here.get(segment)
        if below is None or isinstance(below, bytes):
            return below is not None
        if trees.content_of(below) is not None:
            return True
        here = below
    return True
