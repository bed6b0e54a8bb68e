"""Schema evolution on a real store: a version rises, documents wait, and an upgrade brings them there."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.integration.conftest import connecting_agents
from tests.support.servers import Database
from tests.support.waiting import eventually
from trimtab.model.canonical import Json
from trimtab.model.errors import PathNotFound
from trimtab.model.problems import DocumentsRefused
from trimtab.model.values import thaw
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.evolution import builtin
from trimtab_store.evolution.planning import Planned
from trimtab_store.evolution.steps import UpgradeRefused
from trimtab_store.store import Store


def schema(version: int, fields: dict[str, Any], *upgrades: Json) -> dict[str, Any]:
    text = json.dumps({"type": "object", "properties": fields, "additionalProperties": False})
    return {"documents": "params.*", "version": version, "text": text, "upgrades": list(upgrades)}


FIRST = schema(1, {"size": {"type": "number"}, "pair": {"type": "string"}})
SECOND = schema(
    2,
    {
        "base_size": {"type": "number", "maximum": 1},
        "base": {"type": "string"},
        "quote": {"type": "string"},
        "mode": {"enum": ["slow", "fast"]},
    },
    {"version": 2, "rename": "size", "as": "base_size"},
    {"version": 2, "convert": "base_size", "factor": 0.01},
    {"version": 2, "split": "pair", "into": ["base", "quote"], "at": "-"},
    {"version": 2, "default": "mode", "value": "slow"},
)


def write(store: Store, environment: str, values: dict[str, Any], layer: str = "", **words: Any) -> tuple[str, ...]:
    with store.edit(environment, author="ada", **words) as edit:
        for path, value in values.items():
            edit.set(path, value, layer)
    return edit.committed.warnings


def read(store: Store, environment: str, path: str, **labels: str) -> Json:
    return thaw(store.get(path, environment, labels).value)


@pytest.fixture
def params(store: Store) -> Store:
    write(store, "base", {"schema.params": FIRST})
    write(store, "base", {"params.mm": {"size": 50, "pair": "BTC-USD"}})
    write(store, "production", {"params.mm.size": 20})
    write(store, "production", {"params.mm.size": 10}, "mode=live")
    write(store, "production", {"params.only": {"size": 5}})
    return store


def test_raising_a_version_marks_what_is_there_and_refuses_nothing(params: Store) -> None:
    write(params, "base", {"schema.params": SECOND})
    assert read(params, "production", "meta.params.mm.schema_version") == 1
    assert read(params, "production", "meta.params.only.schema_version") == 1
    told = write(params, "base", {"params.mm.size": 51})
    assert "It waits for `trimtab schema upgrade params`" in " ".join(told)
    with pytest.raises(DocumentsRefused, match="size"):
        write(params, "base", {"params.new": {"size": 5}})
    write(params, "base", {"params.new": {"base_size": 0.5}})
    assert [(one.path, one.version, one.current) for one in params.registry("production").find(kind="params")] == [
        ("params.mm", 1, 2),
        ("params.new", 2, 2),
        ("params.only", 1, 2),
    ]


def test_without_upgrades_every_document_has_to_fit_at_once(params: Store) -> None:
    with pytest.raises(DocumentsRefused, match="size"):
        write(params, "base", {"schema.params": {**SECOND, "upgrades": []}})


def test_an_upgrade_is_one_revision_for_each_environment_and_keeps_what_readers_saw(params: Store) -> None:
    write(params, "base", {"schema.params": SECOND})
    planned = params.plan_upgrade("params")
    assert [(one.environment, dict(one.documents)) for one in planned.upgrades] == [
        ("production", {"params.mm": 1, "params.only": 1}),
        ("base", {"params.mm": 1}),
    ]
    done = params.upgrade(planned, author="ada", reason="sizes are fractions now")
    assert [one.environment for one in done] == ["production", "base"]
    assert read(params, "base", "params.mm") == {"base_size": 0.5, "base": "BTC", "quote": "USD", "mode": "slow"}
    assert read(params, "testing", "params.mm.base_size") == 0.5
    assert read(params, "production", "params.mm.base_size") == 0.2
    assert read(params, "production", "params.mm.base_size", mode="live") == 0.1
    assert read(params, "production", "params.only") == {"base_size": 0.05, "mode": "slow"}
    own = {item.path for item in params.queries.items("production", "params.mm", own=True)}
    assert own == {"params.mm.base_size"}, "a default stands where the document begins"
    assert params.plan_upgrade("params").upgrades == ()
    with pytest.raises(DocumentsRefused, match="size"):
        write(params, "base", {"params.mm.size": 51})
    assert [one.version for one in params.registry("production").find(kind="params")] == [2, 2]
    entry = params.history.environment("base", limit=1)[0]
    assert (entry.author, entry.reason) == ("ada", "sizes are fractions now")


def test_an_interrupted_upgrade_goes_on_where_it_ended(params: Store) -> None:
    write(params, "base", {"schema.params": SECOND})
    planned = params.plan_upgrade("params")
    with params.edit("production", author="ada") as edit:
        for operation in planned.upgrades[0].operations:
            edit.add(operation)
    again = params.plan_upgrade("params")
    assert [one.environment for one in again.upgrades] == ["base"]
    params.upgrade(again, author="ada")
    assert read(params, "production", "params.mm.base_size") == 0.2


def test_a_rollback_over_an_upgrade_brings_the_old_version_back(params: Store) -> None:
    write(params, "base", {"schema.params": SECOND})
    before = params.history.environment("production", limit=1)[0].position.revision
    params.upgrade(params.plan_upgrade("params"), author="ada")
    params.rollback("production", before, author="ada", force="a test")
    assert read(params, "production", "meta.params.mm.schema_version") == 1, "the one of base is 2"
    planned = params.plan_upgrade("params")
    assert [(one.environment, dict(one.documents)) for one in planned.upgrades] == [
        ("production", {"params.mm": 1, "params.only": 1})
    ]
    params.upgrade(planned, author="ada")
    assert read(params, "production", "params.mm.base_size", mode="live") == 0.1


def test_what_would_not_fit_afterwards_is_refused_before_anything_is_committed(params: Store) -> None:
    write(params, "production", {"params.only.size": 500})
    write(params, "base", {"schema.params": SECOND})
    before = params.history.environment("production", limit=1)[0].position
    with pytest.raises(DocumentsRefused, match="would not fit"):
        params.plan_upgrade("params")
    write(params, "production", {"params.only.size": 5, "params.only.pair": "nothing"})
    with pytest.raises(UpgradeRefused, match="has not 2 parts"):
        params.plan_upgrade("params")
    assert params.history.environment("production", limit=1)[0].position.revision == before.revision + 1


def test_a_schema_that_nobody_knows_is_not_found(params: Store) -> None:
    with pytest.raises(PathNotFound, match="Did you mean params"):
        params.plan_upgrade("param")


def report(database: Database, agent: str, understands: dict[str, int], *, closed: bool = False) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO trimtab.agent_reports VALUES ('production', %s, clock_timestamp(), %s)",
            (agent, Jsonb({"labels": {}, "understands": understands, "closed": closed})),
        )


@pytest.mark.parametrize(
    ("understands", "closed", "refused"),
    [({"params": 1}, False, True), ({"params": 2}, False, False), ({}, False, False), ({"params": 1}, True, False)],
)
def test_what_a_running_agent_could_not_read_needs_force(
    params: Store, database: Database, understands: dict[str, int], *, closed: bool, refused: bool
) -> None:
    write(params, "base", {"schema.params": SECOND})
    report(database, "mm-1", understands, closed=closed)
    planned = params.plan_upgrade("params")
    if refused:
        with pytest.raises(DocumentsRefused, match="the running agent mm-1 understands version 1"):
            params.upgrade(planned, author="ada")
        with pytest.raises(DocumentsRefused, match="understands version 1"):
            write(params, "production", {"params.new.base_size": 0.1})
        planned = params.plan_upgrade("params")
        params.upgrade(planned, author="ada", force="that bot is being replaced")
    else:
        params.upgrade(planned, author="ada")
    assert read(params, "production", "params.mm.base_size") == 0.2


def test_a_bot_says_what_its_code_understands_as_long_as_it_runs(
    params: Store, database: Database, one_redis: RedisServer
) -> None:
    write(params, "base", {"schema.params": SECOND})
    planned = params.plan_upgrade("params")
    with connecting_agents(database, one_redis) as connect:
        connect(understands={"params": 1})
        assert eventually(lambda: "understands version 1" in refusal(params, planned), 20)
    params.upgrade(planned, author="ada")


def refusal(store: Store, planned: Planned) -> str:
    """What refuses the first revision of an upgrade; nothing is committed."""
    block = store.validate(planned.upgrades[0].environment)
    try:
        with block as edit:
            for operation in planned.upgrades[0].operations:
                edit.add(operation)
    except DocumentsRefused as error:
        return str(error)
    return ""


def test_nobody_is_asked_about_documents_that_stay_what_they_are(params: Store, database: Database) -> None:
    write(params, "base", {"schema.params": SECOND})
    report(database, "mm-1", {"params": 1})
    write(params, "production", {"params.only.size": 6})
    write(params, "production", {"notes.a": 6})


def removed(store: Store, path: str) -> None:
    with store.edit("base", author="ada", force="a test") as edit:
        edit.unset(path)


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        (5, "five", True),
        (5, 7.5, False),
        (5, "7.5", False),
        ("7.5", 7.5, False),
        ("x", 7.5, True),
        ("x", "y", False),
        (True, 1, True),
        (5, None, False),
        (None, "x", False),
        ([1], 1, True),
        (5, {"b": 1}, True),
        ({"b": 1}, 5, True),
        ({"b": 1}, {"b": "x"}, True),
        ({"b": 1}, {"c": "x"}, False),
        ({}, {"c": "x"}, False),
    ],
)
def test_a_name_that_was_removed_is_not_used_for_another_type(
    store: Store, old: object, new: object, *, refused: bool
) -> None:
    write(store, "base", {"notes.n.a": old, "notes.n.z": 0})
    removed(store, "notes.n.a")
    if refused:
        with pytest.raises(DocumentsRefused, match="until it was removed"):
            write(store, "production", {"notes.n.a": new})
        write(store, "production", {"notes.n.a": new}, force="nobody reads it any more")
    else:
        write(store, "production", {"notes.n.a": new})


def test_a_name_in_use_may_change_its_type(store: Store) -> None:
    write(store, "base", {"notes.n.a": 5})
    write(store, "base", {"notes.n.a": "five"})
    write(store, "base", {"notes.n": {"a": {"b": 1}}})
    assert read(store, "base", "notes.n.a.b") == 1


def test_an_upgrade_of_a_built_in_type_is_a_function_of_each_layers_own_part(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renamed(own: builtin.Own) -> builtin.Own:
        return {("lookback",) if at == ("window",) else at: content for at, content in own.items()}

    write(store, "base", {"optimizer.ga": {"window": 20, "seed": 1}})
    write(store, "production", {"optimizer.ga.window": 30}, "mode=live")
    monkeypatch.setattr(builtin, "UPGRADES", {"optimizer": (renamed,)})
    planned = store.plan_upgrade("optimizer")
    assert [one.environment for one in planned.upgrades] == ["production", "base"]
    assert len(store.upgrade(planned, author="ada")) == 2
    assert read(store, "base", "optimizer.ga") == {"lookback": 20, "seed": 1}
    assert read(store, "production", "optimizer.ga", mode="live") == {"lookback": 30, "seed": 1}
    assert read(store, "base", "meta.optimizer.ga.schema_version") == 2
    assert store.plan_upgrade("optimizer").upgrades == ()
