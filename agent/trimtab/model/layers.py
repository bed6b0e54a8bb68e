"""Layers and selectors: whom an item applies to.

An item stands in the layer `common` (the empty selector) or in an overlay, whose selector names one label for each of
one or more dimensions. As text the labels are sorted by dimension: `mode=live,region=ny4`; the empty text is `common`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

from trimtab.model.errors import LayerError

IDENTITY_DIMENSIONS: Final = frozenset({"node", "region", "bot"})
"""Dimensions whose label a process brings along; every other label comes from configuration."""

_DIMENSION: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_LABEL: Final = re.compile(r"[A-Za-z0-9_.:/@+\-]{1,128}")
_EXAMPLE: Final = (
    "A selector reads mode=live, or mode=live,region=ny4 for several labels; common is the layer without one"
)


@dataclass(frozen=True, slots=True, order=True)
class Selector:
    """One label for each of its dimensions, sorted by dimension; without any it is the layer `common`."""

    labels: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The canonical text, the empty string for `common`."""
        return ",".join(f"{dimension}={label}" for dimension, label in self.labels)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions that it names."""
        return tuple(dimension for dimension, _ in self.labels)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a reader with these labels sees the layer."""
        return all(labels.get(dimension) == label for dimension, label in self.labels)

    def can_meet(self, other: Selector) -> bool:
        """Whether some reader sees both layers: no dimension has two different labels."""
        mine = dict(self.labels)
        return all(mine.get(dimension, label) == label for dimension, label in other.labels)

    def specificity(self, dimensions: tuple[str, ...]) -> int:
        """A number that grows with the most specific dimension named; `dimensions` go from least to most specific."""
        return sum(1 << dimensions.index(dimension) for dimension, _ in self.labels)

    def __str__(self) -> str:
        return self.text or "common"


COMMON: Final = Selector()


@lru_cache(maxsize=16384)
def parse(text: str) -> Selector:
    """The selector of a text such as `mode=live,region=ny4`; `common` and the empty text are the common layer."""
    if text in {"", "common"}:
        return COMMON
    pairs = [part.partition("=") for part in text.split(",")]
    if any(not equals for _, equals, _ in pairs):
        raise LayerError(f"The layer {text[:80]!r} is refused", "a label is written dimension=label", _EXAMPLE)
    return of((dimension.strip(), label.strip()) for dimension, _, label in pairs)


def of(labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> Selector:
    """The selector that names these labels."""
    named = cast("Mapping[str, str]", labels).items() if isinstance(labels, Mapping) else labels
    pairs = sorted(named)
    for dimension, label in pairs:
        check_label(dimension, label)
    if len({dimension for dimension, _ in pairs}) != len(pairs):
        raise LayerError("This layer is refused", "a dimension stands twice", _EXAMPLE)
    return Selector(tuple(pairs))


def check_label(dimension: object, label: object) -> None:
    """Refuse a dimension or label outside the grammar."""
    if not isinstance(dimension, str) or not _DIMENSION.fullmatch(dimension):
        raise LayerError(f"The dimension {dimension!r} is refused", "it is lower-case letters, digits and _", _EXAMPLE)
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        raise LayerError(
            f"The label {dimension}={label!r} is refused", "a label is 1 to 128 of A-Z a-z 0-9 _ . : / @ + -", _EXAMPLE
        )


def check_identity(labels: Mapping[str, str]) -> dict[str, str]:
    """The identity labels that a process claims; attribute labels are refused, for they come from configuration."""
    for dimension, label in labels.items():
        check_label(dimension, label)
        if dimension not in IDENTITY_DIMENSIONS:
            raise LayerError(
                f"The label {dimension}={label} is refused here",
                f"a process brings {', '.join(sorted(IDENTITY_DIMENSIONS))} only",
                f"Set fleet.bots.<bot>.labels.{dimension} in the configuration, or assert it with require=",
            )
    return dict(labels)
