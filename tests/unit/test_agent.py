"""The agent over feeds in memory: every state and rule that a bot can meet."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import trimtab
from tests.support.signed_line import KEY, OTHER_KEY
from tests.support.waiting import eventually
from tests.support.world import World, world
from trimtab import Agent, Changed, Status
from trimtab.feeds.disk import sealed
from trimtab.files import DirectoryFiles
from trimtab.model import documents
from trimtab.model.errors import (
    DirectoryHeld,
    EnvironmentNotFound,
    FeedDenied,
    NotMigrated,
    RequirementFailed,
    SettingError,
    SignatureRefused,
    UnavailableError,
)
from trimtab.model.reports import decode
from trimtab.pending import ChangeEvent, Reloaded

LEVERAGE = "risk.global.max_leverage"


class Limits(BaseModel, frozen=True):
    max_leverage: float
    max_correlation: float


# -- imports -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", ["import trimtab", "from trimtab import Agent"])
def test_importing_loads_no_client_library(statement: str) -> None:
    code = f"import sys\n{statement}\nprint(sorted({{name.partition('.')[0] for name in sys.modules}}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'trimtab'" in out
    assert "'redis'" not in out
    assert "'psycopg'" not in out


def test_public_names() -> None:
    assert set(trimtab.__all__) <= set(dir(trimtab))
    assert all(getattr(trimtab, name) is not None for name in trimtab.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = trimtab.nothing


# -- connecting --------------------------------------------------------------------------------------------------------


def test_connect_returns_with_a_certified_view(made: World) -> None:
    with made.connect(labels={"bot": "mm-btc", "node": "a"}) as agent:
        assert agent[LEVERAGE] == 3.0
        assert agent.status in {Status.LIVE, Status.DEGRADED}
        assert eventually(lambda: agent.status is Status.LIVE)
        assert (agent.revision, agent.epoch, agent.environment) == (1, 1, "production")
        assert made.link is not None
        assert agent.hash == made.link.hash.hex()
        assert dict(agent.labels) == {"bot": "mm-btc", "node": "a"}
        assert agent.staleness_seconds < 5
        assert (agent.max_staleness("risk.global"), agent.max_staleness("token"), agent.max_staleness("x.y")) == (
            300.0,
            3600.0,
            60.0,
        )
        assert agent.name.startswith("mm-btc-")


def test_without_redis_it_is_degraded(made: World) -> None:
    agent = made.connect(redis=False)
    assert agent.status is Status.DEGRADED
    revision = made.commit({LEVERAGE: 2.0})
    assert agent.wait_for(revision, 5)
    assert agent[LEVERAGE] == 2.0


def test_nothing_reachable_is_an_error_within_the_timeout(made: World) -> None:
    made.down("connection refused")
    started = time.monotonic()
    with pytest.raises(
        UnavailableError, match=r"(?s)postgres: .*connection refused.*redis: .*disk: no directory given"
    ):
        made.connect(timeout=0.6)
    assert time.monotonic() - started < 5


def test_an_environment_that_is_not_there_is_told_at_once(made: World) -> None:
    made.postgres._head = made.redis._head = None
    made.postgres._snapshot = made.redis._snapshot = None
    with pytest.raises(EnvironmentNotFound, match="'production'"):
        made.connect(timeout=30)


@pytest.mark.parametrize("error", [NotMigrated("It is not migrated"), FeedDenied("It refuses us")])
def test_what_waiting_does_not_solve_is_told_as_itself(
    made: World, error: UnavailableError, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise error

    for name in ("head", "changes", "snapshot"):
        monkeypatch.setattr(made.postgres, name, fail)
    with pytest.raises(type(error), match=str(error)):
        made.connect(redis=False, timeout=30)


def test_redis_alone_is_enough_to_serve(made: World) -> None:
    made.postgres.down = "away"
    agent = made.connect()
    assert (agent[LEVERAGE], agent.status, agent.staleness_seconds) == (3.0, Status.OFFLINE, math.inf)
    made.postgres.down = None
    assert eventually(lambda: agent.status is Status.LIVE)


def test_a_signature_that_is_not_trusted_is_told(made: World) -> None:
    with pytest.raises(SignatureRefused, match="can be trusted"):
        made.connect(trust=OTHER_KEY.trust(), timeout=0.6)


def test_postgres_must_be_named() -> None:
    with pytest.raises(SettingError, match="TRIMTAB_DATABASE_URL"):
        Agent.connect(environment="production", trust=KEY.trust())


@pytest.mark.parametrize(
    "given", [{"database_url": "nonsense://"}, {"database_url": "postgresql://h/d", "redis_url": "x"}]
)
def test_an_address_that_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        Agent.connect(environment="production", trust=KEY.trust(), **given)


def test_two_agents_cannot_share_a_directory(made: World, tmp_path: Path) -> None:
    made.connect(directory=tmp_path / "d")
    with pytest.raises(DirectoryHeld):
        made.connect(directory=tmp_path / "d")


def test_an_agent_with_a_directory_keeps_its_name(made: World, tmp_path: Path) -> None:
    with made.connect(directory=tmp_path / "d") as agent:
        first = agent.name
    with made.connect(directory=tmp_path / "d") as agent:
        assert agent.name == first
    with made.connect(directory=tmp_path / "e") as agent:
        assert agent.name != first


# -- following ---------------------------------------------------------------------------------------------------------


def test_a_change_arrives_without_a_poll() -> None:
    with world(poll_after_ms=60_000) as made:
        agent = made.connect()
        revision = made.commit({LEVERAGE: 2.0})
        assert agent.wait_for(revision, 5)
        assert (agent[LEVERAGE], agent.revision) == (2.0, revision)


def test_a_message_that_was_lost_is_fetched(made: World) -> None:
    agent = made.connect()
    made.commit({LEVERAGE: 2.0}, silently=True)
    revision = made.commit({"trading.max_position_size": 0.1})
    assert agent.wait_for(revision, 5)
    assert (agent[LEVERAGE], agent["trading.max_position_size"]) == (2.0, 0.1)


def test_both_feeds_down_keeps_serving_and_tells_the_truth(made: World) -> None:
    agent = made.connect()
    assert eventually(lambda: agent.status is Status.LIVE)
    made.down()
    assert eventually(lambda: agent.status is Status.STALE)
    before = agent.staleness_seconds
    assert agent[LEVERAGE] == 3.0
    assert eventually(lambda: agent.staleness_seconds > before)
    made.down(None)
    revision = made.commit({LEVERAGE: 1.0})
    assert agent.wait_for(revision, 10)
    assert eventually(lambda: agent.status is Status.LIVE)


def test_redis_down_goes_on_through_postgres(made: World) -> None:
    agent = made.connect()
    assert eventually(lambda: agent.status is Status.LIVE)
    made.redis.down = "killed"
    made.wake()
    assert eventually(lambda: agent.status is Status.DEGRADED)
    revision = made.commit({LEVERAGE: 1.5})
    assert agent.wait_for(revision, 5)
    made.redis.down = None
    made.wake()
    assert eventually(lambda: agent.status is Status.LIVE)


def test_a_new_epoch_is_followed(made: World) -> None:
    agent = made.connect()
    heard: list[ChangeEvent] = []
    agent.on_change("**", heard.append)
    revision = made.declare_epoch()
    assert agent.wait_for(revision, 5)
    assert (agent.epoch, agent.revision) == (2, revision)
    assert eventually(lambda: heard == [Reloaded(from_revision=1, to_revision=revision)])


def test_a_revision_of_another_environment_is_served_when_a_primary_says_so(made: World) -> None:
    agent = made.connect()
    made.postgres.store_revision = 40
    assert agent.wait_for(40, 5)
    assert agent.revision == 1


def test_waiting_ends_in_time_or_with_the_agent(made: World) -> None:
    agent = made.connect()
    assert agent.wait_for(99, 0.05) is False
    closing = threading.Timer(0.05, agent.close)
    closing.start()
    with pytest.raises(UnavailableError, match="the agent is closed"):
        agent.wait_for(99, 30)
    closing.join()


def test_a_closed_agent_stays_readable_and_grows_stale(made: World) -> None:
    with made.connect() as agent:
        assert eventually(lambda: agent.status is Status.LIVE)
    assert (agent[LEVERAGE], agent.status) == (3.0, Status.STALE)
    assert "STALE" in repr(agent)
    agent.close()


# -- labels and requirements -------------------------------------------------------------------------------------------


def test_paper_to_live_without_a_restart(made: World) -> None:
    made.commit({"fleet.bots.mm.labels": {"mode": "paper"}})
    made.commit({LEVERAGE: 1.0}, layer="mode=live")
    agent = made.connect(labels={"bot": "mm"})
    assert agent.wait_for(3, 5)
    assert (agent[LEVERAGE], agent.labels["mode"]) == (3.0, "paper")
    binding = agent.bind("risk.global", Limits)
    revision = made.commit({"fleet.bots.mm.labels.mode": "live"})
    assert agent.wait_for(revision, 5)
    assert (agent[LEVERAGE], binding.current.max_leverage, agent.labels["mode"]) == (1.0, 1.0, "live")


def test_a_requirement_that_fails_stops_every_read_until_it_holds_again(made: World) -> None:
    made.commit({"fleet.bots.mm.labels": {"mode": "paper"}})
    agent = made.connect(labels={"bot": "mm"}, require={"mode": "paper"})
    assert agent.wait_for(2, 5)
    binding = agent.bind(LEVERAGE, float)
    made.commit({"fleet.bots.mm.labels.mode": "live"})
    assert eventually(lambda: agent.held.withheld)
    for read in (
        lambda: agent[LEVERAGE],
        lambda: agent.get(LEVERAGE),
        lambda: LEVERAGE in agent,
        agent.pinned,
        lambda: binding.current,
        lambda: agent.wait_for(1),
    ):
        with pytest.raises(RequirementFailed, match="mode=paper is required, configuration says live"):
            read()
    assert agent.labels["mode"] == "live"
    assert eventually(lambda: "requirement" in agent.alarms)
    assert eventually(lambda: any("requirement" in alarm for report in made.reports() for alarm in report.alarms))
    revision = made.commit({"fleet.bots.mm.labels.mode": "paper", LEVERAGE: 2.0})
    assert eventually(lambda: not agent.held.withheld)
    assert (agent[LEVERAGE], binding.current, agent.revision) == (2.0, 2.0, revision)


def test_connecting_against_a_requirement_fails_as_itself(made: World) -> None:
    with pytest.raises(RequirementFailed, match="mode=paper"):
        made.connect(labels={"bot": "mm"}, require={"mode": "paper"})


# -- bindings ----------------------------------------------------------------------------------------------------------


def test_a_refused_value_is_reported_and_holds_nothing_else(made: World) -> None:
    agent = made.connect()
    binding = agent.bind("risk.global", Limits)
    revision = made.commit({LEVERAGE: "high", "trading.max_position_size": 0.2})
    assert agent.wait_for(revision, 5)
    assert (agent[LEVERAGE], binding.current.max_leverage, agent["trading.max_position_size"]) == ("high", 3.0, 0.2)
    assert [one.path for one in agent.refused] == ["risk.global"]
    assert eventually(lambda: any(one.path == "risk.global" for report in made.reports() for one in report.refused))


def test_hold_all_holds_the_whole_view_but_not_an_urgent_one(made: World) -> None:
    agent = made.connect(hold="all")
    binding = agent.bind("risk.global", Limits)
    made.commit({LEVERAGE: "high", "trading.max_position_size": 0.2})
    assert eventually(lambda: agent.refused)
    assert (agent[LEVERAGE], agent["trading.max_position_size"], agent.revision) == (3.0, 0.05, 1)
    assert "held" in agent.alarms
    urgent = made.commit({"trading.max_position_size": 0.0}, urgent=True)
    assert agent.wait_for(urgent, 5)
    assert (agent["trading.max_position_size"], binding.current.max_leverage) == (0.0, 3.0)
    assert binding.refused is not None
    mended = made.commit({LEVERAGE: 2.0})
    assert agent.wait_for(mended, 5)
    assert binding.current.max_leverage == 2.0
    assert eventually(lambda: not agent.refused)
    assert agent.bind("risk.global", Limits).refused is None


# -- news --------------------------------------------------------------------------------------------------------------


async def test_changes_in_the_bots_own_loop(made: World) -> None:
    agent = made.connect()
    stream = agent.changes("risk.**")
    made.commit({LEVERAGE: 2.0})
    async with asyncio.timeout(5):
        event = await anext(stream)
    assert isinstance(event, Changed)
    assert (event.path, event.old, event.new) == (LEVERAGE, 3.0, 2.0)
    await asyncio.to_thread(agent.close)
    assert [event async for event in stream] == []


def test_reports_tell_what_is_served_and_say_goodbye(made: World) -> None:
    agent = made.connect(labels={"bot": "mm"})
    assert eventually(lambda: agent.status is Status.LIVE)
    revision = made.commit({LEVERAGE: 2.0})
    assert eventually(lambda: made.redis.reports and decode(made.redis.reports[-1]).revision == revision)
    agent.close()
    for feed in (made.redis, made.postgres):
        last = decode(feed.reports[-1])
        told = last.agent, last.closed, last.revision, dict(last.labels)
        assert told == (agent.name, True, revision, {"bot": "mm"})


def test_postgres_is_told_labels_at_the_start_and_when_they_change_and_no_values(made: World) -> None:
    made.commit({"fleet.bots.mm.labels": {"mode": "paper"}})
    made.sign()
    agent = made.connect(labels={"bot": "mm"})

    def told() -> list[dict[str, str]]:
        return [dict(decode(report).labels) for report in made.postgres.reports]

    paper, live = {"bot": "mm", "mode": "paper"}, {"bot": "mm", "mode": "live"}
    assert eventually(lambda: told() == [paper])
    for number in range(5):
        assert agent.wait_for(made.commit({LEVERAGE: float(number)}), 5)
        assert eventually(lambda: decode(made.redis.reports[-1]).revision == made.revision)
    made.commit({"fleet.bots.mm.labels.mode": "live"})
    assert eventually(lambda: told() == [paper, live])
    assert agent.wait_for(made.commit({LEVERAGE: 9.0}), 5)
    assert eventually(lambda: decode(made.redis.reports[-1]).revision == made.revision)
    assert told() == [paper, live]


def test_reports_go_through_postgres_when_redis_is_down(made: World) -> None:
    made.redis.down = "away"
    made.connect()
    assert eventually(lambda: made.postgres.reports)
    assert made.redis.reports == []


def test_what_is_staler_than_its_category_allows_is_named_and_reported(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_STALENESS_SECONDS", {"risk": 0.3, "token": 0.0})
    agent = made.connect()
    assert eventually(lambda: agent.status is Status.LIVE)
    made.postgres.down = "away"
    assert eventually(lambda: agent.too_stale)
    assert (agent.too_stale, agent.staleness_seconds > 0.3) == (("risk",), True)
    assert eventually(lambda: made.redis.reports and decode(made.redis.reports[-1]).too_stale == ("risk",), 10)
    made.postgres.down = None
    assert eventually(lambda: not agent.too_stale)


def test_every_category_is_too_stale_that_nobody_ever_certified(made: World) -> None:
    made.postgres.down = "away"
    agent = made.connect()
    assert (agent.status, agent.too_stale) == (Status.OFFLINE, ("risk", "trading"))


# -- the directory -----------------------------------------------------------------------------------------------------


def test_a_cold_start_with_both_stores_down(made: World, tmp_path: Path) -> None:
    with made.connect(directory=tmp_path / "d") as agent:
        revision = made.commit({LEVERAGE: 2.0})
        assert agent.wait_for(revision, 5)
    made.down("connection refused")
    with made.connect(directory=tmp_path / "d") as agent:
        assert (agent[LEVERAGE], agent.revision, agent.status) == (2.0, revision, Status.OFFLINE)
        assert agent.staleness_seconds == math.inf
        made.down(None)
        newer = made.commit({LEVERAGE: 1.0})
        assert agent.wait_for(newer, 10)
        assert agent[LEVERAGE] == 1.0


def test_a_start_from_disk_waits_for_the_servers_word(made: World, tmp_path: Path) -> None:
    with made.connect(directory=tmp_path / "d"):
        pass
    made.commit({LEVERAGE: 2.0})
    with made.connect(directory=tmp_path / "d") as agent:
        assert agent[LEVERAGE] == 2.0


def test_a_damaged_directory_is_an_alarm(made: World, tmp_path: Path) -> None:
    with made.connect(directory=tmp_path / "d") as agent:
        assert eventually((tmp_path / "d" / "applied").exists)
    (tmp_path / "d" / "applied").write_bytes(b"nonsense")
    with made.connect(directory=tmp_path / "d") as agent:
        assert agent[LEVERAGE] == 3.0
        assert "applied" in agent.alarms["disk"]


def test_three_crashes_bring_back_what_was_proven(made: World, tmp_path: Path) -> None:
    directory = tmp_path / "d"
    with made.connect(directory=directory):
        assert eventually((directory / "applied").exists)
    (directory / "proven").write_bytes((directory / "applied").read_bytes())
    (directory / "proven").chmod(0o600)
    with made.connect(directory=directory) as agent:
        revision = made.commit({LEVERAGE: 9.0})
        assert agent.wait_for(revision, 5)
    files = DirectoryFiles(directory)
    now = time.time()
    sealed.write(files, "runs", {"at": now, "running": True, "unclean_ends": [now - 20, now - 10]})
    files.close()
    with made.connect(directory=directory) as agent:
        assert (agent[LEVERAGE], agent.revision) == (3.0, 1)
        assert "quarantined" in agent.alarms
        newer = made.commit({"trading.max_position_size": 0.3})
        assert agent.wait_for(newer, 5)
        assert agent[LEVERAGE] == 9.0
        assert eventually(lambda: "quarantined" not in agent.alarms)


# -- forks -------------------------------------------------------------------------------------------------------------


def in_child(function: Any) -> None:
    """Run it in a forked child; its exception fails the test."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException:  # noqa: BLE001 - the child must not run the rest of the tests
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12 warns of any fork with threads
def test_a_forked_child_reads_on_and_follows_at_first_need(made: World, tmp_path: Path) -> None:
    agent = made.connect(directory=tmp_path / "d", labels={"bot": "mm"})
    binding = agent.bind("risk.global", Limits)
    heard: list[ChangeEvent] = []
    agent.on_change("**", heard.append)
    assert eventually(lambda: agent.status is Status.LIVE)
    name, threads = agent.name, threading.active_count()

    def child() -> None:
        assert (agent[LEVERAGE], binding.current.max_leverage, agent.revision) == (3.0, 3.0, 1)
        assert threading.active_count() == 1
        assert agent.name.startswith(f"{name}-")
        assert agent.status is Status.OFFLINE
        assert threading.active_count() > 1
        assert agent.wait_for(made.commit({LEVERAGE: 2.0}), 10)
        assert (agent[LEVERAGE], binding.current.max_leverage) == (2.0, 2.0)
        assert eventually(lambda: agent.status is not Status.OFFLINE)
        assert heard == []
        agent.close()

    in_child(child)
    assert agent.status is Status.LIVE
    assert threading.active_count() == threads
    assert agent.wait_for(made.commit({LEVERAGE: 1.5}), 5)
    assert (agent[LEVERAGE], agent.name) == (1.5, name)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_a_child_reads_on_too(made: World) -> None:
    agent = made.connect()

    def grandchild() -> None:
        assert agent[LEVERAGE] == 3.0
        assert agent.wait_for(made.commit({LEVERAGE: 2.5}), 10)

    def child() -> None:
        assert agent.wait_for(1, 10)
        in_child(grandchild)

    in_child(child)
    assert agent[LEVERAGE] == 3.0


def test_the_end_of_the_interpreter_is_a_clean_end(tmp_path: Path) -> None:
    code = f"""
from tests.support.world import World
made = World()
made.commit({{"a.b": 1}})
made.sign()
agent = made.connect(directory={str(tmp_path / "d")!r})
assert agent["a.b"] == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    text = (tmp_path / "d" / "runs").read_text()
    assert '"running":false' in text
