"""`trimtab template` where no store is needed: the built-in templates, and instances that go into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.console import Console
from trimtab.model.problems import MASK
from trimtab_store.files.json_text import load_json
from trimtab_store.files.toml_text import load_toml
from trimtab_store.files.yaml_core import load_yaml
from trimtab_store.templates import built_in


@pytest.fixture
def console(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Console:
    return Console(capfd, monkeypatch, tmp_path)


def test_every_built_in_template_is_listed_without_a_store(console: Console) -> None:
    found = console.done("template", "list")
    assert [one["name"] for one in found["templates"]] == list(built_in.files())
    assert found["broken"] == {}


def test_a_category_and_tags_narrow_the_list(console: Console) -> None:
    found = console.done("template", "list", "--category", "bot", "--tag", "live", "--tag", "ibkr")["templates"]
    assert found
    assert all(one["category"] == "bot" and {"live", "ibkr"} <= set(one["tags"]) for one in found)
    said = console("template", "list", "--tag", "dca")
    assert "bot_dca_binance_paper" in said.out
    assert "token_standard" not in said.out


def test_a_template_is_shown_with_bounds_and_documents(console: Console) -> None:
    said = console("template", "show", "bot_scalper_live")
    assert said.code == 0
    assert "at least 0, at most 0.0005" in said.out
    assert "Must hold: stop_loss_pct <= take_profit_pct; position_size * max_open_trades <= 1" in said.out
    assert '"fleet.bots.<id>.labels.mode": live' in said.out


def test_a_template_is_shown_with_the_lengths_of_texts_and_lists(console: Console) -> None:
    said = console("template", "show", "strategy_standard")
    (symbols,) = [line.split() for line in said.out.splitlines() if line.startswith("symbols ")]
    assert symbols[1:9] == ["required", "list", "of", "text", "1", "to", "200", "elements"]
    found = console.done("template", "show", "strategy_standard")["parameters"]
    (symbols,) = [one for one in found if one["name"] == "symbols"]
    assert (symbols["items"], symbols["min_length"], symbols["max_length"]) == ("text", 1, 200)


@pytest.mark.parametrize(
    ("words", "why", "remedy"),
    [
        (("--category", "bott"), "No template has the category bott", "Did you mean bot?"),
        (("--tag", "livee"), "No template has the tag livee", "Did you mean live?"),
        (("--category", "zzzzzz"), "No template has the category zzzzzz", "There are bot, circuit_breaker, data"),
    ],
)
def test_a_filter_that_no_template_fits_is_refused(
    console: Console, words: tuple[str, ...], why: str, remedy: str
) -> None:
    said = console("template", "list", *words, "--json")
    assert said.code == 2
    assert said.error["what"] == why
    assert said.error["remedy"].startswith(remedy)


def test_an_unknown_template_is_refused_with_the_nearest(console: Console) -> None:
    said = console("template", "show", "bot_scalper_papr", "--json")
    assert (said.code, said.error["code"]) == (3, "template_not_found")
    assert said.error["remedy"] == "Did you mean bot_scalper_paper?"


def test_values_are_read_as_their_parameters_are_typed(console: Console) -> None:
    made = console.done(
        "template", "new", "strategy_standard", "mine", "--dry-run",
        *("--set", "name=007"), *("--set", "exchange=binance"), *("--set", "symbols=BTCUSDT, ETHUSDT"),
        *("--set", 'symbol_pairs=[["A", "B"]]'), *("--set", "leverage=1.5"), *("--set", "enabled=true"),
    )  # fmt: skip
    found: Any = made["documents"]["strategy.mine"]
    assert (found["name"], found["symbols"]) == ("007", ["BTCUSDT", "ETHUSDT"])
    assert (found["symbol_pairs"], found["parameters"]["leverage"], found["enabled"]) == ([["A", "B"]], 1.5, True)


def test_everything_that_is_wrong_is_said(console: Console) -> None:
    wrong = ("--set", "stop_los=0.1", "--set", "leverage=11", "--set", "order_type=market", "--dry-run", "--json")
    said = console("template", "new", "strategy_standard", *wrong)
    assert said.code == 4
    assert said.out == ""
    for part in ("stop_los", "Did you mean stop_loss?", "at most 10", "not customizable", "id: ", "symbols"):
        assert part in said.err, part


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--set", "position_size"), "names no value"),
        (("--set", "=5"), "names no value"),
        (("--set", "position_size=1", "--set", "position_size=2"), "stands twice"),
        (("--set", "position_size=5%"), "write 0.05"),
        (("--set", "position_size=0,03"), 'write 0.03; for the text write "0,03"'),
    ],
)
def test_a_word_that_sets_nothing_is_refused(console: Console, words: tuple[str, ...], part: str) -> None:
    said = console("template", "new", "bot_scalper_paper", "x", "--dry-run", *words)
    assert said.code == 2
    assert part in said.err


def test_an_id_for_a_template_that_takes_none_is_refused(console: Console) -> None:
    said = console("template", "new", "security_standard", "mine", "--dry-run")
    assert said.code == 4
    assert "security_standard has no such parameter" in said.err


def test_an_instance_goes_into_a_file_of_its_category(console: Console, tmp_path: Path) -> None:
    yaml, json, toml = tmp_path / "a.yaml", tmp_path / "a.json", tmp_path / "a.toml"
    for file in (yaml, json, toml):
        assert console("template", "new", "bot_rsi_bollinger_live", "one.two", "--output", str(file)).code == 0
    found: Any = load_yaml(yaml.read_bytes(), name="a.yaml")
    assert list(found) == ["bot", "fleet"]
    assert found["bot"]["one.two"]["broker"]["type"] == "binance_live"
    assert found["fleet"] == {"bots": {"one.two": {"labels": {"mode": "live"}}}}
    assert load_json(json.read_bytes(), name="a.json") == found
    assert load_toml(toml.read_bytes(), name="a.toml") == found


def test_a_secret_is_masked_and_goes_into_no_file(console: Console, tmp_path: Path) -> None:
    secret = ("--set", "api_key=s3cret")
    said = console("template", "new", "data_fred", *secret, "--dry-run")
    assert (said.code, "s3cret" in said.out + said.err) == (0, False)
    assert f'api_key: "{MASK}"' in said.out
    said = console("template", "new", "data_fred", *secret, "--output", str(tmp_path / "a.yaml"))
    assert (said.code, "s3cret" in said.err, (tmp_path / "a.yaml").exists()) == (2, False, False)
    assert console("template", "new", "data_fred", "--set", "api_key=SECURE:fred", "--output", "a.yaml").code == 0
    assert b"SECURE:fred" in (tmp_path / "a.yaml").read_bytes()


def test_a_definition_goes_into_a_file_to_begin_with(console: Console, tmp_path: Path) -> None:
    assert console("template", "show", "mev_strict", "--output", "mine.yaml").code == 0
    assert load_yaml((tmp_path / "mine.yaml").read_bytes(), name="mine") == dict(
        built_in.template("mev_strict").definition
    )


def test_what_is_not_committed_nor_written_needs_an_environment(console: Console) -> None:
    said = console("template", "new", "mev_strict")
    assert said.code == 2
    assert "No environment is named" in said.err
