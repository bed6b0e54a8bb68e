"""Hypothesis strategies for the model: worlds of environments, layers and items, and edits to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from tests.support.model_oracle import HIDE, OracleItem, conflicts, label_sets
from trimtab.model import canonical, layers, paths
from trimtab.model.items import Item, LeafEdit
from trimtab.model.structure import Lineage
from trimtab.model.trees import HIDDEN

LABELS: Final = ["x", "y"]
SEGMENTS: Final = ["a", "b", "c.d", 'ü"']

contents: st.SearchStrategy[Any] = st.sampled_from([HIDE, HIDE, {}, {}, 1, 2, 1.0, True, None, "s", [1, [2]], []])
segments = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3).map(tuple)

json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
)
json_values = st.recursive(
    json_scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=4), inner
        )
    ),
    max_leaves=12,
)
segment_texts = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), min_size=1, max_size=12)


@dataclass(frozen=True)
class World:
    """A lineage and items that no reader sees in conflict, as the model and as the oracle have them."""

    environments: list[str]
    dimensions: list[str]
    items: list[OracleItem]

    @property
    def lineage(self) -> Lineage:
        return Lineage(tuple(self.environments), tuple(self.dimensions))

    @property
    def readers(self) -> list[dict[str, str]]:
        return label_sets(self.dimensions, LABELS)

    def model_items(self) -> list[Item]:
        return [as_item(item) for item in self.items]


def content_bytes(content: Any) -> bytes:
    return HIDDEN if content == HIDE else canonical.encode(content)


def as_item(item: OracleItem) -> Item:
    return Item(item.environment, layers.of(item.selector).text, paths.join(item.path), content_bytes(item.content))


def as_edit(item: OracleItem, *, remove: bool) -> LeafEdit:
    layer, path = layers.of(item.selector).text, paths.join(item.path)
    if remove:
        return LeafEdit(layer, path, "remove")
    if item.content == HIDE:
        return LeafEdit(layer, path, "hide")
    return LeafEdit(layer, path, "put", canonical.encode(item.content))


@st.composite
def loose_items(draw: st.DrawFn, environments: list[str], dimensions: list[str]) -> OracleItem:
    """An item anywhere; it may conflict with others."""
    selector = draw(st.dictionaries(st.sampled_from(dimensions), st.sampled_from(LABELS), max_size=2))
    return OracleItem(draw(st.sampled_from(environments)), selector, draw(segments), draw(contents))


@st.composite
def worlds(draw: st.DrawFn, *, conflicting: bool = False, max_items: int = 14) -> World:
    """A world; `conflicting` keeps items that a commit would have refused."""
    environments = ["base", "staging", "production"][: draw(st.integers(1, 3))]
    dimensions = list(draw(st.permutations(["region", "mode", "bot"])))
    kept: dict[tuple[str, str, tuple[str, ...]], OracleItem] = {}
    readers = label_sets(dimensions, LABELS)
    for item in draw(st.lists(loose_items(environments, dimensions), max_size=max_items)):
        trial = {**kept, item.place: item}
        if conflicting or not conflicts(list(trial.values()), readers):
            kept = trial
    return World(environments, dimensions, list(kept.values()))


def readers(world: World) -> st.SearchStrategy[dict[str, str]]:
    return st.sampled_from(world.readers)
