"""Every worked example of SPEC §3.7, loaded from the example fleet, reads back through typed access: paper and live,
from an agent and from an attached reader, every figure of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.stages import Stage, made_stage
from tests.support.worked import BOTS, STRATEGIES
from trimtab import categories
from trimtab.reading import Reading
from trimtab_store.files.yaml_core import load_yaml

EXAMPLES = Path(__file__).parents[2] / "examples" / "fleet" / "base"
BROKERS = {"paper": "binance_paper", "live": "binance_live"}


def loaded(category: str) -> dict[str, Any]:
    found: Any = load_yaml((EXAMPLES / f"{category}.yaml").read_bytes(), name=category)
    return {f"{category}.{name}": document for name, document in found[category].items()}


@pytest.fixture(params=["agent", "attached"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    made = made_stage(request.param, tmp_path / "shared")
    made.commit({**loaded("strategy"), **loaded("bot")})
    made.sign()
    yield made
    made.close()


@pytest.fixture(params=sorted(BROKERS))
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(stage: Stage, mode: str) -> Reading:
    brokers = {f"bot.{name}.broker.type": BROKERS[mode] for name in BOTS}
    revision = stage.commit({"fleet.bots.mm.labels.mode": mode, **brokers})
    config = stage.reader()
    assert config.wait_for(revision, 5)
    return config


@pytest.mark.parametrize(
    "document", [*loaded("strategy").items(), *loaded("bot").items()], ids=lambda one: str(one)[:30]
)
def test_a_worked_example_is_valid(document: tuple[str, Any]) -> None:
    path, value = document
    assert categories.check(path.partition(".")[0], value, path) == []


def test_the_worked_examples_are_those_of_the_specification() -> None:
    assert {path.partition(".")[2] for path in loaded("strategy")} == set(STRATEGIES)
    assert {path.partition(".")[2] for path in loaded("bot")} == set(BOTS)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_worked_strategy_reads_back(config: Reading, name: str) -> None:
    found = config.strategy(name)
    expected = {"symbols": (), "symbol_pairs": (), **STRATEGIES[name]}
    assert {field: getattr(found, field) for field in expected} == expected
    schedule = found.schedule
    assert (schedule.enabled, schedule.timezone, schedule.exclude_weekends) == (False, "UTC", False)
    assert (schedule.trading_hours.start, schedule.trading_hours.end) == ("00:00", "23:59")


@pytest.mark.parametrize("name", sorted(BOTS))
def test_a_worked_bot_reads_back(config: Reading, mode: str, name: str) -> None:
    found = config.bot(name)
    expected = {"bot_id": name, "broker.type": BROKERS[mode], "broker.commission": 0.001, **BOTS[name]}
    assert {field: field_of(found, field) for field in expected} == expected
    assert config.trading_mode() == mode


def field_of(document: Any, field: str) -> Any:
    for segment in field.split("."):
        document = getattr(document, segment)
    return document
