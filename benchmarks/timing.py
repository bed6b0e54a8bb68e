"""Timing loops: many short batches, interleaved, so that a busy machine slows all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from benchmarks.report import Row, percentile

UNROLLED = 10
ROUNDS = 200
BATCH = 100
"""Batches are short, a thousand reads: the tails between them then show what a bot would meet."""
Batch: TypeAlias = Callable[[], float]


def reading_loop(target: Any, key: str) -> Batch:
    """A batch of `target[key]`; returns nanoseconds for one read."""

    def batch() -> float:
        o = target
        k = key
        begins = time.perf_counter_ns()
        for _ in range(BATCH):
            o[k]
            o[k]
            o[k]
            o[k]
            o[k]
            o[k]
            o[k]
            o[k]
            o[k]
            o[k]
        return (time.perf_counter_ns() - begins) / (BATCH * UNROLLED)

    return batch


def field_loop(target: Any) -> Batch:
    """A batch of `target.field_0`; returns nanoseconds for one read."""

    def batch() -> float:
        o = target
        begins = time.perf_counter_ns()
        for _ in range(BATCH):
            o.field_0  # noqa: B018 - the read is the point
            o.field_0  # noqa: B018 - the read is the point
            o.field_0  # noqa: B018 - the read is the point
            o.field_0  # noqa: B018 - the read is the point
            o.field_0  # noqa: B018 - the read is the point
            o.field_0  # noqa: B018 - the read is the point
            o.field_0  # noqa: B018 - the read is the point
            o.field_0  # noqa: B018 - the read is the point
            o.field_0  # noqa: B018 - the read is the point
            o.field_0  # noqa: B018 - the read is the point
        return (time.perf_counter_ns() - begins) / (BATCH * UNROLLED)

    return batch


def current_field_loop(target: Any) -> Batch:
    """A batch of `target.current.field_0`; returns nanoseconds for one read."""

    def batch() -> float:
        o = target
        begins = time.perf_counter_ns()
        for _ in range(BATCH):
            o.current.field_0  # noqa: B018 - the read is the point
            o.current.field_0  # noqa: B018 - the read is the point
            o.current.field_0  # noqa: B018 - the read is the point
            o.current.field_0  # noqa: B018 - the read is the point
            o.current.field_0  # noqa: B018 - the read is the point
            o.current.field_0  # noqa: B018 - the read is the point
            o.current.field_0  # noqa: B018 - the read is the point
            o.current.field_0  # noqa: B018 - the read is the point
            o.current.field_0  # noqa: B018 - the read is the point
            o.current.field_0  # noqa: B018 - the read is the point
        return (time.perf_counter_ns() - begins) / (BATCH * UNROLLED)

    return batch


def call_loop(target: Callable[[], Any]) -> Batch:
    """A batch of `target()`; returns nanoseconds for one call."""

    def batch() -> float:
        o = target
        begins = time.perf_counter_ns()
        for _ in range(BATCH):
            o()
            o()
            o()
            o()
            o()
            o()
            o()
            o()
            o()
            o()
        return (time.perf_counter_ns() - begins) / (BATCH * UNROLLED)

    return batch


def interleave(batches: Mapping[str, Batch], rounds: int) -> dict[str, list[float]]:
    """Run every batch once per round, in turn, after some rounds to warm up."""
    found: dict[str, list[float]] = {name: [] for name in batches}
    for _ in range(20):
        for batch in batches.values():
            batch()
    for _ in range(rounds):
        for name, batch in batches.items():
            found[name].append(batch())
    return found


def rows(found: Mapping[str, list[float]], base: str, limits: Mapping[str, float], unit: str = "ns") -> list[Row]:
    """A row for each, with the ratio of its median to the base's median in the same run."""
    standard = statistics.median(found[base])
    made: list[Row] = []
    for name, values in found.items():
        ratio = statistics.median(values) / standard
        limit = limits.get(name)
        made.append(
            Row(
                what=name,
                unit=unit,
                median=statistics.median(values),
                p99=percentile(values, 0.99),
                p999=percentile(values, 0.999),
                ratio=ratio,
                against=base,
                limit=limit,
                judged=ratio if limit is not None else None,
            )
        )
    return made
