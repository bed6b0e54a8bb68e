"""Agents over real servers: what is committed is what bots read."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import BaseModel

from tests.integration.conftest import KEY, Connect, ConnectStore, connecting_agents
from tests.support.servers import Database
from tests.support.waiting import eventually
from trimtab import Agent, Status
from trimtab.model import reports
from trimtab.model.errors import EnvironmentNotFound, FeedDenied, NotMigrated, UnavailableError
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.store import Store

LEVERAGE = "risk.global.max_leverage"


class Limits(BaseModel, frozen=True):
    max_leverage: float


@pytest.fixture
def store(connect_store: ConnectStore, one_redis: RedisServer) -> Store:
    """A store with base ← production and Redis, and a first value."""
    made = connect_store(redis_url=one_redis.url)
    made.create_environment("base", author="test")
    made.create_environment("production", parent="base", author="test")
    commit(made, {LEVERAGE: 3.0})
    return made


def commit(
    store: Store, values: dict[str, object], *, layer: dict[str, str] | None = None, urgent: bool = False
) -> int:
    with store.edit("production", author="test", reason="test", urgent=urgent) as edit:
        for path, value in values.items():
            edit.set(path, value, layer=layer or {})
    assert edit.committed is not None
    return edit.committed.revision


@pytest.fixture
def connect(database: Database, one_redis: RedisServer) -> Iterator[Connect]:
    """Connects agents as what they are in production: a role that may only call the functions of an agent."""
    with connecting_agents(database, one_redis) as connecting:
        yield connecting


def test_a_commit_reaches_every_bot(store: Store, connect: Connect) -> None:
    agents = [connect(labels={"bot": f"bot-{number}"}) for number in range(3)]
    bindings = [agent.bind("risk.global", Limits) for agent in agents]
    revision = commit(store, {LEVERAGE: 2.5})
    for agent, binding in zip(agents, bindings, strict=True):
        assert agent.wait_for(revision, 10)
        assert (agent[LEVERAGE], binding.current.max_leverage, agent.revision) == (2.5, 2.5, revision)
        assert eventually(lambda agent=agent: agent.status is Status.LIVE)  # type: ignore[misc]


def test_variables_configure_an_agent(
    store: Store, database: Database, one_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store is not None
    (tmp_path / "trust.json").write_bytes(KEY.trust().to_bytes())
    monkeypatch.setenv("TRIMTAB_ENVIRONMENT", "production")
    monkeypatch.setenv("TRIMTAB_TRUST", str(tmp_path / "trust.json"))
    monkeypatch.setenv("TRIMTAB_DATABASE_URL", database.login("trimtab_agent"))
    monkeypatch.setenv("TRIMTAB_REDIS_URL", one_redis.url)
    monkeypatch.setenv("TRIMTAB_AGENT_DIRECTORY", str(tmp_path / "agent"))
    monkeypatch.setenv("TRIMTAB_LABELS", "node=ny4-1,bot=mm-btc")
    with Agent.connect() as agent:
        assert agent[LEVERAGE] == 3.0
        assert dict(agent.labels) == {"bot": "mm-btc", "node": "ny4-1"}
    assert (tmp_path / "agent" / "applied").exists()


def test_paper_to_live_without_a_restart(store: Store, connect: Connect) -> None:
    commit(store, {"fleet.bots.mm.labels.mode": "paper"})
    commit(store, {LEVERAGE: 1.0}, layer={"mode": "live"})
    agent = connect(labels={"bot": "mm"})
    paper = connect(labels={"bot": "mm"}, require={"mode": "paper"})
    assert (agent[LEVERAGE], agent.labels["mode"]) == (3.0, "paper")
    revision = commit(store, {"fleet.bots.mm.labels.mode": "live"})
    assert agent.wait_for(revision, 10)
    assert (agent[LEVERAGE], agent.labels["mode"]) == (1.0, "live")
    assert eventually(lambda: paper.held.withheld)
    back = commit(store, {"fleet.bots.mm.labels.mode": "paper"})
    assert eventually(lambda: not paper.held.withheld and paper.wait_for(back, 10))
    assert paper[LEVERAGE] == 3.0


def test_redis_away_and_back(store: Store, connect: Connect, one_redis: RedisServer) -> None:
    agent = connect()
    assert eventually(lambda: agent.status is Status.LIVE)
    one_redis.kill()
    revision = commit(store, {LEVERAGE: 2.0})
    assert agent.wait_for(revision, 15)
    assert (agent[LEVERAGE], agent.status) == (2.0, Status.DEGRADED)
    one_redis.start()
    newer = commit(store, {LEVERAGE: 1.0})
    assert agent.wait_for(newer, 15)
    assert eventually(lambda: agent.status is Status.LIVE, 15)


def test_a_cold_start_with_both_stores_down(store: Store, connect: Connect, tmp_path: Path) -> None:
    with connect(directory=tmp_path / "d") as agent:
        revision = commit(store, {LEVERAGE: 2.0})
        assert agent.wait_for(revision, 10)
    nowhere = {"database_url": "postgresql://nobody@127.0.0.1:9/none", "redis_url": "redis://127.0.0.1:9"}
    with connect(directory=tmp_path / "d", **nowhere) as agent:
        assert (agent[LEVERAGE], agent.revision, agent.status) == (2.0, revision, Status.OFFLINE)


def test_nothing_reachable_is_an_error_within_the_timeout(connect: Connect) -> None:
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=r"(?s)postgres: .*redis: .*disk: no directory given"):
        connect(database_url="postgresql://nobody@127.0.0.1:9/none", redis_url="redis://127.0.0.1:9", timeout=1.0)
    assert time.monotonic() - started < 10


def test_an_unknown_environment_a_wrong_password_and_an_empty_database(
    store: Store, connect: Connect, database: Database, empty_database: Database
) -> None:
    assert store is not None
    with pytest.raises(EnvironmentNotFound, match="'prodution'"):
        connect(environment="prodution")
    wrong = database.login("trimtab_agent", tcp=True).replace("a-password-of-the-tests", "wrong")
    with pytest.raises(FeedDenied, match="refuses us"):
        connect(database_url=wrong, redis_url=None)
    with pytest.raises(NotMigrated, match="trimtab migrate"):
        connect(database_url=empty_database.url, redis_url=None)


def test_reports_reach_the_fleet(store: Store, connect: Connect, one_redis: RedisServer, database: Database) -> None:
    agent = connect(labels={"bot": "mm"})
    revision = commit(store, {LEVERAGE: 2.0})
    assert agent.wait_for(revision, 10)

    def reported() -> reports.Report | None:
        with contextlib.closing(one_redis.client()) as client:
            text = client.hget("trimtab:{production}:fleet", agent.name)
        return None if text is None else reports.decode(text)  # type: ignore[arg-type]  # bytes

    assert eventually(lambda: (found := reported()) is not None and found.revision == revision)
    agent.close()
    last = reported()
    assert last is not None
    assert (last.closed, last.at > 1.7e9, dict(last.labels)) == (True, True, {"bot": "mm"})
    other = connect(labels={"bot": "mm"}, redis_url=None)

    def in_postgres() -> object:
        with psycopg.connect(database.url) as connection:
            return connection.execute(
                "SELECT report->>'revision' FROM trimtab.agent_reports WHERE agent = %s", [other.name]
            ).fetchone()

    assert eventually(lambda: in_postgres() == (str(revision),))


def backends(database: Database) -> set[int]:
    """The connections that agents have in Postgres, by server process."""
    with psycopg.connect(database.url) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'trimtab-agent'"
        ).fetchall()
    return {row[0] for row in rows}


def clients(redis: RedisServer) -> set[str]:
    """The connections of Redis, ours aside, by id."""
    with contextlib.closing(redis.client()) as client:
        mine = str(client.client_id())
        return {one["id"] for one in client.client_list()} - {mine}


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12 warns of any fork with threads
def test_a_hundred_forks_leave_the_parents_connections_untouched(
    store: Store, connect: Connect, database: Database, one_redis: RedisServer, tmp_path: Path
) -> None:
    agent = connect(directory=tmp_path / "d", labels={"bot": "mm"})
    binding = agent.bind("risk.global", Limits)
    assert eventually(lambda: agent.status is Status.LIVE)
    store.close()
    before = backends(database), clients(one_redis)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(100):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                read = agent[LEVERAGE], binding.current.max_leverage
                follows = number % 20 != 0 or (agent.wait_for(1, 10) and agent.status is not Status.FORKED)
                if number % 20 == 0:
                    agent.close()
                code = 0 if read == (3.0, 3.0) and follows else 2
            except BaseException:  # noqa: BLE001 - the child must not run the rest of the tests
                traceback.print_exc()
            if number % 2:
                sys.stdout.flush()
                os._exit(code)
            os.kill(os.getpid(), 9 if code == 0 else 6)
        status = os.waitpid(pid, 0)[1]
        assert os.waitstatus_to_exitcode(status) in {0, -9}, number
    assert (backends(database), clients(one_redis)) == before
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files
    assert agent.status is Status.LIVE


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_that_ends_like_a_program_leaves_the_parent_alone(
    store: Store, database: Database, one_redis: RedisServer, tmp_path: Path
) -> None:
    """The child runs every finaliser and exit handler of an interpreter; the parent goes on following."""
    assert store is not None
    code = f"""
import os, sys, time
from trimtab import Agent, Status
from trimtab.model.statements import Trust
agent = Agent.connect(environment="production", trust=Trust.from_bytes({KEY.trust().to_bytes()!r}),
    database_url={database.login("trimtab_agent")!r}, redis_url={one_redis.url!r}, directory={str(tmp_path / "d")!r})
deadline = time.monotonic() + 10
while agent.status is not Status.LIVE and time.monotonic() < deadline:
    time.sleep(0.01)
for number in range(10):
    pid = os.fork()
    if pid == 0:
        agent["{LEVERAGE}"]
        if number % 2:
            agent.status
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert agent.status is Status.LIVE, agent.status
time.sleep(1.0)
assert agent.status is Status.LIVE, (agent.status, agent.alarms)
assert not agent.alarms, agent.alarms
agent.close()
"""
    subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", code], check=True
    )
    assert '"running":false' in (tmp_path / "d" / "runs").read_text()


def test_hold_all_and_an_urgent_revision(
    connect_store: ConnectStore, store: Store, connect: Connect, one_redis: RedisServer
) -> None:
    assert store is not None
    unchecked = connect_store(rules=(), redis_url=one_redis.url)  # one that lets a wrong value through
    agent = connect(hold="all")
    agent.bind("risk.global", Limits)
    commit(unchecked, {LEVERAGE: "high", "trading.size": 1})
    assert eventually(lambda: agent.refused)
    assert (agent[LEVERAGE], agent.get("trading.size")) == (3.0, None)
    urgent = commit(unchecked, {"trading.size": 0}, urgent=True)
    assert agent.wait_for(urgent, 10)
    assert agent["trading.size"] == 0
