"""docs/peers.svg: one bar for each reader on a log scale, readable on light and on dark, its text as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from benchmarks.peers.page import duration

WIDTH: Final = 860
LEFT, RIGHT, TOP, LINE, BAR = 330, 150, 56, 26, 14
TIMES: Final = "\N{MULTIPLICATION SIGN}"
STYLE: Final = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px; fill: #59636e }
.grid { stroke: #d1d9e0 }
.peer { fill: #8c959f }
.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .small { fill: #9198a1 }
  .grid { stroke: #3d444d }
  .ours { fill: #4493f8 }
}"""


def of_reads(rows: Iterable[Mapping[str, Any]]) -> str:
    """The chart of the medians, the fastest first; rows that were not run are named below it."""
    found = list(rows)
    run = sorted((row for row in found if not row["not_run"]), key=lambda row: float(row["figures"]["median_ns"]))
    left = [row["name"] for row in found if row["not_run"]]
    height = TOP + LINE * (len(run) + (2 if left else 1))
    low, high = _decades([float(row["figures"]["median_ns"]) for row in run])
    title = "Median of one read, log scale"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        f'<text x="10" y="22">{title}; {TIMES} is the ratio to a dict in the same run</text>',
    ]
    parts += _grid(low, high, TOP + LINE * len(run))
    parts += [_bar(row, place, low, high) for place, row in enumerate(run)]
    if left:
        y = TOP + LINE * (len(run) + 1)
        parts.append(f'<text class="small" x="10" y="{y}">not run: {escape(", ".join(left))}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _decades(values: list[float]) -> tuple[int, int]:
    """Exponents of ten around all values."""
    if not values:
        return 0, 1
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _x(value: float, low: int, high: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / (high - low)


def _grid(low: int, high: int, bottom: int) -> list[str]:
    parts: list[str] = []
    for exponent in range(low, high + 1):
        x = _x(10.0**exponent, low, high)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom}"/>')
        name = duration(10.0**exponent).replace(".00", "").replace(".0", "")
        parts.append(f'<text class="small" x="{x:.1f}" y="{TOP - 14}" text-anchor="middle">{name}</text>')
    return parts


def _bar(row: Mapping[str, Any], place: int, low: int, high: int) -> str:
    figures = row["figures"]
    y = TOP + LINE * place
    end = max(_x(float(figures["median_ns"]), low, high), LEFT + 2.0)
    kind = "ours" if row["version"].startswith("trimtab") else "peer"
    ratio = f" · {figures['ratio']:,.3g} {TIMES}" if "ratio" in figures else ""
    if figures.get("ratio", 0) >= 100:
        ratio = f" · {figures['ratio']:,.0f} {TIMES}"
    return (
        f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(row["name"])}</text>'
        f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{BAR}" rx="2"/>'
        f'<text x="{end + 6:.1f}" y="{y + 12}">{duration(figures["median_ns"])}{ratio}</text>'
    )
