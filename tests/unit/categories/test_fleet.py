"""The example fleet: every document that any reader of it sees is valid, every category is there, every worked example
of SPEC §3.7 reads back through its model on paper and live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from trimtab import categories
from trimtab.categories import MODELS, Bot, Strategy
from trimtab.model import labels as labels_of
from trimtab.model import paths, resolution, states
from trimtab.model.canonical import Json
from trimtab.model.documents import KNOWN
from trimtab.model.states import State
from trimtab.model.values import thaw
from trimtab_store.files import FleetTree, read_tree

EXAMPLE = Path(__file__).parents[3] / "examples" / "fleet"
ENVIRONMENTS = ("base", "development", "testing", "staging", "production")
BOTS = ("", "mm-btc", "mr-eth", "arb-btc")
MODES = ("", "paper", "live")
REGIONS = ("", "ny4", "ld4")


@cache
def example() -> FleetTree:
    return read_tree(EXAMPLE)


@cache
def state_of(environment: str) -> State:
    tree = example()
    lineage = tree.forest.lineage(environment)
    items = [item for one in tree.environments if one.name in lineage.environments for item in one.items()]
    return states.build(lineage, items)


def readers(environment: str) -> Iterator[dict[str, str]]:
    """Every set of labels; a bot's own labels say its mode, one that the fleet does not know says its own."""
    for bot, mode, region in product(BOTS, MODES, REGIONS):
        given = {"bot": bot, "region": region}
        labels = labels_of.effective(state_of(environment), {name: one for name, one in given.items() if one})
        yield {**labels, **({"mode": mode} if mode else {})}


def documents(environment: str, labels: Mapping[str, str]) -> Iterator[tuple[str, str | None, Json]]:
    """(path, type, value) of all that a reader sees; a leaf outside of documents has no type."""
    return _below((), thaw(resolution.resolve_all(state_of(environment), labels)))


def _below(above: tuple[str, ...], value: Json) -> Iterator[tuple[str, str | None, Json]]:
    kind = KNOWN.type_of(paths.join(above)) if above else None
    if kind is not None or not isinstance(value, dict):
        yield paths.join(above), kind, value
        return
    for segment, inner in value.items():
        yield from _below((*above, segment), inner)


def one(environment: str, path: str, **labels: str) -> Any:
    return {path: value for path, _, value in documents(environment, labels)}[path]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_document_that_any_reader_sees_is_valid(environment: str) -> None:
    for labels in readers(environment):
        for path, kind, value in documents(environment, labels):
            assert kind is not None, path
            assert categories.check(kind, value, path) == [], (path, labels)
            MODELS[kind].model_validate(value)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_type_of_document_is_there(environment: str) -> None:
    assert {kind for _, kind, _ in documents(environment, {})} == set(MODELS)


@pytest.mark.parametrize("mode", ["paper", "live"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_worked_examples_read_back_on_paper_and_live(environment: str, mode: str) -> None:
    for name in ("rsi-paper", "rsi-live"):
        bot = Bot.model_validate(one(environment, f"bot.{name}", mode=mode))
        assert (bot.bot_id, bot.symbol, bot.strategy.entry_logic.params["rsi_period"]) == (name, "BTCUSDT", 14)
    reversion = Strategy.model_validate(one(environment, "strategy.mean_reversion", mode=mode))
    assert (reversion.enabled, reversion.parameters["position_size"]) == (True, 0.015)
    arbitrage = Strategy.model_validate(one(environment, "strategy.correlation_arbitrage", mode=mode))
    assert (arbitrage.exchange, arbitrage.parameters["position_size"]) == (("hyperliquid", "phemex"), 0.01)
    maker = Strategy.model_validate(one(environment, "strategy.market_maker", mode=mode))
    assert (maker.exchange, maker.parameters["sleep"]) == (("hyperliquid",), 30)


def test_only_in_production_and_only_live_is_a_broker_live() -> None:
    live = {
        (environment, mode)
        for environment, mode in product(ENVIRONMENTS, ("paper", "live"))
        if Bot.model_validate(one(environment, "bot.rsi-live", mode=mode)).broker.type == "binance_live"
    }
    assert live == {("production", "live")}
