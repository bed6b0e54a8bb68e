"""Documents: the unit of validation, of metadata and of `expect`, and how stale each category may be.

A document is the subtree that one schema is registered for: the built-in types of `BUILT_IN`, and what a line's own
`schema.<name>` documents add. Where none is registered a document is the first two segments of a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from trimtab.model import paths, patterns
from trimtab.model.errors import PathError

MAX_STALENESS_SECONDS: Final = {"risk": 300.0, "token": 3600.0}
DEFAULT_MAX_STALENESS_SECONDS: Final = 60.0
METADATA: Final = "meta"
"""The metadata of a document stand at `meta.<its path>`."""

BUILT_IN: Final[Mapping[str, str]] = {
    "trader": "trader",
    "trading": "trading",
    "risk.parameters": "risk_parameters",
    "risk.global": "risk_limits",
    "risk.limits.*": "risk_limit",
    "risk.position_sizing": "position_sizing",
    "risk.circuit_breakers": "risk_circuit_breakers",
    "risk.exchange_limits.*": "exchange_limits",
    "mev.protection": "mev",
    "token.*": "token",
    "circuit_breaker.config": "circuit_breaker",
    "monitoring.config": "monitoring",
    "logging": "logging",
    "security": "security",
    "notifications": "notifications",
    "strategy.*": "strategy",
    "bot.*": "bot",
    "optimizer.*": "optimizer",
    "system": "system",
    "exchange.*": "exchange",
    "data.*": "data_source",
    "data.failover": "data_failover",
    "data.symbols": "data_symbols",
    "data.rules": "data_rules",
    "fleet.bots.*": "fleet_bot",
    "schema.*": "schema",
    "rule.*": "rule",
    "template.*": "template",
    "guard.config": "guard",
    "override.config": "override",
}
"""Pattern → type of the documents that Trimtab knows by itself."""

ELSEWHERE: Final[Mapping[str, str]] = {
    "trader.mode": "It is a label of the bot, read by trading_mode() and set at fleet.bots.<bot>.labels.mode"
}
"""Path that somebody may look for, and where it is said: the mode is derived from the label and stored nowhere else."""

Segments: TypeAlias = "tuple[str, ...]"
Shape: TypeAlias = "tuple[str | None, ...]"
"""A pattern's segments; None is any one."""


class Documents:
    """Which documents there are: the built-in patterns and those of registered schemas (`*` is one segment). Immutable.

    Of several patterns that a path lies in the longest counts; of two as long the one that names more of it.
    """

    def __init__(self, registered: Mapping[str, str] | None = None) -> None:
        """`registered`: pattern → type name, beside or instead of a built-in one; raises `PathError` for no pattern."""
        self.types: Mapping[str, str] = {**BUILT_IN, **(registered or {})}
        by_length: dict[int, dict[str | None, list[tuple[int, Shape, str]]]] = {}
        for pattern, kind in self.types.items():
            shape = shape_of(pattern)
            named = sum(one is not None for one in shape)
            by_length.setdefault(len(shape), {}).setdefault(shape[0], []).append((named, shape, kind))
        self._by_length = dict(sorted(by_length.items(), reverse=True))

    def of(self, path: str) -> str:
        """The document that a canonical path belongs to; a path above documents is its own."""
        segments = paths.parse(path)
        if segments[0] == METADATA and len(segments) > 1:
            return paths.join((METADATA, *self._own(segments[1:])))
        return paths.join(self._own(segments))

    def type_of(self, document: str) -> str | None:
        """The type registered for a document; None if there is none, or if the path is above or below documents."""
        segments = paths.parse(document)
        if segments[0] == METADATA:
            return METADATA if self._is_document(segments[1:]) else None
        return self._match(segments, len(segments))

    def _own(self, segments: Segments) -> Segments:
        for length in self._by_length:
            if length <= len(segments) and self._match(segments, length) is not None:
                return segments[:length]
        return segments[:_SHORTEST]

    def _is_document(self, segments: Segments) -> bool:
        if not segments or self._match(segments, len(segments)) is not None:
            return bool(segments)
        listed = [one for named in self._by_length.values() for one in named.get(segments[0], ())]
        above = any(_begins(shape, segments) for _, shape, _ in listed)
        return len(segments) == _SHORTEST and not above

    def _match(self, segments: Segments, length: int) -> str | None:
        listed = self._by_length.get(length, {}).get(segments[0], ())  # no pattern begins with a wildcard
        found = [(named, kind) for named, shape, kind in listed if _covers(shape, segments)]
        return max(found)[1] if found else None


_SHORTEST: Final = 2
"""A document that no schema is registered for has so many segments."""


def shape_of(pattern: str) -> Shape:
    """The segments of a document pattern; raises `PathError` for a deep wildcard, and for a category that is one."""
    parsed = patterns.parse(pattern)
    if any(parsed.deep) or parsed.segments[0] is None:
        raise PathError(
            f"The pattern {pattern!r} names no documents", "it begins with * or holds **", "Name the category"
        )
    return parsed.segments


def _covers(shape: Shape, segments: Segments) -> bool:
    for one, segment in zip(shape, segments, strict=False):  # noqa: SIM110 - three times as fast as all(…)
        if one is not None and one != segment:
            return False
    return True


def _begins(shape: Shape, segments: Segments) -> bool:
    """Whether a path lies above what a pattern names."""
    return len(shape) > len(segments) and _covers(shape, segments)


KNOWN: Final = Documents()
"""The built-in documents alone."""


@lru_cache(maxsize=4096)
def document_of(path: str) -> str:
    """The document that a canonical path belongs to, as far as the built-in types tell."""
    return KNOWN.of(path)


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
