"""Importing: what goes where, what stays in the bot's own subtree, and what an earlier import has to do with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.support.foreign_files import BOT, FREQTRADE, HUMMINGBOT, imported, rendered, view_of
from trimtab.model.canonical import Json
from trimtab.model.errors import (
    LayerError,
    PathError,
    PathNotFound,
    UsageError,
    ValidationError,
    ValueRefused,
)
from trimtab_store import foreign
from trimtab_store.foreign import Held, Import

OVERLAY = f"bot={BOT}"
MODE = f"fleet.bots.{BOT}.labels.mode"


def edits(made: Import) -> dict[tuple[str, str], Json]:
    """Layer and path → what is set there."""
    return {(layer, path): value for what, path, layer, value in made.edits() if what == "set"}


def everything(layer: str, path: str) -> bool:
    return bool(path) and "," not in layer


def nothing(layer: str, path: str) -> bool:
    return not everything(layer, path)


def again(
    program: str, text: str, before: Import, *, file: str = "", holds: Callable[[str, str], bool] = everything
) -> Import:
    """The same file imported again where an earlier import stands."""
    held = Held(files={before.file: dict(before.record)}, holds=holds)
    return foreign.plan(foreign.project(program), text.encode(), "a file", bot=BOT, file=file or before.file, held=held)


def test_a_freqtrade_file_becomes_documents() -> None:
    found = edits(imported("freqtrade", FREQTRADE["full"]))
    parameters: Any = found["", f"strategy.{BOT}.parameters"]
    assert (parameters["timeframe"], parameters["stoploss"], parameters["stake_amount"]) == ("15m", -0.085, 42.5)
    assert found["", f"strategy.{BOT}.name"] == "Breakout_2"
    assert found["", f"strategy.{BOT}.exchange"] == "kraken"
    assert found["", f"strategy.{BOT}.symbols"] == ["ETH/USDT:USDT", "SOL/USDT:USDT", "(ADA|DOT)/USDT:USDT"]
    assert found[OVERLAY, "notifications.telegram_enabled"] is True
    assert found["", MODE] == "paper"
    rest: Any = found["", f"foreign.{BOT}.file"]
    assert rest["values"]["api_server"]["listen_port"] == 8181
    assert "dry_run" not in rest["values"]
    assert rest["values"]["telegram"].keys().isdisjoint({"enabled", "token", "chat_id"})


def test_what_is_left_of_a_file_is_what_has_no_other_home() -> None:
    text = '{"dry_run": true, "exchange": {"name": "kraken"}, "telegram": {"enabled": true, "reload": false}}'
    assert imported("freqtrade", text).record["values"] == {"telegram": {"reload": False}}


def test_a_hummingbot_controller_becomes_a_strategy_of_its_own() -> None:
    found = edits(imported("hummingbot", HUMMINGBOT["market making controller"]))
    assert found["", f"strategy.{BOT}-pmm_1.name"] == "pmm_simple"
    assert found["", f"strategy.{BOT}-pmm_1.exchange"] == "binance_perpetual"
    parameters: Any = found["", f"strategy.{BOT}-pmm_1.parameters"]
    assert (parameters["stop_loss"], parameters["take_profit"], parameters["cooldown_time"]) == (0.025, "0.018", 15)
    rest: Any = found["", f"foreign.{BOT}.file"]
    assert rest["values"] == {"id": "pmm_1", "controller_type": "market_making"}


def test_other_hummingbot_files_go_where_their_kind_belongs() -> None:
    paths = {shape: {path for _, path in edits(imported("hummingbot", text))} for shape, text in HUMMINGBOT.items()}
    own = f"foreign.{BOT}.file"
    assert paths["client"] == {"logging.level", own}
    assert paths["script"] == {f"strategy.{BOT}.name", f"strategy.{BOT}.parameters", own}
    assert paths["fees"] == paths["logs"] == paths["connector without keys"] | {own} == {own, *()} | {own}
    assert f"strategy.{BOT}.exchange" in paths["strategy with a template"]


def test_every_exchange_that_is_traded_on_becomes_a_document() -> None:
    made = imported("freqtrade", FREQTRADE["spot, unlimited stake, live"])
    assert ("merge", "exchange.binance", "", {}) in list(made.edits())
    assert edits(made)["", MODE] == "live"


def test_parameters_can_go_to_another_strategy() -> None:
    made = imported("freqtrade", FREQTRADE["full"], strategy="breakout")
    assert edits(made)["", "strategy.breakout.name"] == "Breakout_2"
    assert json.loads(rendered("freqtrade", view_of(made)))["strategy"] == "Breakout_2"


def test_what_a_category_refuses_stays_in_the_file_and_is_told() -> None:
    made = imported("freqtrade", FREQTRADE["what stands where nothing of ours fits"])
    assert {path for _, path in edits(made)} == {f"strategy.{BOT}.parameters", f"foreign.{BOT}.file"}
    assert made.kept.keys() == {"telegram.enabled", "exchange.pair_whitelist"}
    assert made.kept["telegram.enabled"].startswith("notifications.telegram_enabled: must be ")


def test_without_the_dimension_nothing_is_written_for_one_bot_alone() -> None:
    made = foreign.plan(
        foreign.project("freqtrade"),
        FREQTRADE["full"].encode(),
        "a file",
        bot=BOT,
        file="file",
        held=Held(per_bot=False),
    )
    assert {layer for layer, _ in edits(made)} == {""}
    assert {"telegram.enabled", "telegram.token", "exchange.key"} <= made.kept.keys()
    assert foreign.content(view_of(made).root, BOT, "file") == made.content


def test_an_edit_of_a_document_is_an_edit_of_the_file() -> None:
    made = imported("freqtrade", FREQTRADE["full"])
    view = view_of(
        made,
        also={
            ("", f"strategy.{BOT}.parameters.stoploss"): -0.05,
            ("", f"strategy.{BOT}.parameters.minimal_roi.240"): -1,
            ("", f"strategy.{BOT}.parameters.exit_profit_only_new"): True,
            ("", f"foreign.{BOT}.file.values.api_server.listen_port"): 9191,
            (OVERLAY, "notifications.telegram_enabled"): False,
            ("", MODE): "live",
        },
    )
    found = json.loads(rendered("freqtrade", view))
    assert found == foreign.content(view.root, BOT, "file")
    assert (found["dry_run"], found["stoploss"], found["minimal_roi"]["240"]) == (False, -0.05, -1)
    assert (found["exit_profit_only_new"], found["api_server"]["listen_port"]) == (True, 9191)
    assert found["telegram"]["enabled"] is False


def test_a_file_that_nobody_imported_is_not_found() -> None:
    with pytest.raises(PathNotFound, match=r"foreign\.ft-1\.other"):
        foreign.content(view_of(imported("freqtrade", "{}")).root, BOT, "other")
    with pytest.raises(PathNotFound, match="homes"):
        foreign.content({"foreign": {"x": {"y": {"values": 1}}}}, "x", "y")


@pytest.mark.parametrize("program", ["freqtrade", "hummingbot"])
def test_what_a_home_needs_and_nobody_set_is_an_error_both_ways(program: str) -> None:
    text = '{"dry_run": true, "strategy": "x"}' if program == "freqtrade" else "strategy: x\n"
    made = imported(program, text)
    record: Any = {**made.record, "homes": [{"at": ["strategy"], "path": "strategy.gone.name"}]}
    view = view_of(made, also={("", f"foreign.{BOT}.file"): record})
    with pytest.raises(PathNotFound, match=r"strategy\.gone\.name"):
        foreign.content(view.root, BOT, "file")
    with pytest.raises(ValidationError, match="path_not_found"):
        rendered(program, view)


def test_a_mode_that_stands_for_nothing_in_the_file_is_an_error_both_ways() -> None:
    view = view_of(imported("freqtrade", '{"dry_run": true}'), also={("", MODE): "shadow"})
    with pytest.raises(ValidationError, match="Set live or paper"):
        foreign.content(view.root, BOT, "file")
    with pytest.raises(ValidationError, match="UndefinedError"):
        rendered("freqtrade", view)


def test_two_files_of_one_bot_never_share_a_field() -> None:
    first = imported("freqtrade", '{"stoploss": -0.1, "exchange": {"name": "kraken"}, "dry_run": true}')
    second = again("freqtrade", '{"stoploss": -0.2, "timeframe": "1h", "dry_run": false}', first, file="second")
    assert {path for _, path in edits(second)} == {MODE, f"foreign.{BOT}.second"}
    assert second.kept == {"stoploss, timeframe": f"strategy.{BOT}.parameters belongs to the file file of this bot"}
    view = view_of(first, second)
    assert json.loads(rendered("freqtrade", view, "second")) == {"stoploss": -0.2, "timeframe": "1h", "dry_run": False}
    assert json.loads(rendered("freqtrade", view, "file"))["stoploss"] == -0.1


def test_what_an_earlier_import_of_the_file_put_elsewhere_is_taken_back() -> None:
    first = imported("freqtrade", FREQTRADE["full"])
    second = again("freqtrade", '{"dry_run": true, "stoploss": -0.1}', first)
    unset = {(layer, path) for what, path, layer, _ in second.edits() if what == "unset"}
    assert (OVERLAY, "notifications.telegram_enabled") in unset
    assert ("", f"strategy.{BOT}.name") in unset
    assert not any(path in {MODE, f"strategy.{BOT}.parameters"} for _, path in unset)
    assert next(iter(second.edits()))[0] == "unset"
    assert ("", MODE) not in {
        (layer, path) for _, path, layer, _ in again("freqtrade", '{"stoploss": -0.1}', first).edits()
    }
    third = again("freqtrade", '{"dry_run": true}', first, holds=nothing)
    assert [what for what, *_ in third.edits()] == ["set", "set"]


def test_one_template_serves_a_bot_with_one_file_and_asks_which_where_there_are_two() -> None:
    made = imported("hummingbot", HUMMINGBOT["hedge"], file='odd "näme" {{ 1 }}')
    assert yaml.safe_load(rendered("hummingbot", view_of(made), file="")) == made.content
    assert yaml.safe_load(rendered("hummingbot", view_of(made), file='odd "näme" {{ 1 }}')) == made.content
    other = imported("hummingbot", HUMMINGBOT["logs"], file="logs")
    assert yaml.safe_load(rendered("hummingbot", view_of(made, other), file="logs")) == other.content
    with pytest.raises(ValidationError, match="UndefinedError"):
        rendered("hummingbot", view_of(made, other), file="")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[]", ValueRefused),
        ("1", ValueRefused),
        ('{"": 1}', PathError),
        ('{"a\\u0007": 1}', PathError),
        ('{"a": "\\u0000"}', ValidationError),
    ],
)
def test_what_no_document_can_hold_is_refused(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        imported("freqtrade", text)


def test_a_bot_that_no_label_can_name_and_a_program_that_is_unknown_are_refused() -> None:
    with pytest.raises(LayerError):
        imported("freqtrade", "{}", bot="a b")
    with pytest.raises(UsageError, match="Did you mean"):
        foreign.project("freqtrad")
