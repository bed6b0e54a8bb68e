"""Files of freqtrade and hummingbot: from the command line through a real store and a sidecar, back to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import KEY
from tests.support.console import Console
from tests.support.foreign_files import BOT, FREQTRADE, HUMMINGBOT, SHAPES, imported
from tests.support.servers import Database
from tests.support.sidecar_process import Start
from tests.support.waiting import eventually
from trimtab.model.values import Document
from trimtab_store import foreign
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.foreign.homes import same
from trimtab_store.store import Store

WHERE = ("-e", "production", "--reason", "a test")
OVERLAY = f"bot={BOT}"


@pytest.fixture
def cli(
    published_store: Store,
    database: Database,
    one_redis: RedisServer,
    short_directory: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Console:
    """The command line over base ← production, in a folder of its own."""
    with published_store.edit("base", author="test") as edit:
        edit.set("risk.parameters", {"max_position_size": 10, "daily_loss_limit": "250.00"})
    made = Console(capfd, monkeypatch, short_directory)
    key = short_directory / "key.json"
    key.touch(0o600)
    key.write_bytes(KEY.to_bytes())
    made.variables(DATABASE_URL=database.login("trimtab_writer"), REDIS_URL=one_redis.url, SIGNING_KEY=key)
    return made


def put(name: str, text: str) -> str:
    """A file in the folder of the command line."""
    Path(name).write_text(text, encoding="utf-8")
    return name


@pytest.mark.parametrize("program", ["freqtrade", "hummingbot"])
def test_every_shape_is_committed_and_read_back_as_it_was(cli: Console, published_store: Store, program: str) -> None:
    for number, (_, shape, text) in enumerate(one for one in SHAPES if one[0] == program):
        bot = f"bot-{number}"
        said = cli.done("import", program, put("file", text), "--bot", bot, *WHERE)
        expected = imported(program, text, bot=bot)
        seen = published_store.queries.document("production", labels={"bot": bot}).value
        assert isinstance(seen, Document)
        assert same(foreign.content(seen, bot, "file"), expected.content), shape
        assert (said["secrets"], said["kept"]) == (dict(expected.secrets), dict(expected.kept))
        assert not cli.done("import", program, "file", "--bot", bot, *WHERE)["created"]
    assert cli("validate", "-e", "production").code == 0


def test_a_sidecar_renders_what_was_imported_and_follows_each_edit(cli: Console, start: Start) -> None:
    for program, text in (("freqtrade", FREQTRADE["full"]), ("hummingbot", HUMMINGBOT["client"])):
        where = ("--as", program, "--template", f"{program}.j2", *WHERE)
        cli.done("import", program, put("file", text), "--bot", BOT, *where)
    bot, client = Path("bot.json").absolute(), Path("client.yml").absolute()
    renders = ("--render", f"freqtrade.j2:{bot}", "--render", f"hummingbot.j2:{client}", "--render-check", "test -s")
    sidecar = start(*renders, TRIMTAB_LABELS=f"node=ny4-1,bot={BOT}")
    assert eventually(lambda: bot.exists() and client.exists(), 20), sidecar.log.read_text()
    expected: Any = imported("freqtrade", FREQTRADE["full"], file="freqtrade").content
    assert same(json.loads(bot.read_text()), expected)
    assert same(
        yaml.safe_load(client.read_text()), imported("hummingbot", HUMMINGBOT["client"], file="hummingbot").content
    )
    cli.done("set", f"strategy.{BOT}.parameters.stoploss", "-0.05", *WHERE)
    cli.done("set", f"fleet.bots.{BOT}.labels.mode", "live", *WHERE)
    cli.done("set", "notifications.telegram_enabled", "false", "--layer", OVERLAY, *WHERE)
    expected = {**expected, "stoploss": -0.05, "dry_run": False}
    expected["telegram"] = {**expected["telegram"], "enabled": False}
    assert eventually(lambda: same(json.loads(bot.read_text()), expected)), bot.read_text()
    cli.done("set", "logging.level", "DEBUG", "--layer", OVERLAY, *WHERE)
    assert eventually(lambda: yaml.safe_load(client.read_text())["log_level"] == "DEBUG")
    assert sidecar.end() == 0


def test_a_dry_run_tells_everything_and_commits_nothing(cli: Console, published_store: Store) -> None:
    head = cli.done("history", "-e", "production")[0]["revision"]
    words = (
        "import",
        "freqtrade",
        put("config.json", FREQTRADE["full"]),
        "--bot",
        BOT,
        "-e",
        "production",
        "--dry-run",
    )
    found = cli.done(*words, "--template", "not.written")
    assert f"strategy.{BOT}.name" in found["paths"]
    assert {"field": "dry_run", "path": f"fleet.bots.{BOT}.labels.mode", "layer": "common"} in found["documents"]
    assert found["secrets"]["exchange.key"] == f"{BOT}.config.exchange.key"
    said = cli(*words)
    assert (said.code, said.err) == (0, "")
    assert f"Left out: exchange.key, a secret; SECURE:{BOT}.config.exchange.key stands for it.\n" in said.out
    assert ["the", "rest", f"foreign.{BOT}.config", "common"] in [line.split() for line in said.out.splitlines()]
    assert "k-4d3c2b1a" not in said.out
    assert cli.done("history", "-e", "production")[0]["revision"] == head
    assert not Path("not.written").exists()
    assert published_store.queries.items("production", "foreign") == ()


def test_no_secret_reaches_the_store(cli: Console, published_store: Store) -> None:
    cli.done("import", "freqtrade", put("config.json", FREQTRADE["full"]), "--bot", BOT, *WHERE)
    stored = published_store.export_environment("production").decode()
    assert [one for one in ("k-4d3c2b1a", "hunter2", "w-3", "Basic abc", "AAbbCC") if one in stored] == []
    assert stored.count("SECURE:") > 10


def test_a_file_that_lost_a_part_takes_it_back_from_where_it_stood(cli: Console, published_store: Store) -> None:
    cli.done("import", "freqtrade", put("config.json", FREQTRADE["full"]), "--bot", BOT, *WHERE)
    put("config.json", '{"dry_run": true, "stoploss": -0.1}')
    cli.done("import", "freqtrade", "config.json", "--bot", BOT, *WHERE, "--force", "most of it goes")
    seen = published_store.queries.document("production", labels={"bot": BOT}).value
    assert isinstance(seen, Document)
    assert "notifications" not in seen
    assert seen.to_dict()["strategy"] == {BOT: {"parameters": {"stoploss": -0.1}}}
    assert foreign.content(seen, BOT, "config") == {"dry_run": True, "stoploss": -0.1}


def test_a_live_bot_is_imported_only_where_its_limits_are_set(cli: Console) -> None:
    cli.done("unset", "risk.parameters", "-e", "base", "--force", "a test")
    live = put("config.json", FREQTRADE["spot, unlimited stake, live"])
    said = cli("import", "freqtrade", live, "--bot", BOT, *WHERE)
    assert said.code == 4
    assert "live mode needs these limits" in said.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("freqtrade", "config.json"), 2, "Add --bot ID"),
        (("freqtrad", "config.json", "--bot", BOT), 2, "Did you mean"),
        (("freqtrade", "config.json", "other.json", "--bot", BOT), 2, "one name"),
        (("freqtrade", "config.json", "--bot", BOT, "--format", "json"), 2, "--format"),
        (("freqtrade", "config.json", "--bot", BOT, "--secrets", "keep"), 2, "keep-out or refuse"),
        (("freqtrade", "config.json", "--bot", BOT, "--secrets", "refuse"), 4, "exchange.key"),
        (("freqtrade", "config.json", "--bot", "a b"), 2, "label"),
        (("freqtrade", "missing.json", "--bot", BOT), 2, "missing.json"),
        (("hummingbot", "config.json", "--bot", BOT), 4, "config.json, line"),
        (("config.json", "--bot", BOT), 2, "files of other programs"),
        (("freqtrade", "config.json", "--bot", BOT, "--template", "no/such/folder.j2"), 2, "folder.j2"),
    ],
)
def test_what_cannot_be_done_is_said(cli: Console, words: tuple[str, ...], code: int, said: str) -> None:
    put("config.json", FREQTRADE["full"])
    found = cli("import", *words, *WHERE)
    assert (found.code, said in found.err) == (code, True), found
    assert "k-4d3c2b1a" not in found.err


def test_an_export_is_still_imported_by_one_word_and_can_be_tried_first(cli: Console) -> None:
    assert cli("export", "-e", "production", "--output", "production.yaml").code == 0
    assert cli("import", "production.yaml", *WHERE, "--dry-run").out == "Would change nothing.\n"
    cli.done("set", "risk.global.max_leverage", "2.5", *WHERE)
    assert cli.done("import", "production.yaml", *WHERE, "--dry-run")["paths"] == ["risk.global.max_leverage"]
    assert cli.done("get", "risk.global.max_leverage", "-e", "production")["value"] == 2.5
    assert cli.done("import", "production.yaml", *WHERE)["paths"] == ["risk.global.max_leverage"]
