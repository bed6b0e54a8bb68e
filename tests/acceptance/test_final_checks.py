"""The checks that every acceptance test ends with notice what they are there for."""

from __future__ import annotations

import contextlib
import dataclasses
from functools import partial
from typing import Any

import psycopg
import pytest

from tests.support import ground_truth
from tests.support.fleet import Stand, check_agent
from tests.support.line import KEY
from tests.support.load import Load, load
from tests.support.waiting import settles
from trimtab.model.errors import UnavailableError
from trimtab.model.links import Position
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.store import Store

TRUST = KEY.trust()


@pytest.fixture
def written(one_stand: Stand) -> tuple[Store, Load]:
    """A store, and some writes that passed every check."""
    store = one_stand.populate()
    with load([store]) as writes:
        writes.wait_for(10)
    one_stand.relay()
    one_stand.settle(writes)
    return store, writes


def by_hand(stand: Stand, statement: str) -> None:
    """Change the tables as nobody may, past every trigger."""
    with psycopg.connect(stand.truth_url, autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        assert admin.execute(statement.encode()).rowcount == 1


def test_a_write_that_was_acknowledged_and_is_not_there(one_stand: Stand, written: tuple[Store, Load]) -> None:
    _, writes = written
    write, committed = writes.acknowledged[0]
    elsewhere = dataclasses.replace(committed, revision=committed.revision + 1_000)
    lost = Load([dataclasses.replace(write, committed=elsewhere)])
    assert elsewhere.position > Position(1, 1_000)
    with pytest.raises(AssertionError, match="was acknowledged and is not there"):
        ground_truth.check_store(one_stand.truth_url, TRUST, lost)


def test_a_write_that_is_there_with_another_value(one_stand: Stand, written: tuple[Store, Load]) -> None:
    _, writes = written
    wrong = Load([dataclasses.replace(writes.acknowledged[0][0], value="another")])
    with pytest.raises(AssertionError, match="another"):
        ground_truth.check_store(one_stand.truth_url, TRUST, wrong)


def test_a_write_that_was_refused_and_is_there(one_stand: Stand, written: tuple[Store, Load]) -> None:
    _, writes = written
    lied = Load([dataclasses.replace(writes.acknowledged[0][0], told="refused", committed=None)])
    with pytest.raises(AssertionError, match="committed all the same"):
        ground_truth.check_store(one_stand.truth_url, TRUST, lied)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM trimtab.configuration_audit WHERE revision = 4",
        "DELETE FROM trimtab.links WHERE environment = 'base' AND revision = 1",
        "UPDATE trimtab.configuration_current SET content = '6' WHERE path = 'risk.global.position_timeout'",
        "UPDATE trimtab.store_head SET revision = revision + 1",
        "UPDATE trimtab.links SET signature = hash || hash WHERE environment = 'base' AND revision = 4",
        "DELETE FROM trimtab.configuration_versions WHERE revision = 4",
    ],
)
def test_tables_that_were_changed_by_hand(one_stand: Stand, statement: str) -> None:
    by_hand(one_stand, statement)
    with pytest.raises((AssertionError, UnavailableError)):
        ground_truth.check_store(one_stand.truth_url, TRUST, Load())


@pytest.mark.usefixtures("written")
def test_a_stream_with_a_gap_and_a_head_that_is_not_the_newest(one_stand: Stand, one_redis: RedisServer) -> None:
    one_stand.close()  # the relay would put it right
    truth = ground_truth.read(one_stand.truth_url)
    with contextlib.closing(one_redis.client()) as client:
        ground_truth.check_redis(client, truth)
        entries: Any = client.xrange("trimtab:{production}:stream", count=1, min="(1-2")
        [(entry, _)] = entries
        client.xdel("trimtab:{production}:stream", entry)
        with pytest.raises(AssertionError):
            ground_truth.check_redis(client, truth)
        client.delete("trimtab:{base}:head")
        with pytest.raises(AssertionError):
            ground_truth.check_redis(client, dataclasses.replace(truth, messages={"base": truth.messages["base"]}))


def test_an_agent_that_stopped_following(one_stand: Stand, written: tuple[Store, Load]) -> None:
    store, _ = written
    [agent, *_] = one_stand.fleet()
    truth = one_stand.settle()
    agent.close()
    with pytest.raises(AssertionError):
        check_agent(agent, truth)  # nobody proves any more that it serves the newest
    with store.edit("base", author="test") as edit:
        edit.set("risk.global.position_timeout", 6)
    with pytest.raises(AssertionError):
        check_agent(agent, ground_truth.read(one_stand.truth_url))


@pytest.mark.usefixtures("written")
def test_an_agent_that_serves_something_else(one_stand: Stand) -> None:
    [agent, *_] = one_stand.fleet()
    truth = one_stand.settle()
    place = ("base", "mode=live", "risk.global.max_leverage")
    assert truth.current[place] == b"2"
    settles(partial(check_agent, agent, truth))
    with pytest.raises(AssertionError):
        check_agent(agent, dataclasses.replace(truth, current={**truth.current, place: b"1"}))
