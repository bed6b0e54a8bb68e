"""The page and the chart of the peers' benchmark."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.peers import chart, page

SVG = "{http://www.w3.org/2000/svg}"


def row(name: str, median: float = 0.0, *, version: str = "", not_run: str = "") -> dict[str, Any]:
    figures = {} if not_run else {"median_ns": median, "p99_ns": median, "p999_ns": median, "ratio": median / 10}
    return {"key": name, "name": name, "version": version, "figures": figures, "note": "", "not_run": not_run}


ROWS = [
    row("slow <peer> & co", 100_000.0, version="peer 1.0"),
    row("dict", 10.0, version="standard library"),
    row("ours", 20.0, version="trimtab 1"),
    row("absent", not_run="absent is not installed here"),
]


def drawn() -> ET.Element:
    return ET.fromstring(chart.of_reads(ROWS))  # noqa: S314 - what we have drawn ourselves


def test_a_chart_has_a_bar_for_each_reader_the_fastest_first_on_a_log_scale() -> None:
    bars = drawn().findall(f"{SVG}rect")
    assert [bar.get("class") for bar in bars] == ["peer", "ours", "peer"]
    widths = [float(bar.get("width", "")) for bar in bars]
    decades = (chart.WIDTH - chart.LEFT - chart.RIGHT) / 4
    assert widths == pytest.approx([2.0, decades * 0.30103, decades * 4], abs=0.06)


def test_what_a_chart_says_is_text_that_was_escaped_and_names_who_was_not_run() -> None:
    texts = [one.text for one in drawn().findall(f"{SVG}text")]
    assert "slow <peer> & co" in texts
    assert "100 µs · 10,000 \N{MULTIPLICATION SIGN}" in texts
    assert "20.0 ns · 2 \N{MULTIPLICATION SIGN}" in texts
    assert "not run: absent" in texts


def test_a_chart_can_be_read_on_light_and_on_dark() -> None:
    style = drawn().findtext(f"{SVG}style") or ""
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    assert "fill: #1f2328" in light
    assert "fill: #f0f6fc" in dark


def test_a_page_shows_every_row_and_the_reason_of_those_that_were_not_run() -> None:
    found = {"at": "2026-11-21T10:00:00Z", "machine": "two processors", "load_before": 1.25, "ours": "trimtab abc",
             "quick": True, "groups": [{"title": "reads", "rows": ROWS}]}  # fmt: skip
    text = page.page({"reads": found}, ["reads", "propagation"])
    assert "*2026-11-21, two processors, load before 1.2, trimtab abc, with few samples.*" in text
    assert "| slow <peer> & co | 100 µs | 10,000 | 100 µs | 100 µs | peer 1.0 |" in text
    assert "- absent: not run: absent is not installed here" in text
    assert text.endswith("## From the write to the reader\n\nNot run yet on this machine.\n")


@pytest.mark.parametrize(
    ("nanoseconds", "said"),
    [(0.0, "0.00 ns"), (9.5, "9.50 ns"), (999.0, "999 ns"), (1_000.0, "1.00 µs"), (12_345.0, "12.3 µs"),
     (2.5e6, "2.50 ms"), (3e9, "3.00 s")],
)  # fmt: skip
def test_a_duration_is_said_in_the_unit_that_fits(nanoseconds: float, said: str) -> None:
    assert page.duration(nanoseconds) == said


def test_a_bar_in_a_name_breaks_no_table() -> None:
    assert page.clean("a|b\nc") == "a\\|b c"
