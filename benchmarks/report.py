"""Rows of a benchmark and how they are shown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing measured. `median`, `p99` and `p999` are in `unit`; `ratio` is to the row that `against` names.

    `judged` is what is limited, in whatever unit `limit` has; with `at_least` the limit is a floor. Both are None where
    the row is an alternative or an explanation.
    """

    what: str
    unit: str
    median: float
    p99: float | None = None
    p999: float | None = None
    ratio: float | None = None
    against: str = ""
    limit: float | None = None
    judged: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.limit is None or self.judged is None:
            return ""
        reached = self.judged >= self.limit if self.at_least else self.judged <= self.limit
        return "reached" if reached else "MISSED"


@dataclass(slots=True)
class Section:
    """One question with its rows, ours and the alternatives; `skipped` says why there are none."""

    title: str
    rows: list[Row] = field(default_factory=list[Row])
    skipped: str = ""

    def to_dict(self) -> dict[str, Any]:
        rows = [{**asdict(row), "verdict": row.verdict} for row in self.rows]
        return {"title": self.title, "skipped": self.skipped, "rows": rows}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Section:
        rows = [Row(**{name: value for name, value in row.items() if name != "verdict"}) for row in found["rows"]]
        return cls(found["title"], rows, found["skipped"])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summarise(what: str, unit: str, values: Sequence[float], **more: Any) -> Row:
    """A row with median and tails; p99.9 only where there are values enough to have one."""
    tail = percentile(values, 0.999) if len(values) >= 1000 else None
    return Row(what=what, unit=unit, median=percentile(values, 0.5), p99=percentile(values, 0.99), p999=tail, **more)


def show(section: Section) -> str:
    """The section as a table for a terminal."""
    heads = ("", "median", "p99", "p99.9", "ratio", "against", "judged", "limit", "")
    body = [_cells(row) for row in section.rows]
    widths = [max(len(line[place]) for line in (heads, *body)) for place in range(len(heads))]
    lines = [f"## {section.title}"]
    if section.skipped:
        lines.append(f"not run: {section.skipped}")
    if body:
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (heads, *body)
        ]
    return "\n".join(lines) + "\n"


def to_json(sections: Iterable[Section]) -> str:
    """What a benchmark's process writes for the one that started it."""
    return json.dumps([section.to_dict() for section in sections])


def _cells(row: Row) -> tuple[str, ...]:
    sign = "≥" if row.at_least else "≤"
    return (
        row.what,
        _number(row.median, row.unit),
        _number(row.p99, row.unit),
        _number(row.p999, row.unit),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        row.against,
        "" if row.judged is None else f"{row.judged:.3g}",
        "" if row.limit is None else f"{sign} {row.limit:.3g}",
        f"{row.verdict} {row.note}".strip(),
    )


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f} {unit}" if abs(value) >= 1000 else f"{value:.3g} {unit}"
