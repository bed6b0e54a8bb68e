"""Documents: the unit of validation and of `expect`.

Without a registered schema a document is the first two segments of a path, three under `fleet.bots`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trimtab.model import paths

MAX_STALENESS_SECONDS: Final = {"risk": 300.0, "token": 3600.0}
DEFAULT_MAX_STALENESS_SECONDS: Final = 60.0


def document_of(path: str) -> str:
    """The document that a canonical path belongs to; a shorter path is its own."""
    segments = paths.parse(path)
    length = 3 if segments[:2] == ("fleet", "bots") else 2
    return paths.join(segments[:length])


def documents_of(touched: Iterable[str]) -> tuple[str, ...]:
    """The documents that a change touches, sorted; a path above documents stands for itself."""
    return tuple(sorted({document_of(path) for path in touched}))


def max_staleness(category: str) -> float:
    """How stale a category may be before a reader should care, in seconds (DESIGN §6)."""
    return MAX_STALENESS_SECONDS.get(category, DEFAULT_MAX_STALENESS_SECONDS)


def too_stale(categories: Iterable[str], staleness_seconds: float) -> tuple[str, ...]:
    """Those of some categories whose `max_staleness` is exceeded, sorted; while nothing can be, none is looked at."""
    if staleness_seconds <= min(DEFAULT_MAX_STALENESS_SECONDS, *MAX_STALENESS_SECONDS.values()):
        return ()
    return tuple(sorted(name for name in categories if staleness_seconds > max_staleness(name)))
