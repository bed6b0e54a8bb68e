"""The versions of the built-in categories. Each upgrade is a function with a test; none was needed so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

Relative: TypeAlias = "tuple[str, ...]"
Own: TypeAlias = "dict[Relative, bytes]"
"""One layer's own part of a document: relative path → canonical bytes, or `HIDDEN` for a tombstone."""
Upgrade: TypeAlias = Callable[[Own], Own]

UPGRADES: Final[Mapping[str, tuple[Upgrade, ...]]] = {}
"""By type, from version 1 on: the first brings a document to version 2."""


def version_of(kind: str | None) -> int:
    """The newest version of a built-in type; 1 for what is none."""
    return 1 + len(UPGRADES.get(kind or "", ()))
