"""What one change costs as more items are held: from a verified message to a view, beside a flat dict's copy."""

from __future__ import annotations

import sys
import time

from benchmarks import fixtures
from benchmarks.report import Row, Section, percentile, to_json
from trimtab.model import views
from trimtab.model.items import LeafEdit
from trimtab.model.states import State
from trimtab.model.views import View

SIZES = (1_000, 10_000, 100_000, 1_000_000)
LIMIT = 3.0
"""How much dearer the dearest size may be than the cheapest: flat, with room for caches that no longer fit."""


def changes(state: State, view: View, path: str, rounds: int) -> list[float]:
    found: list[float] = []
    for number in range(rounds):
        edit = LeafEdit("", path, "put", str(number).encode())
        begins = time.perf_counter()
        state = state.apply("base", (edit,))
        view, differences = views.advance(view, state, [path])
        found.append((time.perf_counter() - begins) * 1e6)
        assert path in differences
    return found


def copies(flat: dict[str, object], path: str, rounds: int) -> list[float]:
    found: list[float] = []
    for number in range(rounds):
        begins = time.perf_counter()
        flat = {**flat, path: number}
        found.append((time.perf_counter() - begins) * 1e6)
    return found


def main() -> int:
    sizes = SIZES[:3] if fixtures.quick() else SIZES
    ours: dict[int, list[float]] = {}
    rows: list[Row] = []
    for size in sizes:
        state, view = fixtures.view(size)
        path = fixtures.some_path(size)
        ours[size] = changes(state, view, path, 300)
        flat = copies(dict(view.index), path, 20)
        rows.append(Row(f"flat dict copied, {size:,}", "µs", percentile(flat, 0.5), percentile(flat, 0.99)))
        del state, view
    cheapest = min(percentile(values, 0.5) for values in ours.values())
    for size, values in ours.items():
        ratio = percentile(values, 0.5) / cheapest
        rows.append(Row(f"ours, {size:,}", "µs", percentile(values, 0.5), percentile(values, 0.99), ratio=ratio,
                        against="cheapest of ours", judged=ratio, limit=LIMIT))  # fmt: skip
    sys.stdout.write(to_json([Section("One change: apply to the state, advance the view", rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
