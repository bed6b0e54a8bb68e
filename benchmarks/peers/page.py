"""docs/peers.md: what was measured, as tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

Row = Mapping[str, Any]
Cells = Callable[[Mapping[str, float]], tuple[str, ...]]
INTRODUCTION: Final = """\
# What people use instead, measured beside us

Made by `make bench-peers ARGS=--write`: change `benchmarks/peers`, not this page. The machine is a small virtual one
that others use at the same time. So **ratios of one section travel, times do not**, and a tail may be a neighbour's.
Every peer holds the same content, reads the same value by the call that its own documentation shows, and is checked to
read it before anything is timed. Each runs in a fresh process. Whoever could not run is listed with the reason.

![Median of a read, log scale](peers.svg)
"""
TITLES: Final = {
    "reads": "One read",
    "crowds": "Threads and processes",
    "holding": "Start and memory",
    "gaps_2000": "Longest gap between reads, 2,000 items",
    "gaps_50000": "Longest gap between reads, 50,000 items",
    "propagation": "From the write to the reader",
}
EXPLAINED: Final = {
    "reads": """\
5,000 items. All processes live, and take turns. The median is of unrolled batches of about 0.2 ms; p99 and p99.9 are of
single reads, less what looking at the clock costs, which is more than the shortest reads cost themselves.""",
    "crowds": """\
Reads a second of all together, and the median of one read. Threads share one reader where the library's documentation
says so, else each has a connection of its own. Four of them do not fit on two processors.""",
    "holding": """\
10,000 items, each time a fresh process: the imports, from there to the first value, and the proportional set size above
the bare interpreter, after the imports and with everything held. Medians. A server's own memory is not in it, nor is
our sidecar's.""",
    "gaps_2000": """\
The longest time between the ends of two reads of a thread that does nothing else, in each change: the median over the
changes, and the worst. The floor is the same without a change, or with the change made where nobody follows.""",
    "gaps_50000": "The same with 50,000 items.",
    "propagation": """\
From the beginning of the write to the first sight of it in another process, one reader, 20 changes a second. Ours
includes validation, COMMIT with its flush to disk, audit and signature; PUBLISH and NOTIFY alone keep nothing.""",
}


def machine() -> str:
    """The shape of this machine."""
    names = (line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    name = next(names, f": {platform.machine()}").partition(":")[2].strip()
    return f"{name}, {os.cpu_count()} virtual processors, Linux, Python {platform.python_version()}"


def page(results: Mapping[str, Any], names: Iterable[str]) -> str:
    """The whole page; a section without results says so."""
    parts = [INTRODUCTION]
    for name in names:
        found = results.get(name)
        parts.append(section(name, found) if found else f"## {TITLES[name]}\n\nNot run yet on this machine.\n")
    return "\n".join(parts)


def section(name: str, found: Mapping[str, Any]) -> str:
    """One section: what it means, when and where it was measured, its tables."""
    quick = ", with few samples" if found["quick"] else ""
    about = f"{found['at'][:10]}, {found['machine']}, load before {found['load_before']:.1f}, {found['ours']}{quick}."
    parts = [f"## {TITLES[name]}", EXPLAINED[name], f"*{about}*"]
    heads, cells = SHAPES.get(name, SHAPES["gaps"])
    for one in found["groups"]:
        if len(found["groups"]) > 1:
            parts.append(f"**{one['title'].capitalize()}**")
        parts.append(table(heads, one["rows"], cells))
    return "\n\n".join(parts) + "\n"


def table(heads: tuple[str, ...], rows: Iterable[Row], cells: Cells) -> str:
    """A table of Markdown; rows that were not run come last, with their reason across."""
    lines = [f"| | {' | '.join(heads)} | version, notes |", f"|---|{'--:|' * len(heads)}---|"]
    left: list[str] = []
    for row in rows:
        if row["not_run"]:
            left.append(f"- {row['name']}: not run: {clean(row['not_run'])}")
        else:
            about = "; ".join(filter(None, (row["version"], row["note"])))
            lines.append(f"| {clean(row['name'])} | {' | '.join(cells(row['figures']))} | {clean(about)} |")
    return "\n".join([*lines, "", *left] if left else lines)


def clean(text: str) -> str:
    """Text that cannot break a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def duration(nanoseconds: float) -> str:
    """Three digits, in the unit that fits."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{_digits(nanoseconds / size)} {unit}"
    return f"{_digits(nanoseconds)} ns"


def _digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(value: float | None) -> str:
    return (
        "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.0f}"
    )


def _per_second(value: float) -> str:
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value / 1e3:.1f} k"


def _reads(found: Mapping[str, float]) -> tuple[str, ...]:
    return (
        duration(found["median_ns"]),
        _ratio(found.get("ratio")),
        duration(found["p99_ns"]),
        duration(found["p999_ns"]),
    )


def _crowds(found: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(
        f"{_per_second(found[f'{kind}_{count}_per_s'])}, {duration(found[f'{kind}_{count}_ns'])}"
        for kind in ("threads", "processes")
        for count in (1, 2, 4)
    )


def _holding(found: Mapping[str, float]) -> tuple[str, ...]:
    times = tuple(duration(found[name] * 1e6) for name in ("import_ms", "ready_ms"))
    return (*times, *(f"{found[name]:.1f} MiB" for name in ("import_mib", "total_mib")))


def _gaps(found: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(duration(found[name] * 1e6) for name in ("median_ms", "worst_ms", "floor_ms", "floor_worst_ms"))


def _propagation(found: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(duration(found[name] * 1e6) for name in ("median_ms", "p99_ms"))


SHAPES: Final[Mapping[str, tuple[tuple[str, ...], Cells]]] = {
    "reads": (("median", "ratio", "p99", "p99.9"), _reads),
    "crowds": (("1 thread", "2 threads", "4 threads", "1 process", "2 processes", "4 processes"), _crowds),
    "holding": (("imports", "first value", "memory of the imports", "memory in all"), _holding),
    "gaps": (("median", "worst", "floor", "worst of the floor"), _gaps),
    "propagation": (("median", "p99"), _propagation),
}
