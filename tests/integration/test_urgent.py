"""Urgent revisions in snapshots: the store names the newest of each line, and an agent that skips it serves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import BaseModel

from tests.integration.conftest import KEY
from tests.support import servers
from tests.support.proxy import Proxy
from tests.support.servers import Database
from tests.support.waiting import eventually
from trimtab import Agent, Status
from trimtab.model import snapshots
from trimtab.model.links import Position
from trimtab.model.structure import DEFAULT_DIMENSIONS
from trimtab_store import snapshots as made
from trimtab_store.snapshots import newest
from trimtab_store.store import Store
from trimtab_store.verification import prove

LEVERAGE = "plain.global.max_leverage"


class Limits(BaseModel, frozen=True):
    max_leverage: float


def commit(store: Store, environment: str, path: str, value: object, *, urgent: bool = False) -> int:
    with store.edit(environment, author="test", urgent=urgent) as edit:
        edit.set(path, value)
    assert edit.committed is not None
    return edit.committed.revision


def restructure(store: Store, *more: str) -> int:
    """A change of structure on every line: agents can only follow it by a snapshot, and one is made."""
    return store.declare_dimensions("base", [*more, *DEFAULT_DIMENSIONS], author="test").revision


def told(store: Store) -> dict[str, int]:
    """The newest urgent revision of each line, as a snapshot made now says it."""
    names = list(store.forest().parents)
    return store.database.snapshot(lambda connection: {name: newest(connection, name).urgent for name in names})


def signed(database: Database, environment: str) -> snapshots.Snapshot:
    """The newest snapshot of a line that was signed and kept."""
    with psycopg.connect(database.url) as connection:
        row = connection.execute(
            "SELECT s.statement, string_agg(c.chunk, ''::bytea ORDER BY c.n) FROM trimtab.snapshots AS s"
            " JOIN trimtab.snapshot_chunks AS c USING (environment, epoch, revision) WHERE s.environment = %s"
            " GROUP BY s.epoch, s.revision, s.statement ORDER BY s.epoch DESC, s.revision DESC LIMIT 1",
            (environment,),
        ).fetchone()
    assert row is not None
    statement = snapshots.read_statement(row[0].encode())
    snapshots.verify(statement, KEY.trust(), environment)
    return snapshots.decode(statement, bytes(row[1]))


# -- the store ---------------------------------------------------------------------------------------------------------


def test_a_snapshot_names_the_newest_urgent_change_of_its_line_inherited_ones_too(
    store: Store, database: Database
) -> None:
    assert told(store) == {"base": 0, "production": 0, "testing": 0}
    commit(store, "testing", "a.b", 1)
    assert told(store) == {"base": 0, "production": 0, "testing": 0}
    first = commit(store, "production", "a.b", 1, urgent=True)
    assert told(store) == {"base": 0, "production": first, "testing": 0}
    second = commit(store, "base", "a.b", 1, urgent=True)
    assert told(store) == {"base": second, "production": second, "testing": second}
    third = commit(store, "testing", "a.b", 2, urgent=True)
    commit(store, "base", "a.b", 3)
    assert told(store) == {"base": second, "production": second, "testing": third}
    last = restructure(store, "zone")
    found = {name: signed(database, name) for name in ("base", "production", "testing")}
    assert {one.position for one in found.values()} == {Position(1, last)}
    assert {name: one.urgent for name, one in found.items()} == told(store)


def test_an_epoch_begins_without_an_urgent_change(store: Store, database: Database) -> None:
    head = commit(store, "base", "a.b", 1, urgent=True)
    first = store.declare_epoch(head, reason="restore", author="op").position
    assert (signed(database, "production").position, signed(database, "production").urgent) == (first, 0)
    urgent = commit(store, "base", "a.b", 2, urgent=True)
    assert told(store) == {"base": urgent, "production": urgent, "testing": urgent}


def test_a_restored_store_names_the_same_urgent_changes(
    store: Store, database: Database, migrated_template: str, tmp_path: Path
) -> None:
    commit(store, "base", "a.b", 1, urgent=True)
    commit(store, "production", "a.b", 2, urgent=True)
    commit(store, "testing", "a.b", 2)
    with Store.connect(database.url, signing_key=KEY) as owner:
        owner.backup(tmp_path / "b")
    with (
        servers.database(database.server, migrated_template) as other,
        Store.connect(other.url, signing_key=KEY) as restored,
    ):
        restored.restore(tmp_path / "b", author="op", reason="a test")
        assert told(restored) == dict.fromkeys(told(store), 0), "a restore declares an epoch"
        urgent = commit(restored, "production", "a.b", 3, urgent=True)
        assert told(restored) == {"base": 0, "production": urgent, "testing": 0}
        restored.database.read(lambda connection: prove(connection, KEY.trust()))


def test_the_newest_urgent_change_is_found_by_the_index(store: Store, database: Database) -> None:
    commit(store, "base", "a.b", 1, urgent=True)
    with psycopg.connect(database.url) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(
            f"EXPLAIN {made.NEWEST_URGENT}".encode(), {"environment": "base", "epoch": 1, "revision": 9}
        ).fetchall()
    assert "configuration_versions_urgent" in "".join(row[0] for row in plan)


# -- agents ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(database: Database) -> Iterator[Proxy]:
    """The agents' way to Postgres."""
    assert database.server.port is not None
    with Proxy(("127.0.0.1", database.server.port)) as made:
        yield made


@pytest.fixture
def agent(store: Store, database: Database, proxy: Proxy) -> Iterator[Agent]:
    """An agent of production over Postgres alone, with a binding that holds everything."""
    commit(store, "base", LEVERAGE, 3.0)
    url = database.login("trimtab_agent", tcp=True).replace(f":{database.server.port}", f":{proxy.port}")
    with Agent.connect(
        environment="production", trust=KEY.trust(), database_url=url, redis_url=None, hold="all", timeout=20.0
    ) as made:
        made.bind("plain.global", Limits)
        assert eventually(lambda: made.status is Status.DEGRADED)
        yield made


@pytest.mark.parametrize("environment", ["base", "production"])
def test_an_urgent_change_skipped_by_a_snapshot_is_served(
    store: Store, agent: Agent, proxy: Proxy, environment: str
) -> None:
    proxy.refuse()
    proxy.reset_all()
    restructure(store, "zone")
    commit(store, "base", LEVERAGE, "high")
    commit(store, environment, "desk.size", 0, urgent=True)
    commit(store, "base", "desk.note", "later")
    last = restructure(store, "zone", "rack")
    assert (agent.get("desk.size"), agent[LEVERAGE]) == (None, 3.0)
    proxy.resume()
    assert agent.wait_for(last, 20)
    assert (agent["desk.size"], agent["desk.note"], agent.revision) == (0, "later", last)


def test_a_refused_state_that_comes_by_snapshot_is_held_back_when_nothing_was_urgent(
    store: Store, agent: Agent, proxy: Proxy
) -> None:
    served = agent.revision
    proxy.refuse()
    proxy.reset_all()
    restructure(store, "zone")
    commit(store, "base", LEVERAGE, "high")
    commit(store, "testing", "desk.size", 0, urgent=True)
    restructure(store, "zone", "rack")
    proxy.resume()
    assert eventually(lambda: agent.refused, 20)
    assert (agent[LEVERAGE], agent.revision) == (3.0, served)
    mended = commit(store, "base", LEVERAGE, 2.0)
    assert agent.wait_for(mended, 20)
    assert agent[LEVERAGE] == 2.0
