"""A standby that lags is promoted: what it never received is lost, and everybody is told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.conftest import make_stand
from tests.conftest import FLAVOURS, MakePostgres, MakeRedis
from tests.support.fleet import Stand
from tests.support.load import Load, load
from tests.support.proxied import postgres_url, socket_of
from tests.support.proxy import Proxy
from tests.support.servers import Database
from tests.support.waiting import settles
from trimtab import Status
from trimtab.model.errors import ConflictError
from trimtab.model.links import Position
from trimtab_store import migrate
from trimtab_store.embedded.postgres import PostgresServer
from trimtab_store.embedded.redis_programs import Flavour
from trimtab_store.relay import Relay
from trimtab_store.store import Store

NAME = "fleet"


@dataclass
class Failover:
    """A primary, its standby, and one address that leads to whichever is in charge."""

    primary: PostgresServer
    standby: PostgresServer
    address: Proxy
    stand: Stand
    store: Store
    relay: Relay

    def stop_replication(self) -> None:
        """The standby receives nothing more."""
        with psycopg.connect(self.standby.url(NAME), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET primary_conninfo = ''")
            admin.execute("SELECT pg_reload_conf()")
            settles(lambda: _receives_nothing(admin))

    def fail_over(self) -> int:
        """Kill the primary and promote the standby; the newest revision that it holds."""
        self.primary.kill()
        self.address.refuse()
        self.address.reset_all()
        self.standby.promote()
        self.address.upstream = socket_of(self.standby)
        self.address.resume()
        self.stand.truth_url = self.standby.url(NAME)
        with psycopg.connect(self.stand.truth_url) as admin:
            row = admin.execute("SELECT revision FROM trimtab.store_head").fetchone()
        assert row is not None
        return int(row[0])


def _receives_nothing(admin: psycopg.Connection[tuple[object, ...]]) -> None:
    assert admin.execute("SELECT count(*) FROM pg_stat_wal_receiver").fetchone() == (0,)


@pytest.fixture(params=FLAVOURS)
def failover(
    request: pytest.FixtureRequest, short_directory: Path, own_postgres: MakePostgres, own_redis: MakeRedis
) -> Iterator[Failover]:
    flavour: Flavour = request.param
    primary, server = own_postgres("primary"), own_redis(flavour=flavour)
    with psycopg.connect(primary.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {NAME}")
    migrate.upgrade(primary.url(NAME))
    database = Database(primary, NAME)
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(Proxy(socket_of(primary)))
        stand = make_stand(short_directory, database, server)
        stack.callback(stand.close)
        stand.writer_url = postgres_url(stand.writer_url, address)
        stand.agent_url = postgres_url(stand.agent_url, address)
        store = stand.populate()
        standby = stack.enter_context(primary.standby(short_directory / "standby"))
        [relay] = stand.relay()
        stand.fleet()
        yield Failover(primary, standby, address, stand, store, relay)


def before_and_lost(failover: Failover) -> tuple[Load, int]:
    """Write, stop the replication, write on, fail over: the writes that survived, and the newest revision before."""
    with load([failover.store], writers=2) as kept:
        kept.wait_for(20)
    failover.stand.settle(kept)
    settles(lambda: _caught_up(failover))
    failover.stop_replication()
    with load([failover.store], writers=2) as lost:
        lost.wait_for(20)
    newest = failover.stand.settle(Load([*kept.writes, *lost.writes])).head.revision
    assert failover.fail_over() == newest - len(lost.acknowledged)
    return kept, newest


def _caught_up(failover: Failover) -> None:
    with psycopg.connect(failover.primary.url(NAME)) as one, psycopg.connect(failover.standby.url(NAME)) as other:
        question = "SELECT revision FROM trimtab.store_head"
        assert one.execute(question).fetchone() == other.execute(question).fetchone()


def check_statuses(failover: Failover, *expected: Status) -> None:
    assert {agent.status for agent in failover.stand.agents} <= set(expected), failover.stand.agents


def declare(failover: Failover, newest: int) -> None:
    """Declare the epoch; a wrong cut is refused before."""
    head = failover.store.queries.document("base").moment.revision
    with pytest.raises(ConflictError, match=str(head)):
        failover.store.declare_epoch(head - 1, reason="a wrong cut", author="operator")
    declared = failover.store.declare_epoch(
        head, reason="the standby was promoted", lost="see above", author="operator"
    )
    assert declared.epoch == 2
    assert declared.revision > newest, "no number is used twice"


def test_a_lagging_standby_is_promoted_and_the_epoch_declared(failover: Failover) -> None:
    kept, newest = before_and_lost(failover)
    served = [Position(agent.epoch, agent.revision) for agent in failover.stand.agents]
    settles(lambda: check_statuses(failover, Status.AHEAD))
    assert [Position(agent.epoch, agent.revision) for agent in failover.stand.agents] == served, "they go on serving"
    settles(lambda: _alarmed(failover.relay))
    declare(failover, newest)
    with load([failover.store], writers=2) as later:
        later.wait_for(20)
    failover.stand.settle(Load([*kept.writes, *later.writes]))
    assert not failover.relay.alarms


def test_writers_that_go_on_without_a_declaration_make_a_fork_that_everybody_sees(failover: Failover) -> None:
    kept, newest = before_and_lost(failover)
    with load([failover.store], writers=2) as forked:
        forked.wait_for(60)
    assert max(committed.revision for _, committed in forked.acknowledged) > newest
    settles(lambda: check_statuses(failover, Status.FORKED))
    settles(lambda: _alarmed(failover.relay))
    forked_head = max(committed.revision for _, committed in forked.acknowledged)
    declare(failover, max(newest, forked_head))
    with load([failover.store], writers=2) as later:
        later.wait_for(20)
    failover.stand.settle(Load([*kept.writes, *forked.writes, *later.writes]))
    assert not failover.relay.alarms


def _alarmed(relay: Relay) -> None:
    assert set(relay.alarms) == {"base", "production", "testing"}
