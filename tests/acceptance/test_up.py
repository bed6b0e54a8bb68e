"""`trimtab up`, as a stranger meets it: started, used from a second terminal, stopped, killed, started again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from tests.support.up import ROOT, processes_of, running, trimtab, variables
from trimtab_store.embedded.directory import find
from trimtab_store.embedded.process import wait_until
from trimtab_store.files import read_tree

LEVERAGE = "risk.global.max_leverage"
SET = ("set", LEVERAGE, "--environment", "production", "--layer", "bot=mm-btc", "--reason", "a test", "--wait", "30s")

IMPATIENT = (0.2, 0.2, 0.2, 0.2)
"""Seconds between one Ctrl-C and the next."""


def demo(directory: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The result of an unattended run."""
    done = trimtab("up", "--demo", "--seconds", "6", "--json", "--directory", str(directory), *arguments, timeout=150)
    assert done.returncode == code, done
    assert processes_of(directory) == []
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check_result(result: dict[str, Any]) -> None:
    """The object has the promised shape, and the bots differ where overlays make them differ."""
    assert set(result) == {"bots", "changes", "lost", "propagation_ms", "relay_restarts", "revision"}
    assert (result["changes"], result["relay_restarts"]) == (60, 0)
    bots = {bot["name"]: bot for bot in result["bots"]}
    assert set(bots) == {"mm-btc", "mr-eth", "arb-btc"}
    for name, bot in bots.items():
        assert set(bot) == {"name", "labels", "revision", "reads"}
        identity = {label: bot["labels"][label] for label in ("bot", "node", "region")}
        assert identity == {"bot": name, "node": "node-1", "region": "ny4"}
        assert bot["revision"] == result["revision"]
    assert {name: bot["labels"]["mode"] for name, bot in bots.items()} == {
        "mm-btc": "paper", "mr-eth": "live", "arb-btc": "live",
    }  # fmt: skip
    assert {name: bot["reads"] for name, bot in bots.items()} == {
        "mm-btc": {LEVERAGE: 1.059}, "mr-eth": {LEVERAGE: 1.8}, "arb-btc": {LEVERAGE: 1.5},
    }  # fmt: skip
    for figures in (result["propagation_ms"]["redis_up"], result["propagation_ms"]["redis_down"]):
        assert 0 <= figures["p50"] <= figures["p99"] <= figures["max"]


def test_an_unattended_run_loses_nothing_and_a_bot_that_drops_a_change_is_found_out(short_directory: Path) -> None:
    directory = short_directory / "d"
    first = demo(directory)
    check_result(first)
    assert first["lost"] == 0
    again = demo(directory, "--drop", "7", code=1)  # on a directory that was used before
    check_result(again)
    assert (again["lost"], again["revision"]) == (1, first["revision"] + 60)


def test_what_is_typed_in_a_second_terminal_shows_and_the_data_outlive_every_end(short_directory: Path) -> None:
    directory = short_directory / "d"
    with running(directory) as up:
        up.wait_live()
        assert f" set {LEVERAGE} 1.25 -e production --layer bot=mm-btc" in up.screen.replace("\n", "")
        done = trimtab(*SET[:2], "1.25", *SET[2:], "--directory", str(directory))
        assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["Served by 1 agent and 3 attached bots."])
        up.wait_for(lambda text: "1.25 " in text.rpartition("commit to")[2], "mm-btc reads the new value")
        up.wait_for(lambda text: " ms after its commit (" in text, "how long it took")
        assert told(directory)["attached"]["count"] == 3
        second = trimtab("up", "--directory", str(directory))
        assert (second.returncode, second.stdout) == (5, "")
        assert "is in use: another `trimtab up` runs on it" in second.stderr
        assert up.end(signal.SIGINT) == 0
        assert up.screen.endswith(f"Stopped. The data stay in {directory}.\n")
        assert processes_of(directory) == []
        assert not [*directory.glob("*/socket"), *directory.glob("servers.json")]

    with running(directory) as up:  # killed without a chance to clean up
        up.wait_live()
        up.wait_for(lambda text: "1.25 " in text.rpartition("commit to")[2], "the value of the first run")
        up.process.kill()
        assert wait_until(lambda: not processes_of(directory), 60), processes_of(directory)

    with running(directory) as up:
        up.wait_live()
        assert "1.25 " in up.screen.rpartition("commit to")[2]
        assert up.end(signal.SIGTERM) == 0
        assert processes_of(directory) == []


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_an_interrupted_start_leaves_nothing_running_and_hinders_no_later_one(
    short_directory: Path, number: signal.Signals
) -> None:
    directory = short_directory / "d"
    with running(directory) as up:
        up.wait_for(lambda text: "Starting PostgreSQL" in text, "the first step")
        assert up.end(number) == 0
        assert processes_of(directory) == []
    with running(directory, "--seconds", "1") as up:
        assert up.process.wait(90) == 0
        fleet = read_tree(ROOT / "examples" / "fleet").environments
        loaded = sum(len({item.path for item in one.items()}) for one in fleet)
        assert f"Loaded {loaded} items into 5 environments" in up.screen


def test_ctrl_c_goes_to_the_whole_group_and_everything_ends_in_order_all_the_same(short_directory: Path) -> None:
    directory = short_directory / "d"
    stopped = f"Stopped. The data stay in {directory}.\n"
    with running(directory) as up:
        up.wait_live()
        assert trimtab(*SET[:2], "1.25", *SET[2:], "--directory", str(directory)).returncode == 0
        assert up.interrupt() == 0
        assert up.screen.endswith(stopped)
        assert "Traceback" not in up.screen
        assert processes_of(directory) == []
    with running(directory) as up:
        up.wait_live()
        assert up.interrupt(0.05, *IMPATIENT) == 0
        assert up.screen.endswith(stopped)
        assert "Traceback" not in up.screen
        assert processes_of(directory) == []
    # `make up` as it is typed, but for what installs into the environment that these tests run in
    make = ["make", "--assume-old=install", "up", f"ARGS=--directory {directory}"]
    with running(directory, command=make) as up:
        up.wait_live()
        assert "1.25 " in up.screen.rpartition("commit to")[2], "the value of the first run"
        assert up.interrupt(*IMPATIENT) in {0, 2, -signal.SIGINT}
        assert stopped in up.screen
        assert "Traceback" not in up.screen
        assert processes_of(directory) == []
        assert not [*directory.glob("*/socket"), *directory.glob("servers.json")]


def test_the_commands_that_are_shown_work_exactly_as_they_are_printed(short_directory: Path) -> None:
    directory = short_directory / "d"
    with running(directory) as up:
        up.wait_live()
        hint = up.screen.partition("type for example:\n\n")[2].partition("\n\n")[0]
        typed = [line for line in hint.splitlines() if line]
        assert len(typed) == 3
        for line in typed:
            done = type_in_shell(line)
            assert (done.returncode, done.stderr) == (0, ""), done
        up.wait_for(
            lambda text: "mode=live" in text.rpartition("commit to")[2].partition("mm-btc")[2].partition("mr-eth")[0],
            "mm-btc went live",
        )
        program = typed[2].partition(" status ")[0]
        (shown,) = re.findall(r'^[^\n]*python -c "[^"]*"$', (ROOT / "README.md").read_text(), re.MULTILINE)
        done = type_in_shell(shown.replace(".trimtab/", f"{directory}/"))
        assert (done.stdout.split()[0], done.stderr) == ("1.25", ""), "a bot of one's own"
        status = type_in_shell(f"{program} status -e production", TRIMTAB_DIRECTORY=str(directory)).stdout
        assert "node=node-1 region=ny4  LIVE" in status
        assert "3, slowest at " in status


def test_a_sidecar_that_dies_is_started_again_and_its_bots_read_on(short_directory: Path) -> None:
    directory = short_directory / "d"
    with running(directory) as up:
        up.wait_live()
        assert shown(up.screen) == [["2.5", "100"], ["1.8", "50"], ["1.5", "50"]]  # at one revision
        os.kill(sidecar_of(directory), signal.SIGKILL)
        up.wait_for(lambda text: "the sidecar ended with code -9; starting it again" in text, "the end of the sidecar")
        assert wait_until(lambda: told(directory).get("attached", {}).get("count") == 3, 30), "bots that read on"
        done = trimtab(*SET[:2], "1.25", *SET[2:], "--directory", str(directory))
        assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["Served by 1 agent and 3 attached bots."])
        up.wait_for(lambda text: shown(text) == [["1.25", "100"], ["1.8", "50"], ["1.5", "50"]], "the new value")
        up.wait_live()
        assert up.end(signal.SIGINT) == 0
        assert processes_of(directory) == []
    *_, last = (json.loads(line) for line in (directory / "sidecar" / "log").read_text().splitlines())
    assert (last["event"], last["clean"]) == ("stopped", True)


def test_a_sidecar_that_dies_during_the_unattended_run_ends_it_with_its_log(short_directory: Path) -> None:
    directory = short_directory / "d"
    with running(directory, "--demo", "--seconds", "60") as up:
        up.wait_for(lambda text: "Committing 10 changes a second" in text, "its changes")
        os.kill(sidecar_of(directory), signal.SIGKILL)
        assert up.process.wait(60) == 6
        assert processes_of(directory) == []
        said = up.screen.replace("\n", "")
        assert "trimtab: The sidecar ended with code -9: " in said
        assert f"Its log is {directory}/sidecar/log." in said


def test_a_relay_has_a_relays_rights_and_one_that_dies_is_started_again_and_repairs_redis(
    short_directory: Path,
) -> None:
    directory = short_directory / "d"
    with running(directory) as up:
        up.wait_live()
        assert wait_until(lambda: len(logged_in(directory, "trimtab_relay")) == 1, 30), "a relay's only connection"
        first = relay_of(directory)
        (connected,) = logged_in(directory, "trimtab_relay")
        os.kill(first, signal.SIGKILL)
        up.wait_for(lambda text: "the relay ended with code -9; starting it again (see relay.log)" in text, "its end")
        assert wait_until(lambda: relay_of(directory) not in {0, first}, 30)
        with redis.Redis.from_url(find(directory).redis_url) as client:
            client.flushall()
            assert wait_until(lambda: bool(client.exists("trimtab:{production}:head")), 30), "what a relay repairs"
        done = trimtab(*SET[:2], "1.25", *SET[2:], "--directory", str(directory))
        assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["Served by 1 agent and 3 attached bots."])
        assert wait_until(lambda: len(logged_in(directory, "trimtab_relay") - {connected}) == 1, 30)
        assert up.end(signal.SIGINT) == 0
        assert processes_of(directory) == []


def test_a_relay_that_dies_during_the_unattended_run_is_counted_and_nothing_is_lost(short_directory: Path) -> None:
    directory = short_directory / "d"
    with running(directory, "--demo", "--seconds", "6", "--json") as up:
        up.wait_for(lambda text: "Committing 10 changes a second" in text, "its changes")
        os.kill(relay_of(directory), signal.SIGKILL)
        assert up.process.wait(90) == 0
        assert "the relay ended with code -9; starting it again" in up.screen.replace("\n", " ")
        result = json.loads(up.screen[up.screen.index("\n{") :])
    assert (result["relay_restarts"], result["lost"], result["changes"]) == (1, 0, 60)


def relay_of(directory: Path) -> int:
    """The process of the relay, 0 if there is none."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[1:5] == [b"-m", b"trimtab_store", b"relay", b"--directory"] and words[5] == bytes(directory):
                return int(entry.name)
    return 0


def logged_in(directory: Path, group: str) -> set[int]:
    """The server's processes for connections of users who are members of this role, and of no other of ours."""
    query = """
        SELECT pid FROM pg_stat_activity AS one JOIN pg_roles AS login ON login.oid = usesysid
        WHERE ARRAY[%s::name] = ARRAY(SELECT rolname FROM pg_auth_members JOIN pg_roles ON pg_roles.oid = roleid
                                      WHERE member = login.oid)
    """
    with psycopg.connect(find(directory).owner_url) as connection:
        return {row[0] for row in connection.execute(query, [group])}


def sidecar_of(directory: Path) -> int:
    """The process of the sidecar, as it says in what it holds."""
    return int(json.loads((directory / "sidecar" / "shared" / "sidecar.lock").read_bytes())["pid"])


def told(directory: Path) -> dict[str, Any]:
    """What `trimtab status` says of the one agent that there is, the sidecar; nothing while that has not reported."""
    done = trimtab("status", "-e", "production", "--json", "--directory", str(directory))
    agents: list[dict[str, Any]] = json.loads(done.stdout)["agents"]
    assert [one["labels"] for one in agents] in ([], [{"node": "node-1", "region": "ny4"}])
    return agents[0] if agents else {}


def shown(text: str) -> list[list[str]]:
    """What the three bots read in the newest picture, if they are all at one revision."""
    rows = [line.split() for line in text.rpartition("commit to")[2].splitlines()]
    found = [row for row in rows if row and row[0] in {"mm-btc", "mr-eth", "arb-btc"}]
    return [row[4:6] for row in found] if len({row[3] for row in found}) == 1 else []


def type_in_shell(line: str, **more: str) -> subprocess.CompletedProcess[str]:
    """What a person gets who types this in another terminal in the same folder."""
    return subprocess.run(
        ["/bin/sh", "-c", line], check=False, capture_output=True, text=True, timeout=90, env=variables() | more
    )
