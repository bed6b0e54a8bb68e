"""What `trimtab up` shows, and the commands that it tells its user to type."""

from __future__ import annotations

import io
import shlex
import signal
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from trimtab.model.canonical import Json
from trimtab.model.errors import SettingError
from trimtab_store.up import ending, running
from trimtab_store.up.commands import commands, shown_path
from trimtab_store.up.fleet import SHOWN, Bot
from trimtab_store.up.screen import Screen, print_hint, showing
from trimtab_store.up.summary import print_result


@dataclass
class StandIn:
    """As much of a bot as is shown."""

    name: str = "mm-btc"
    running: bool = True
    log: Path = Path("the.log")
    revision: int = 12
    said: dict[str, Json] = field(default_factory=dict[str, Json])
    reads: dict[str, Json] = field(default_factory=dict[str, Json])


def bot(**given: object) -> Bot:
    return cast("Bot", StandIn(**given))  # type: ignore[arg-type]


LIVE = bot(said={"status": "LIVE", "labels": {"mode": "live", "node": "n", "region": "ny4"}}, reads={SHOWN: 1.25})


def rendered(screen: Screen, *bots: Bot, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(screen.render(bots))
    return cast("io.StringIO", console.file).getvalue()


def test_the_table_fits_into_80_columns() -> None:
    screen = Screen(running.READS)
    screen.changed(LIVE, 12, "ada: a try", 2863.64)
    lines = rendered(screen, LIVE, bot(name="mr-eth"), bot(name="arb-btc", running=False)).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["risk.global.", "trader.default_", "commit", "to"]
    assert lines[1].split() == ["bot", "labels", "status", "revision", "max_leverage", "slippage_bps", "visible"]
    assert lines[2].split() == ["mm-btc", "mode=live", "LIVE", "12", "1.25", "null", "2863.6", "ms"]
    assert "mr-eth" in lines[4]
    assert "starting" in lines[4]
    assert lines[5].split() == ["arb-btc", "ended"]
    assert lines[6].rstrip() == "arb-btc has ended; its log is the.log"


def test_news_are_cut_and_not_folded_and_only_the_last_are_kept() -> None:
    screen = Screen(running.READS)
    assert "Nothing has changed yet." in rendered(screen, LIVE)
    for number in range(10):
        screen.changed(LIVE, number, "why " * 100, 1.0)
    lines = [line for line in rendered(screen, LIVE).splitlines() if "shows revision" in line]
    assert [line.split()[4] for line in lines] == ["4,", "5,", "6,", "7,", "8,", "9,"]


def test_nothing_hostile_reaches_the_terminal() -> None:
    hostile = "\x1b[2J\u202e\r\n[bold]"
    said: dict[str, Json] = {"status": "LIVE", "labels": {"mode": hostile}}
    evil = bot(said=said, reads={SHOWN: hostile})
    screen = Screen(running.READS)
    screen.changed(evil, 1, hostile, 1.0)
    shown = rendered(screen, evil, width=300)
    assert {unicodedata.category(character) for character in shown if character != "\n"} & {"Cc", "Cf"} == set()
    assert "[bold]" in shown


def test_a_pipe_gets_the_picture_once_and_then_the_news() -> None:
    screen = Screen(running.READS)
    screen.tell("before")
    console = Console(file=io.StringIO(), width=200)
    with showing(screen, [LIVE], console) as refresh:
        refresh()
        screen.tell("first")
        screen.tell("second")
        refresh()
        refresh()
    lines = cast("io.StringIO", console.file).getvalue().splitlines()
    assert [line.split()[-1] for line in lines if line[2:3] == ":"] == ["before", "first", "second"]


def test_the_commands_are_printed_unfolded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    console = Console(file=io.StringIO(), width=40)
    print_hint(commands(tmp_path / "a data directory"), console)
    printed = cast("io.StringIO", console.file).getvalue().splitlines()
    typed = [shlex.split(line) for line in printed if "--directory" in line]
    assert [words[-2:] for words in typed] == [["--directory", "a data directory"]] * 3


def test_the_commands_need_no_directory_where_it_is_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / ".venv" / "bin" / "trimtab"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    found = commands(tmp_path / ".trimtab")
    assert found[0] == (
        ".venv/bin/trimtab set risk.global.max_leverage 1.25 -e production --layer bot=mm-btc --reason 'a try'"
    )
    assert shown_path(Path("/elsewhere")) == "/elsewhere"


def test_a_result_is_readable() -> None:
    figures: dict[str, Json] = {"p50": 3.1, "p99": 8.4, "max": 12.0}
    described: Json = {"name": "mm-btc", "labels": {"mode": "paper"}, "revision": 7, "reads": {SHOWN: 1.5}}
    result: dict[str, Json] = {
        "bots": [described],
        "changes": 60,
        "lost": 0,
        "relay_restarts": 2,
        "propagation_ms": {"redis_up": figures, "redis_down": {"p50": None, "p99": None, "max": None}},
        "revision": 7,
    }
    console = Console(file=io.StringIO(), width=100)
    print_result(result, console)
    lines = [line.split() for line in cast("io.StringIO", console.file).getvalue().splitlines()]
    assert ["mm-btc", "mode=paper", "7", "1.5"] in lines
    assert ["redis", "up", "3.1", "8.4", "12.0"] in lines
    assert lines[-2] == ["The", "relay", "ended", "by", "itself", "and", "was", "started", "again:", "2"]
    assert lines[-1] == ["60", "changes,", "0", "lost"]


@pytest.fixture
def handlers() -> Iterator[list[object]]:
    """The handlers of this process as they are, and will be again."""
    before = {number: signal.getsignal(number) for number in ending.SIGNALS}
    yield list(before.values())
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_signal_ends_it_and_later_ones_do_not_disturb(handlers: list[object]) -> None:
    with ending.in_order():
        assert [signal.getsignal(number) for number in ending.SIGNALS] != handlers
    assert [signal.getsignal(number) for number in ending.SIGNALS] == handlers
    reached = False

    def end_often() -> None:
        nonlocal reached
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGHUP)
            reached = True

    with ending.in_order(), pytest.raises(KeyboardInterrupt):
        end_often()
    assert reached
    # whoever goes on pressing Ctrl-C does not kill what is ending in order
    assert [signal.getsignal(number) for number in ending.SIGNALS] == [signal.SIG_IGN] * len(ending.SIGNALS)


def test_without_a_checkout_the_missing_example_fleet_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (running.examples() / "fleet.yaml").is_file()
    monkeypatch.setattr(running, "__file__", str(tmp_path / "a" / "b" / "c" / "running.py"))
    with pytest.raises(SettingError, match=r"The example fleet is not there: .* Run `make up` in a checkout"):
        running.examples()
