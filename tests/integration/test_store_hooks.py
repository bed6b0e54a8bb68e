"""Validation hooks: what they are shown, for whom, and what their messages do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.integration.conftest import KEY, ConnectStore
from tests.support.servers import Database
from tests.support.waiting import eventually
from trimtab import Agent
from trimtab.model import errors
from trimtab.model.canonical import Json
from trimtab.model.resolution import Absent
from trimtab.model.values import thaw
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.hooks import DocumentChange
from trimtab_store.store import Store
from trimtab_store.writer import Committed


class Recorder:
    """A hook that keeps what it is shown and answers with what it was told to."""

    def __init__(self) -> None:
        self.seen: list[DocumentChange] = []
        self.limit: float | None = None

    def __call__(self, change: DocumentChange) -> Iterable[str]:
        self.seen.append(change)
        value = None if isinstance(change.new, Absent) else thaw(change.new)
        leverage = value.get("max_leverage") if isinstance(value, dict) else None
        if self.limit is not None and isinstance(leverage, int | float) and leverage > self.limit:
            yield f"max_leverage {leverage} is above {self.limit}"

    def shown(self) -> list[tuple[str, str, list[dict[str, str]], Json, Json]]:
        return sorted(
            (
                one.environment,
                one.path,
                sorted((dict(labels) for labels in one.labels), key=str),
                None if isinstance(one.old, Absent) else thaw(one.old),
                None if isinstance(one.new, Absent) else thaw(one.new),
            )
            for one in self.seen
        )


@pytest.fixture
def hook() -> Recorder:
    return Recorder()


@pytest.fixture
def hooked(connect_store: ConnectStore, store: Store, hook: Recorder) -> Store:
    del store
    return connect_store(rules=(), hooks=[hook])


def write(store: Store, environment: str, path: str, value: object, layer: str | None = None) -> Committed:
    with store.edit(environment, author="ada") as edit:
        edit.set(path, value, layer)
    return edit.committed


def test_a_hook_sees_whole_documents_before_and_after_in_every_line(hooked: Store, hook: Recorder) -> None:
    write(hooked, "base", "risk.global", {"a": 1, "b": 2})
    hook.seen.clear()
    write(hooked, "base", "risk.global.a", 9)
    assert hook.shown() == [
        (name, "risk.global", [{}], {"a": 1, "b": 2}, {"a": 9, "b": 2}) for name in ("base", "production", "testing")
    ]
    assert hook.seen[0].author == "ada"


def test_bots_are_targets_grouped_by_what_they_see(hooked: Store, hook: Recorder) -> None:
    write(hooked, "production", "fleet.bots", {"p": {"labels": {"mode": "paper"}}, "l": {"labels": {"mode": "live"}}})
    write(hooked, "production", "risk.global.max_leverage", 3)
    hook.seen.clear()
    write(hooked, "production", "risk.global.max_leverage", 1, "mode=live")
    assert hook.shown() == [
        ("production", "risk.global", [{"bot": "l", "mode": "live"}], {"max_leverage": 3}, {"max_leverage": 1})
    ]
    hook.seen.clear()
    write(hooked, "production", "risk.global.max_leverage", 2)
    assert hook.shown() == [
        ("production", "risk.global", [{"bot": "p", "mode": "paper"}], {"max_leverage": 3}, {"max_leverage": 2})
    ]


def test_a_region_layer_is_looked_at_by_bots_in_that_region(hooked: Store, hook: Recorder) -> None:
    write(hooked, "production", "fleet.bots.p.labels.mode", "paper")
    hook.seen.clear()
    write(hooked, "production", "risk.global.x", 1, "region=ny4")
    assert hook.shown() == [
        ("production", "risk.global", [{"bot": "p", "mode": "paper", "region": "ny4"}], None, {"x": 1})
    ]


def test_a_message_refuses_the_whole_change_with_place_and_words(hooked: Store, hook: Recorder) -> None:
    hook.limit = 5
    edit = hooked.edit("base", author="ada")
    edit.set("fine.one.x", 1)
    edit.set("risk.global.max_leverage", 9, "mode=live")
    with pytest.raises(errors.HookRefused) as caught, edit:
        pass
    assert "risk.global in base for mode=live: max_leverage 9 is above 5" in caught.value.why
    assert caught.value.exit_code == 4
    assert hooked.queries.items("base") == ()


def test_a_change_that_only_a_line_below_breaks_is_refused(connect_store: ConnectStore, store: Store) -> None:
    del store

    def careful(change: DocumentChange) -> Iterable[str]:
        value = {} if isinstance(change.new, Absent) else thaw(change.new)
        if isinstance(value, dict) and value.get("careful") and value.get("max_leverage", 0) != 1:
            yield "too much for the careful"

    mine = connect_store(rules=(), hooks=[careful])
    write(mine, "production", "fleet.bots.m.labels.mode", "live")
    write(mine, "production", "risk.global", {"max_leverage": 1})
    write(mine, "production", "risk.global", {"careful": True}, "mode=live")
    with pytest.raises(errors.HookRefused, match=r"risk\.global in production for bot=m,mode=live: too much"):
        write(mine, "base", "risk.global.max_leverage", 9, "bot=m")


def test_label_sets_that_agents_reported_warn_only(
    connect_store: ConnectStore, store: Store, hook: Recorder, database: Database, one_redis: RedisServer
) -> None:
    """An agent whose reports Redis takes, and which no configuration declares."""
    del store
    hooked = connect_store(rules=(), hooks=[hook], redis_url=one_redis.url)
    write(hooked, "production", "fleet.bots.m.labels.mode", "live")
    with Agent.connect(
        environment="production",
        labels={"node": "n1", "region": "ny4", "bot": "undeclared"},
        trust=KEY.trust(),
        database_url=database.login("trimtab_agent"),
        redis_url=one_redis.url,
        timeout=20.0,
    ) as agent:
        assert eventually(lambda: redis_has(one_redis, agent.name) and postgres_has(database, agent.name), 10)
        hook.limit = 5
        committed = write(hooked, "production", "risk.global.max_leverage", 9, "bot=undeclared")
        assert agent.wait_for(committed.revision, 10)
        assert agent["risk.global.max_leverage"] == 9
    assert committed.created
    assert [warning.split(": ")[1] for warning in committed.warnings] == ["max_leverage 9 is above 5"]
    assert "bot=undeclared" in committed.warnings[0]


def test_a_report_that_no_agent_wrote_stops_no_commit(hooked: Store, hook: Recorder, database: Database) -> None:
    write(hooked, "production", "fleet.bots.m.labels.mode", "live")
    with psycopg.connect(database.url, autocommit=True) as admin:
        for number, labels in enumerate(
            ([], "x", {"bot": 7}, {"bot": "\x1b[2J"}, {"mode": "live"}, {"bot": "undeclared"})
        ):
            report = Jsonb({"labels": labels})
            admin.execute("SELECT trimtab.trimtab_report_v1('production', %s, %s)", (f"a{number}", report))
    hook.limit = 5
    committed = write(hooked, "production", "risk.global.max_leverage", 9, "bot=undeclared")
    assert len(committed.warnings) == 1


def redis_has(server: RedisServer, agent: str) -> bool:
    with contextlib.closing(server.client()) as client:
        return bool(client.hexists("trimtab:{production}:fleet", agent))


def postgres_has(database: Database, agent: str) -> bool:
    with psycopg.connect(database.url) as connection:
        query = "SELECT 1 FROM trimtab.agent_reports WHERE agent = %s"
        return connection.execute(query, [agent]).fetchone() is not None


def test_a_switch_to_live_is_looked_at_in_every_document_with_an_overlay(hooked: Store, hook: Recorder) -> None:
    write(hooked, "production", "fleet.bots.m.labels.mode", "paper")
    write(hooked, "production", "risk.global.max_leverage", 1)
    write(hooked, "production", "risk.global.max_leverage", 9, "mode=live")
    write(hooked, "production", "other.one.x", 1)
    hook.limit, hook.seen = 5, []
    with pytest.raises(errors.HookRefused, match="max_leverage 9"):
        write(hooked, "production", "fleet.bots.m.labels.mode", "live")
    assert {one.path for one in hook.seen} == {"fleet.bots.m", "risk.global"}


def test_an_edit_above_documents_shows_each_document(hooked: Store, hook: Recorder) -> None:
    write(hooked, "testing", "risk", {"global": {"x": 1}, "other": {"y": 2}})
    hook.seen.clear()
    with hooked.edit("testing", author="ada") as edit:
        edit.hide("risk")
    assert {(one.path, isinstance(one.new, Absent)) for one in hook.seen} == {
        ("risk", True),
        ("risk.global", True),
        ("risk.other", True),
    }


def test_a_hook_may_raise_and_a_dry_run_asks_it_too(connect_store: ConnectStore, store: Store) -> None:
    del store

    def strict(change: DocumentChange) -> Iterable[str]:
        raise errors.ValidationError("No", f"{change.path} is closed", "Ask later")

    mine = connect_store(rules=(), hooks=[strict])
    with pytest.raises(errors.ValidationError, match=r"a\.b is closed"):
        write(mine, "base", "a.b", 1)
    with pytest.raises(errors.ValidationError, match=r"a\.b is closed"), mine.validate("base") as edit:
        edit.set("a.b", 1)


def test_hooks_see_a_new_parent(hooked: Store, hook: Recorder) -> None:
    write(hooked, "testing", "risk.global.max_leverage", 9)
    hook.limit = 5
    with pytest.raises(errors.HookRefused, match="max_leverage 9"):
        hooked.reparent_environment("production", "testing", author="ada")


def test_a_document_that_nobody_sees_changed_is_not_asked_about(hooked: Store, hook: Recorder) -> None:
    write(hooked, "production", "risk.global.x", 1)
    hook.seen.clear()
    write(hooked, "base", "risk.global.x", 5)
    assert {one.environment for one in hook.seen} == {"base", "testing"}
