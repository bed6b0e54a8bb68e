"""What a view offers whoever reads it, wherever it is resolved from: in this process, or over shared memory."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping
from typing import Protocol

from trimtab.cache import Lookup
from trimtab.model.values import Value


class Resolved(Protocol):
    """A view, wherever it is resolved from: `trimtab.model.views.View`, or one over shared memory."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that it is resolved for."""
        ...

    @property
    def index(self) -> Paths:
        """Every path, leaf or interior, and its value."""
        ...

    def categories(self) -> Iterator[str]:
        """The first segments of every path, in no particular order."""
        ...


class Paths(Lookup, Protocol):
    """What a view resolves, as a mapping."""

    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def keys(self) -> KeysView[str]:
        """Every path."""
        ...

    def items(self) -> ItemsView[str, Value]:
        """Every path with its value."""
        ...
