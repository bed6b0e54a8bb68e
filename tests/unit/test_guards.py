"""The guards as functions: what is gone, which limits are loosened for whom, and what they go by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import model_oracle
from tests.support.model_oracle import HIDE, OracleItem
from tests.support.model_strategies import as_edit, as_item
from trimtab.model import canonical, paths, states
from trimtab.model.items import Item, LeafEdit
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab_store.guards import removal, risk
from trimtab_store.guards.removal import Gone, Totals
from trimtab_store.guards.thresholds import Thresholds
from trimtab_store.validation.sides import Sides

ENVIRONMENTS = ["base", "production"]
DIMENSIONS = ["region", "mode", "bot"]
LINEAGE = Lineage(tuple(ENVIRONMENTS), tuple(DIMENSIONS))
LEVERAGE = "risk.global.max_leverage"


def line(values: Mapping[str, Any], environment: str = "production", layer: str = "") -> list[Item]:
    return [Item(environment, layer, path, canonical.encode(value)) for path, value in values.items()]


def state(*groups: Iterable[Item]) -> State:
    return states.build(LINEAGE, [item for group in groups for item in group])


def put(path: str, value: Any, layer: str = "") -> LeafEdit:
    return LeafEdit(layer, path, "put", canonical.encode(value))


def told(before: State, *edits: LeafEdit, environment: str = "production") -> list[tuple[str, dict[str, str], str]]:
    found = risk.judge(Sides(before, before.apply(environment, edits)), edits, Thresholds.of(before))
    return [(one.path, dict(one.labels), one.why) for one in found]


# Removal

SELECTORS = st.dictionaries(st.sampled_from(["mode", "bot"]), st.sampled_from("xy"), max_size=2)
PATHS = st.sampled_from([("a",), ("a", "b"), ("a", "c"), ("d",)])
ITEMS = st.builds(OracleItem, st.sampled_from(ENVIRONMENTS), SELECTORS, PATHS, st.sampled_from([1, {}, HIDE]))


def by_place(items: list[OracleItem]) -> dict[Any, OracleItem]:
    return {item.place: item for item in items}


@settings(max_examples=300)
@given(st.lists(ITEMS, min_size=3, max_size=8), st.lists(st.tuples(ITEMS, st.booleans()), min_size=1, max_size=4))
def test_what_is_gone_is_what_the_sentences_say(
    before: list[OracleItem], wanted: list[tuple[OracleItem, bool]]
) -> None:
    held = by_place(before)
    asked = {
        item.place: (OracleItem("production", item.selector, item.path, item.content), remove)
        for item, remove in wanted
    }
    edits = {one.place: (one, remove) for one, remove in asked.values()}
    found = removal.gone(
        state(map(as_item, held.values())), "production", [as_edit(one, remove=gone) for one, gone in edits.values()]
    )
    removed, masked, added = set[Any](), set[Any](), 0
    for place, (one, remove) in edits.items():
        had = place in held and held[place].content != HIDE
        if remove or one.content == HIDE:
            removed |= {place} if had else set()
        else:
            added += not had
        for other in held.values() if one.content == HIDE and not remove else ():
            lower = model_oracle.rank(other, ENVIRONMENTS, DIMENSIONS) < model_oracle.rank(
                one, ENVIRONMENTS, DIMENSIONS
            )
            meets = all(one.selector.get(name, label) == label for name, label in other.selector.items())
            if lower and meets and other.path[: len(one.path)] == one.path and other.content != HIDE:
                masked.add(other.place)
    assert found == Gone("production", len(removed), len(removed | masked), added)


def test_what_stands_above_a_tombstone_is_not_gone_and_what_is_replaced_neither() -> None:
    before = state(line({"a.b": 1, "d": 1}, "base"), line({"a.b": 2}, layer="mode=x"), line({"a.c": 3, "e": 1}))
    edits = [LeafEdit("", "a", "hide"), put("a.c", 4), LeafEdit("", "e", "remove"), put("f", 1)]
    assert removal.gone(before, "production", edits) == Gone("production", 1, 2, 1)


@pytest.mark.parametrize(
    ("lost", "totals", "refused"),
    [
        (Gone("production", 1, 1, 0), Totals(1, 1), True),  # nothing would be left
        (Gone("production", 1, 1, 1), Totals(1, 1), False),  # another one would be
        (Gone("production", 1, 1, 0), Totals(1, 2), False),  # what it inherits would be
        (Gone("production", 5, 5, 0), Totals(10, 90), False),
        (Gone("production", 6, 6, 0), Totals(10, 90), True),
        (Gone("production", 0, 46, 0), Totals(10, 90), True),
        (Gone("production", 3, 3, 0), Totals(4, 9), False),  # too few to speak of shares
        (Gone("production", 900, 900, 0), Totals(1_000, 1_000, plenty=True), False),
    ],
)
def test_more_than_the_share_needs_force_and_so_does_the_last_item(
    lost: Gone, totals: Totals, *, refused: bool
) -> None:
    assert bool(list(removal.judge(lost, totals, Thresholds()))) is refused


@given(st.integers(1, 10_000), st.floats(0, 1), st.integers(1, 100))
def test_where_enough_was_counted_nothing_can_be_refused(gone: int, share: float, least: int) -> None:
    thresholds, lost = Thresholds(share, 5.0, least), Gone("production", gone, gone, 0)
    enough = lost.enough(thresholds)
    if share > 1e-6:
        assert not list(removal.judge(lost, Totals(enough, enough), thresholds))


# Risk


@pytest.mark.parametrize(
    ("path", "old", "new", "refused"),
    [
        (LEVERAGE, 3, 15, False),
        (LEVERAGE, 3, 15.1, True),
        (LEVERAGE, 3, 0.01, False),
        (LEVERAGE, 0, 0.01, True),
        (LEVERAGE, 0, -1, False),
        (LEVERAGE, -5, -1, False),
        (LEVERAGE, -5, 0.1, True),
        ("risk.global.min_liquidity", 5000, 1000, False),
        ("risk.global.min_liquidity", 5000, 999, True),
        ("risk.global.min_liquidity", 5000, 0, True),
        ("risk.global.min_liquidity", 5000, 900_000, False),
        ("risk.parameters.max_position_size", "0.1", "0.51", True),
        ("risk.parameters.max_position_size", "0.1", "0.5", False),
        ("risk.circuit_breakers.loss_threshold", 0.1, 0.6, True),
        ("circuit_breaker.config.error_rate_threshold", 0.05, 1.0, True),
        ("trading.max_daily_loss", 100, 5000, True),
        ("mev.protection.max_priority_fee", 1000, 10_000, True),
        ("bot.scalper.risk_management.position_size", 0.05, 0.5, True),
        ("risk.global.position_timeout", 10, 7200, False),  # no word tells which way
        ("data.binance.max_retries", 3, 300, False),  # no risk
        ("risk.global.max_leverage", True, 15, False),
        (LEVERAGE, 3, None, True),
        (LEVERAGE, 3, "none", True),
    ],
)
def test_a_limit_that_is_loosened_by_more_than_the_factor_needs_force(
    path: str, old: Any, new: Any, *, refused: bool
) -> None:
    assert bool(told(state(line({path: old})), put(path, new))) is refused


def test_a_first_limit_needs_no_force() -> None:
    assert told(state(), put(LEVERAGE, 900)) == []


def test_a_limit_that_is_taken_away_needs_force_but_not_with_all_that_it_limits() -> None:
    values = {LEVERAGE: 3, "risk.global.max_correlation": 0.7, "bot.a.risk_management.max_open_trades": 1}
    own, inherited = state(line(values)), state(line(values, "base"))
    assert [one[0] for one in told(own, LeafEdit("", LEVERAGE, "remove"))] == [LEVERAGE]
    hidden = told(inherited, LeafEdit("", "risk.global", "hide"))
    assert [one[0] for one in hidden] == ["risk.global.max_correlation", LEVERAGE]
    assert told(inherited, LeafEdit("", "bot.a", "hide")) == []
    assert told(inherited, LeafEdit("", "bot.a.risk_management.max_open_trades", "hide")) == []


def test_what_a_removed_overlay_shows_again_is_judged_as_its_reader_sees_it() -> None:
    before = state(line({LEVERAGE: 20}), line({LEVERAGE: 3}, layer="mode=live"))
    assert told(before, LeafEdit("mode=live", LEVERAGE, "remove")) == [
        (LEVERAGE, {"mode": "live"}, "a limit would go from 3 to 20, by more than a factor of 5")
    ]


def test_a_declared_bot_is_asked_where_another_layer_decides_for_it() -> None:
    labels = line({"fleet.bots.mm.labels.mode": "live"})
    before = state(
        labels, line({LEVERAGE: 1}), line({LEVERAGE: 9}, layer="mode=live"), line({LEVERAGE: 1}, layer="bot=mm")
    )
    assert [one[1] for one in told(before, LeafEdit("bot=mm", LEVERAGE, "remove"))] == [{"bot": "mm", "mode": "live"}]


def test_moving_a_bot_to_other_labels_loosens_no_limit() -> None:
    labels = line({"fleet.bots.mm.labels.mode": "paper"})
    before = state(labels, line({LEVERAGE: 1}, layer="mode=paper"), line({LEVERAGE: 90}, layer="mode=live"))
    assert told(before, put("fleet.bots.mm.labels.mode", "live")) == []


def test_a_change_of_the_parent_is_judged_for_whoever_inherits() -> None:
    before = state(line({LEVERAGE: 3}, "base"), line({"guard.config.max_risk_factor": 1.5}))
    edit = put(LEVERAGE, 5)
    assert [one[0] for one in told(before, edit, environment="base")] == [LEVERAGE]


LIMITS = st.sampled_from(["risk.global.max_a", "risk.global.min_b", "risk.max_c"])
VALUES = st.sampled_from([0, 1, 2, 4, 5, 9, 90, "3.5", "x", None, HIDE])
LIMIT_ITEMS = st.builds(OracleItem, st.sampled_from(ENVIRONMENTS), SELECTORS, LIMITS.map(paths.parse), VALUES)


@given(st.lists(LIMIT_ITEMS, max_size=8), st.lists(st.tuples(LIMIT_ITEMS, st.booleans()), max_size=3))
def test_judging_agrees_with_reading_everything(
    before: list[OracleItem], wanted: list[tuple[OracleItem, bool]]
) -> None:
    held = by_place(before)
    edits = by_place([OracleItem("production", one.selector, one.path, one.content) for one, _ in wanted])
    removes = {OracleItem("production", one.selector, one.path, one.content).place: remove for one, remove in wanted}
    after = {**held, **{place: one for place, one in edits.items() if not removes[place]}}
    for place in edits:
        if removes[place]:
            after.pop(place, None)
    expected: set[str] = set()
    for one in edits.values():
        old, new = (
            model_oracle.leaves(list(items.values()), ENVIRONMENTS, DIMENSIONS, one.selector) for items in (held, after)
        )
        for path, value in old.items():
            touched = path[: len(one.path)] == one.path
            if touched and _too_loose(path[-1], value, new.get(path)):
                expected.add(paths.join(path))
    found = told(
        state(map(as_item, held.values())), *[as_edit(one, remove=removes[place]) for place, one in edits.items()]
    )
    assert {path for path, _, _ in found} == expected


def _too_loose(name: str, old: Any, new: Any) -> bool:
    before, after = ((float(v) if isinstance(v, int | float) or v == "3.5" else None) for v in (old, new))
    if before is None:
        return False
    if after is None:
        return True
    return (after > 5 * before) if name.startswith("max") else (before > 0 and after < before / 5)


# What they go by


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, Thresholds()),
        ({"max_removed_share": 0.1, "max_risk_factor": 2, "min_items": 1}, Thresholds(0.1, 2, 1)),
        ({"max_removed_share": 7, "max_risk_factor": 0.5, "min_items": -4}, Thresholds(1.0, 1.0, 1)),
        ({"max_removed_share": True, "max_risk_factor": "2", "min_items": None}, Thresholds(0.5, 2)),
    ],
)
def test_thresholds_come_from_the_configuration(said: dict[str, Any], expected: Thresholds) -> None:
    assert Thresholds.of(state(line({f"guard.config.{name}": value for name, value in said.items()}))) == expected


@pytest.mark.parametrize(
    ("path", "moves"),
    [
        ("risk.global.max_leverage", "down"),
        ("risk.global.min_liquidity", "up"),
        ("risk.circuit_breakers.loss_threshold", "down"),
        ("strategy.mm.parameters.max_risk", "down"),
        ("strategy.mm.parameters.freqai.data_split.test_size", None),
        ("bot.one.risk_management.position_size", "down"),
        ("bot.one.strategy.entry_logic.params.cache_size", None),
        ("monitoring.config.max_points", None),
        ("risk", None),
    ],
)
def test_limits_are_what_limits_risk_and_not_what_an_author_calls_alike(path: str, moves: str | None) -> None:
    assert risk.direction(path) == moves
