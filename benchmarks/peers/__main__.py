"""Measure what people would use instead, beside us in one run, and show it.

    python -m benchmarks.peers [--only SECTION …] [--quick] [--json FILE] [--write]

`--only` keeps what earlier runs found of the other sections. `--write` also writes docs/peers.md and docs/peers.svg.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.peers import chart, gaps, page, places, propagation, sections
from benchmarks.peers.asking import start
from benchmarks.peers.catalog import ALL, ONE, PEERS
from benchmarks.peers.reading import ROOT, Place, version_of
from benchmarks.peers.sections import Measured
from benchmarks.shared import shared

READ_ITEMS, HOLD_ITEMS = 5_000, 10_000
GAPS: Final = {"gaps_2000": 2_000, "gaps_50000": 50_000}
NAMES: Final = ("reads", "crowds", "holding", *GAPS, "propagation")
RESULTS: Final = Path(__file__).parents[1] / "results" / "peers.json"


class Run:
    """The servers, and what was filled into them; each section fills what it needs."""

    def __init__(self, servers: places.Servers, closing: contextlib.ExitStack, *, quick: bool) -> None:
        self._servers = servers
        self._closing = closing
        self._quick = quick

    def section(self, name: str) -> list[dict[str, Any]]:
        """One section by its name: groups of rows with a title."""
        quick = self._quick
        if name in GAPS:
            return self._gaps(GAPS[name])
        measures: dict[str, Callable[[], list[Measured]]] = {
            "reads": lambda: sections.reads(
                PEERS, self._placed(READ_ITEMS), start, 2 if quick else 20, 4_000 if quick else 40_000
            ),
            "crowds": lambda: sections.crowds(PEERS, self._placed(READ_ITEMS), start, 0.1 if quick else 0.5),
            "holding": lambda: sections.holding(PEERS, self._placed(HOLD_ITEMS), start, 1 if quick else 5),
            "propagation": lambda: propagation.measure(self._servers, 20 if quick else 100),
        }
        return [group(name, measures[name]())]

    def _placed(self, items: int) -> dict[str, Place]:
        place = self._servers.place(items)
        more: dict[str, dict[str, object]] = {
            "attached": {"shared": self._closing.enter_context(shared(items)).place},
            "http_agent": {"port": self._closing.enter_context(places.http_agent(items))},
        }
        return {peer.key: self._servers.of_peer(place, peer.key, more.get(peer.key, {})) for peer in PEERS}

    def _gaps(self, items: int) -> list[dict[str, Any]]:
        placed = self._placed(items)
        with self._servers.stand.store() as store:
            self._servers.stand.fill(store, f"size{items}-elsewhere", items)
        rounds = {ONE: 2, ALL: 1} if self._quick else {ONE: 5, ALL: 2}
        return [
            group(f"{sort}, {items:,} items", gaps.measure(sort, placed, self._servers.directory, rounds[sort]))
            for sort in gaps.SORTS
        ]


def group(title: str, rows: list[Measured]) -> dict[str, Any]:
    """Rows as the JSON has them."""
    return {"title": title, "rows": [row.to_dict() for row in rows]}


def main() -> int:
    chosen = arguments()
    results: dict[str, Any] = json.loads(chosen.json.read_text()) if chosen.only and chosen.json.exists() else {}
    for name in chosen.only or NAMES:
        print(f"running {name} …", file=sys.stderr, flush=True)
        load = os.getloadavg()[0]
        with contextlib.ExitStack() as closing:
            run = Run(closing.enter_context(places.running()), closing, quick=chosen.quick)
            groups = run.section(name)
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        results[name] = {"at": at, "machine": page.machine(), "ours": version_of("trimtab"),
                         "load_before": load, "quick": chosen.quick, "groups": groups}  # fmt: skip
        print(page.section(name, results[name]), flush=True)
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")
    if chosen.write:
        (ROOT / "docs" / "peers.md").write_text(page.page(results, NAMES))
        (ROOT / "docs" / "peers.svg").write_text(chart.of_reads(results["reads"]["groups"][0]["rows"]))
    print(f"JSON: {chosen.json}")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=NAMES, help="run only this one (several times for several)")
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write the rows")
    parser.add_argument("--write", action="store_true", help="write docs/peers.md and docs/peers.svg")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
