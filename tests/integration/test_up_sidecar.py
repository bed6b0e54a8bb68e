"""The sidecar that `trimtab up` starts, without any server: it is refused, dies, and comes again, or does not."""

from __future__ import annotations

import json
import os
import signal
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.conftest import KEY
from tests.support.up import processes_of
from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.directory import Servers
from trimtab_store.embedded.process import wait_until
from trimtab_store.up import fleet, sidecar
from trimtab_store.up.sidecar import Sidecar, started, to_toml
from trimtab_store.up.watched import MOST_STARTS, last_words


def servers(directory: Path) -> Servers:
    """A data directory in which no server runs."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "trust.json").write_bytes(KEY.trust().to_bytes())
    return Servers(
        directory=directory,
        database_url="",
        agent_database_url="postgresql://nobody:nothing@127.0.0.1:9/x",
        relay_database_url="",
        owner_url="",
        redis_url="redis://127.0.0.1:9",
        trust=directory / "trust.json",
        signing_key=directory / "none",
        pids={},
        started_at="",
    )


def wait_held(made: Sidecar) -> int:
    """Wait until a sidecar holds the shared directory; its process."""
    lock = made.shared / "sidecar.lock"

    def holder() -> int:
        text = lock.read_text() if lock.exists() else ""
        return int(json.loads(text)["pid"]) if text else 0

    assert wait_until(lambda: holder() != 0 and Path(f"/proc/{holder()}").exists(), 30)
    return holder()


def test_where_the_extra_is_not_installed_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, short_directory: Path
) -> None:
    without = "import sys; sys.modules['aiohttp'] = None; import trimtab_sidecar; trimtab_sidecar.main()"
    monkeypatch.setattr(sidecar, "PROGRAM", (sys.executable, "-c", without))
    with started(servers(short_directory), "production") as made:
        assert wait_until(lambda: bool(ended(made)), 30)
        assert ended(made) == (
            "The sidecar ended with code 2: The sidecar is not installed: this Python has trimtab without aiohttp."
            f' Install the rest with: pip install "trimtab[sidecar]". Its log is {short_directory}/sidecar/log.'
        )


def ended(made: Sidecar) -> str:
    """What it says of its end; empty while it runs."""
    try:
        made.check()
    except UnavailableError as error:
        return str(error)
    return ""


def test_it_comes_again_and_is_given_up_where_it_keeps_ending(short_directory: Path) -> None:
    said: list[str] = []
    with started(servers(short_directory), "production") as made:
        for start in range(1, MOST_STARTS + 1):
            if start > 1:
                made.tend(said.append)
            made.tend(said.append)  # of one that runs there is nothing to say
            assert len(said) == start - 1
            os.kill(wait_held(made), signal.SIGKILL)
            assert wait_until(lambda: bool(ended(made)), 30)
        with pytest.raises(UnavailableError, match=r"ended with code -9: .*Its log is .*/sidecar/log\.$"):
            made.tend(said.append)
        assert said == ["the sidecar ended with code -9; starting it again (see sidecar/log)"] * (MOST_STARTS - 1)
    assert processes_of(short_directory) == []


def test_it_ends_with_the_block_and_takes_along_what_it_shared(short_directory: Path) -> None:
    with started(servers(short_directory), "production") as made:
        wait_held(made)
        assert made.shared == short_directory / "sidecar" / "shared"
    assert processes_of(short_directory) == []
    assert not made.shared.exists()
    assert json.loads(made.log.read_text().splitlines()[-1])["event"] == "stopped"


def test_the_bots_end_before_it_also_while_they_still_wait_for_it(
    monkeypatch: pytest.MonkeyPatch, short_directory: Path
) -> None:
    codes: list[int | None] = []
    close = Sidecar.close

    def look_and_close(self: Sidecar) -> None:
        codes.extend(bot.process.poll() for bot in found.bots)
        close(self)

    monkeypatch.setattr(Sidecar, "close", look_and_close)
    with fleet.started(servers(short_directory), ()) as found:
        wait_held(found.sidecar)
        journals = [bot.journal for bot in found.bots]
        assert wait_until(lambda: all(journal.exists() for journal in journals), 30), "bots that wait"
        found.check()
    assert codes == [0, 0, 0]
    assert processes_of(short_directory) == []


def test_a_bot_that_may_not_attach_ends_and_says_why_in_one_line(short_directory: Path) -> None:
    with fleet.started(servers(short_directory), ()) as found:
        wait_held(found.sidecar)
        found.sidecar.shared.chmod(0o770)
        assert wait_until(lambda: not any(bot.running for bot in found.bots), 30)
        with pytest.raises(UnavailableError) as refused:
            found.check()
    shared = found.sidecar.shared
    assert str(refused.value) == (
        f"The bot mm-btc ended with code 1: trimtab: {shared} is refused: others than its owner can write to it."
        f" Run: chmod go-w {shared}. Its log is {short_directory}/bots/mm-btc/log."
    )


def test_a_path_that_is_too_long_for_sockets_is_no_hindrance(short_directory: Path) -> None:
    directory = short_directory / ("d" * 100)
    with started(servers(directory), "production") as made:
        wait_held(made)
        assert wait_until((made.shared / "receipts.sock").exists, 30)
        assert not made.shared.is_relative_to(directory)
        assert made.shared.stat().st_mode & 0o777 == 0o700
    assert not made.shared.exists()


@pytest.mark.parametrize(
    ("said", "why", "remedy"),
    [
        (b'{"error": {"what": "No", "why": "so", "remedy": "Go", "code": "x"}}\n', "No: so", "Go. "),
        (b'{"event": "x", "error": "text"}\n', '{"event": "x", "error": "text"}', ""),
        (b"\xff" + b"".join(b"%d\n" % number for number in range(9)), "1 / 2 / 3 / 4 / 5 / 6 / 7 / 8", ""),
        (b"", "it said nothing", ""),
    ],
)
def test_its_last_words(said: bytes, why: str, remedy: str) -> None:
    assert last_words(said) == (why, remedy)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_a_setting_holds_its_file_says_it(text: str) -> None:
    assert tomllib.loads(to_toml({"shared": text, "keep": "/k"})) == {"shared": text, "keep": "/k"}
