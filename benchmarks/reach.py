"""Validating an edit that reaches a thousand bots: every document as each of them would see it, and every rule.

Beside ours stands a loop that resolves and checks each bot on its own: the same answer, without groups.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks import fixtures
from benchmarks.report import Row, Section, percentile, summarise, to_json
from trimtab import categories
from trimtab.model import canonical, labels, resolution, states
from trimtab.model.canonical import Json
from trimtab.model.items import Item, LeafEdit
from trimtab.model.resolution import Absent
from trimtab.model.structure import Lineage
from trimtab.model.values import thaw
from trimtab_store.validation.builtin import BUILT_IN_RULES
from trimtab_store.validation.inspection import Inspector
from trimtab_store.validation.sides import Sides

BOTS = 1_000
LIMIT_MS = 100.0
ENVIRONMENTS = ("base", "production")
DOCUMENT = "risk.global"
EDIT = LeafEdit("", f"{DOCUMENT}.max_leverage", "put", b"2.5")
STRATEGIES = ("maker", "reversion", "arbitrage", "momentum")
REGIONS = ("ny4", "ld4", "ty3")
PLACES = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """A fleet, and an edit of it."""

    what: str
    items: tuple[Item, ...]
    edits: tuple[LeafEdit, ...] = (EDIT,)

    def sides(self) -> dict[str, Sides]:
        """Both lines before and after the edit, which is made in the base."""
        found: dict[str, Sides] = {}
        for depth, name in enumerate(ENVIRONMENTS, 1):
            lineage = Lineage(ENVIRONMENTS[:depth])
            before = states.build(lineage, (one for one in self.items if one.environment in lineage.environments))
            found[name] = Sides(before, before.apply(ENVIRONMENTS[0], self.edits))
        return found


def item(environment: str, layer: str, path: str, value: Json) -> Item:
    return Item(environment, layer, path, canonical.encode(value))


def fleet() -> Iterator[Item]:
    """A thousand bots in production, a risk document in the base, and what live bots have to have."""
    for number in range(BOTS):
        at = f"fleet.bots.b{number}.labels"
        yield item("production", "", f"{at}.mode", "live" if number % 2 else "paper")
        yield item("production", "", f"{at}.strategy", STRATEGIES[number % len(STRATEGIES)])
    for field, value in {
        "max_leverage": 3,
        "max_portfolio_risk": 0.25,
        "max_daily_loss": 0.08,
        "min_liquidity": 5000,
        "max_position_size": 0.1,
        "max_correlation": 0.7,
        "position_timeout": 7200,
    }.items():
        yield item("base", "", f"{DOCUMENT}.{field}", value)
    yield item("base", "", "risk.parameters.max_position_size", 10)
    yield item("base", "", "risk.parameters.daily_loss_limit", 10)


def own_overlays(path: str, value: Callable[[int], Json]) -> Iterator[Item]:
    """An overlay for each bot."""
    for number in range(BOTS):
        yield item("production", f"bot=b{number}", path, value(number))


def shapes() -> Iterator[Shape]:
    """The shapes that are measured, the easy ones first."""
    common = tuple(fleet())
    yield Shape("no overlays", common)
    by_label = tuple(
        item("production", f"strategy={one}", f"{DOCUMENT}.max_daily_loss", 0.01 * place)
        for place, one in enumerate(STRATEGIES, 1)
    )
    by_mode = (item("base", "mode=live", f"{DOCUMENT}.max_position_size", 0.05),)
    by_region = tuple(
        item("production", f"mode=live,region={one}", f"{DOCUMENT}.position_timeout", 60) for one in REGIONS
    )
    yield Shape("overlays by strategy, mode and region", common + by_label + by_mode + by_region)
    by_place = tuple(
        item("production", f"region=r{number}", f"{DOCUMENT}.max_daily_loss", 0.01 * (number + 1))
        for number in range(PLACES)
    )
    yield Shape(f"overlays of {PLACES} regions, where any bot may be", common + by_place)
    yield Shape(
        "each bot overlays another document",
        common + tuple(own_overlays("trader.default_slippage_bps", lambda n: n % 900 + 1)),
    )
    yield Shape(
        "each bot overlays this document, 10 values",
        common + tuple(own_overlays(f"{DOCUMENT}.max_daily_loss", lambda n: n % 10 / 100 + 0.01)),
    )
    distinct = common + tuple(own_overlays(f"{DOCUMENT}.max_daily_loss", lambda n: n / 10_000 + 0.001))
    yield Shape("each bot overlays this document, 1,000 values", distinct)
    yield Shape(
        "one bot goes live, 1,000 values",
        distinct,
        (LeafEdit("bot=b0", "fleet.bots.b0.labels.mode", "put", b'"live"'),),
    )


def ours(sides: Mapping[str, Sides], edits: tuple[LeafEdit, ...]) -> tuple[str, ...]:
    """What a commit does between reading and writing."""
    return Inspector(BUILT_IN_RULES).inspect(ENVIRONMENTS[0], sides, edits, {}).warnings("bench")


def one_by_one(sides: Mapping[str, Sides], edits: tuple[LeafEdit, ...]) -> int:
    """Each bot on its own: its labels, the documents before and after, the check of what differs. Without rules."""
    touched = {edit.path.rpartition(".")[0] for edit in edits}
    wrong = 0
    for line in sides.values():
        for bot in sorted({*labels.declared_bots(line.before), *labels.declared_bots(line.after)}) or [""]:
            identity = {"bot": bot} if bot else {}
            old, new = labels.effective(line.before, identity), labels.effective(line.after, identity)
            for path in touched & {DOCUMENT}:
                before, after = (
                    resolution.resolve_at(line.before, old, path),
                    resolution.resolve_at(line.after, new, path),
                )
                if before != after and not isinstance(after, Absent):
                    wrong += len(categories.check("risk_limits", thaw(after), path))
    return wrong


def timed(act: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds of each of so many rounds."""
    found: list[float] = []
    for _ in range(rounds):
        begins = time.perf_counter()
        act()
        found.append((time.perf_counter() - begins) * 1e3)
    return found


def rows(shape: Shape, rounds: int) -> Iterator[Row]:
    """Ours, judged, and the loop."""
    sides = shape.sides()
    gc.collect()  # what earlier shapes left is no part of it
    assert ours(sides, shape.edits) == ()
    found = timed(lambda: ours(sides, shape.edits), rounds)
    alone = timed(lambda: one_by_one(sides, shape.edits), 2)
    yield summarise(
        shape.what,
        "ms",
        found,
        judged=percentile(found, 0.5),
        limit=LIMIT_MS,
        ratio=percentile(found, 0.5) / percentile(alone, 0.5),
        against="bot by bot",
    )
    yield summarise("  bot by bot, without rules", "ms", alone)


def main() -> int:
    rounds = 5 if fixtures.quick() else 40
    measured = [row for shape in shapes() for row in rows(shape, rounds)]
    sys.stdout.write(to_json([Section(f"Resolved validation of an edit that reaches {BOTS:,} bots", measured)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
