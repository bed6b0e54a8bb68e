"""A value that a bot's own model refuses: who changed it hears of it, and everybody can see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from tests.integration.conftest import Connect, connecting_agents
from tests.support.console import Console
from tests.support.servers import Database
from tests.support.waiting import eventually
from trimtab import Agent
from trimtab_store.embedded.redis import RedisServer

LEVERAGE = "risk.global.max_leverage"
SET = ("set", LEVERAGE, "9", "-e", "production", "--reason", "too much", "--wait", "20s")


class Limits(BaseModel, frozen=True):
    max_leverage: Annotated[float, Field(le=5)]


@pytest.fixture
def connect(fleet_database: Database, one_redis: RedisServer) -> Iterator[Connect]:
    with connecting_agents(fleet_database, one_redis) as connecting:
        yield connecting


def reports(console: Console, agent: Agent) -> dict[str, Any]:
    """What `status` knows of an agent; empty before its first report."""
    found = [one for one in console.done("status", "-e", "production")["agents"] if one["agent"] == agent.name]
    return found[0] if found else {}


def test_who_sets_a_value_that_a_binding_refuses_hears_who_refuses_it_where_and_why(
    console: Console, connect: Connect
) -> None:
    agent, other = connect(labels={"bot": "careful"}), connect(labels={"bot": "careless"})
    binding = agent.bind("risk.global", Limits)
    kept = binding.current.max_leverage
    assert eventually(lambda: reports(console, agent) and reports(console, other), 10)
    said = console(*SET)
    assert (said.code, said.err.count("\n")) == (8, 1), said
    assert f"{agent.name} refuses risk.global: " in said.err
    assert "less than or equal to 5" in said.err
    assert other.name not in said.err
    assert said.out.startswith("Committed revision"), said
    assert (agent[LEVERAGE], binding.current.max_leverage) == (9, kept)
    [refusal] = reports(console, agent)["refused"]
    assert (refusal["path"], refusal["revision"]) == ("risk.global", agent.revision)
    assert "less than or equal to 5" in refusal["reason"]
    shown = console("status", "-e", "production").out
    [line] = [line for line in shown.splitlines() if line.startswith(agent.name)]
    assert f"risk.global at {agent.revision}: " in line
    assert console(*SET[:2], "4", *SET[3:]).code == 0
    assert binding.current.max_leverage == 4
    assert eventually(lambda: reports(console, agent)["refused"] == [])


def test_the_same_for_programs(console: Console, connect: Connect) -> None:
    agent = connect(labels={"bot": "careful"})
    agent.bind("risk.global", Limits)
    assert eventually(lambda: reports(console, agent), 10)
    said = console(*SET, "--json")
    assert said.code == 8, said
    [refusal] = said.json["refused"]
    assert (refusal["agent"], refusal["path"]) == (agent.name, "risk.global")
    assert "less than or equal to 5" in refusal["reason"]
    assert said.error["code"] == "not_served_everywhere"


def test_an_agent_that_holds_its_whole_view_is_named_with_what_it_refuses(console: Console, connect: Connect) -> None:
    agent = connect(labels={"bot": "careful"}, hold="all")
    agent.bind("risk.global", Limits)
    before = agent.revision
    assert eventually(lambda: reports(console, agent), 10)
    said = console(*SET[:-1], "3s")
    assert said.code == 8, said
    assert f"{agent.name} refuses risk.global: " in said.err
    assert agent.revision == before
    assert [one["path"] for one in reports(console, agent)["refused"]] == ["risk.global"]
