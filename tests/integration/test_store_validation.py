"""Validation before a commit: what readers would see is judged, in every line; what is refused changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.integration.conftest import ConnectStore
from tests.support.servers import Database
from trimtab.model import errors
from trimtab.model.canonical import Json
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab.model.resolution import Absent
from trimtab.model.values import thaw
from trimtab_store import reading
from trimtab_store.hooks import DocumentChange
from trimtab_store.registry_reading import Asked
from trimtab_store.store import Store
from trimtab_store.validation.rules import Seen
from trimtab_store.writer import Committed

SCHEMA = {
    "type": "object",
    "properties": {"window": {"type": "integer", "minimum": 1}, "key": {"type": "string", "x-secret": True}},
    "required": ["window"],
    "additionalProperties": False,
}


@dataclass
class ByLimit:
    """A rule of two documents: what is planned stays below the limit."""

    name: str = "by-limit"
    reads: tuple[str, ...] = ("limits.one",)
    dimensions: frozenset[str] = frozenset()
    asked: list[tuple[Json | Absent, Json | Absent]] = field(default_factory=list[Any])
    meanwhile: Callable[[], object] | None = None

    def watches(self, document: str) -> bool:
        return document in {"planned.one", "limits.one"}

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        del before, after
        return ("planned.one",) if document == "limits.one" else ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        planned, limit = seen.at("planned.one"), seen.at("limits.one")
        self.asked.append((planned, limit))
        if self.meanwhile is not None:
            do, self.meanwhile = self.meanwhile, None
            do()
        if isinstance(planned, dict) and isinstance(limit, dict) and number(planned, "x") > number(limit, "x"):
            yield Problem(path="planned.one.x", rule=self.name, why=f"it is above {number(limit, 'x')}")


def number(value: dict[str, Json], name: str) -> float:
    found = value[name]
    assert isinstance(found, int | float)
    return found


def write(store: Store, environment: str, path: str, value: object, layer: str | None = None) -> Committed:
    with store.edit(environment, author="ada", reason="a test") as edit:
        edit.set(path, value, layer)
    return edit.committed


def refused(act: Callable[[], object]) -> tuple[Problem, ...]:
    with pytest.raises(DocumentsRefused) as caught:
        act()
    assert caught.value.exit_code == 4
    return caught.value.problems


def head(store: Store) -> object:
    return store.database.read(lambda inside: inside.execute("SELECT * FROM trimtab.store_head").fetchone())


def register(
    store: Store, environment: str = "base", *, version: int = 1, text: object = SCHEMA, name: str = "signals"
) -> Committed:
    return write(
        store,
        environment,
        f"schema.{name}",
        {"documents": f"{name}.*", "version": version, "text": json.dumps(text)},
    )


# -- categories --------------------------------------------------------------------------------------------------------


def test_a_value_out_of_bounds_is_refused_and_nothing_changes(store: Store) -> None:
    write(store, "base", "risk.global.max_leverage", 3)
    before = head(store)
    (problem,) = refused(lambda: write(store, "base", "risk.global.max_portfolio_risk", 50))
    assert (problem.path, problem.rule, problem.value) == ("risk.global.max_portfolio_risk", "unit", "50")
    assert (problem.environment, dict(problem.labels), problem.others) == ("base", {}, 2)
    assert problem.remedy or "%" in problem.why
    assert head(store) == before
    assert [item.path for item in store.queries.items("base")] == ["risk.global.max_leverage"]


def test_all_problems_of_all_documents_are_told_at_once(store: Store) -> None:
    def act() -> None:
        with store.edit("base", author="ada") as edit:
            edit.set("risk.global", {"max_leverage": -1, "max_daily_los": 0.1})
            edit.set("token.x", {"symbol": "X"})
            edit.set("circuit_breaker.config.latency_threshold_ms", 1)

    told = {(problem.path, problem.rule) for problem in refused(act)}
    assert {path for path, _ in told} >= {
        "risk.global.max_leverage",
        "risk.global.max_daily_los",
        "token.x.decimals",
        "circuit_breaker.config.latency_threshold_ms",
        "circuit_breaker.config.error_rate_threshold",
    }
    assert store.queries.items("base") == ()


def test_an_edit_that_only_breaks_what_an_heir_makes_of_it_is_refused_naming_a_bot(store: Store) -> None:
    write(store, "base", "mev.protection", {"min_priority_fee": 1000, "max_priority_fee": 9000})
    write(store, "production", "fleet.bots.mm.labels.mode", "live")
    write(store, "production", "mev.protection.max_priority_fee", 2000, "mode=live")
    (problem, *_) = refused(lambda: write(store, "base", "mev.protection.min_priority_fee", 5000))
    assert (problem.environment, dict(problem.labels)) == ("production", {"bot": "mm", "mode": "live"})
    assert "production, bot=mm,mode=live" in str(problem)


def test_a_label_set_that_only_an_agent_reported_is_a_warning(store: Store, database: Database) -> None:
    write(store, "production", "fleet.bots.mm.labels.mode", "live")
    with psycopg.connect(database.url, autocommit=True) as admin:
        report = Jsonb({"labels": {"bot": "undeclared"}})
        admin.execute("SELECT trimtab.trimtab_report_v1('production', 'a', %s)", (report,))
    committed = write(store, "production", "risk.global.max_leverage", -1, "bot=undeclared")
    assert len(committed.warnings) == 1
    assert "production, bot=undeclared" in committed.warnings[0]


def test_an_edit_that_breaks_what_an_overlay_of_a_place_holds_is_a_warning(store: Store) -> None:
    write(store, "base", "mev.protection", {"min_priority_fee": 1_000, "max_priority_fee": 50_000})
    write(store, "production", "mev.protection.max_priority_fee", 20_000, "region=ny4")
    write(store, "production", "fleet.bots.mm.labels.mode", "live")
    told = write(store, "base", "mev.protection.min_priority_fee", 30_000).warnings
    assert len(told) == 1
    assert "production, bot=mm,mode=live,region=ny4" in told[0]
    assert write(store, "base", "mev.protection.timeout_ms", 500).warnings == ()
    with pytest.raises(DocumentsRefused, match="bot=mm,mode=live,region=ny4"):
        write(store, "production", "mev.protection.timeout_ms", 400, "region=ny4")


def test_moving_a_label_judges_what_the_bot_would_see_then(connect_store: ConnectStore, store: Store) -> None:
    write(store, "production", "fleet.bots.mm.labels.mode", "paper")
    write(store, "production", "mev.protection", {"min_priority_fee": 1000, "max_priority_fee": 9000})
    write(connect_store(rules=()), "production", "mev.protection.max_priority_fee", 10, "mode=live")
    (problem, *_) = refused(lambda: write(store, "production", "fleet.bots.mm.labels.mode", "live"))
    assert dict(problem.labels) == {"bot": "mm", "mode": "live"}
    assert problem.path.startswith("mev.protection")
    assert write(store, "production", "fleet.bots.mm.labels.desk", "one").created


def test_a_rule_that_asks_for_a_label_is_asked_again_when_it_moves(connect_store: ConnectStore, store: Store) -> None:
    """A live bot needs limits: a built-in rule, about documents that the change itself does not touch."""
    del store
    mine = connect_store(rules=None)
    write(mine, "production", "fleet.bots.mm.labels.mode", "paper")
    problems = refused(lambda: write(mine, "production", "fleet.bots.mm.labels.mode", "live"))
    assert {(one.path, one.rule) for one in problems} == {
        ("risk.global", "live-limits"),
        ("risk.parameters", "live-limits"),
    }
    with mine.edit("base", author="ada") as edit:
        edit.set("risk.global.max_leverage", 2)
        edit.set("risk.parameters", {"max_position_size": 1, "daily_loss_limit": 1})
    assert write(mine, "production", "fleet.bots.mm.labels.mode", "live").created
    assert {one.rule for one in refused(lambda: hide(mine, "base", "risk.parameters"))} == {"live-limits"}


def hide(store: Store, environment: str, path: str) -> None:
    with store.edit(environment, author="ada") as edit:
        edit.hide(path)


def test_camel_case_is_stored_under_its_own_name_wherever_it_is_put(store: Store) -> None:
    write(store, "base", "logging", {"backupCount": 2, "maxFileSize": "1MB"})
    with store.edit("base", author="ada") as edit:
        edit.merge("logging", {"backupCount": 3, "fileOutput": True})
        edit.set("logging.consoleOutput", value=False)
    assert edit.committed.paths == ("logging.backup_count", "logging.console_output", "logging.file_output")
    with store.edit("base", author="ada") as edit:
        edit.unset("logging.maxFileSize")
        edit.hide("logging.fileOutput")
    held = {item.path: item.content for item in store.queries.items("base")}
    assert held == {"logging.backup_count": b"3", "logging.console_output": b"false", "logging.file_output": b""}
    values = {"values": {"logging": {"backupCount": 5}}}
    imported = {"trimtab": 1, "environment": "base", "layers": {"common": values}}
    store.import_environment(json.dumps(imported).encode(), author="ada")
    assert [(item.path, item.content) for item in store.queries.items("base")] == [("logging.backup_count", b"5")]


def test_two_spellings_with_different_values_are_refused(store: Store) -> None:
    (problem,) = refused(lambda: write(store, "base", "risk.global", {"maxLeverage": 2, "max_leverage": 3}))
    assert (problem.path, problem.rule) == ("risk.global.max_leverage", "spelling")
    assert write(store, "base", "risk.global", {"maxLeverage": 2, "max_leverage": 2}).created


def test_what_is_about_documents_stands_in_the_common_layer_only(store: Store) -> None:
    problems = refused(lambda: write(store, "base", "meta.risk.global.owner", "ada", "mode=live"))
    assert {(problem.path, problem.rule) for problem in problems} == {("meta.risk.global.owner", "layer")}


def test_without_rules_nothing_looks_at_the_content(connect_store: ConnectStore, store: Store) -> None:
    unchecked = connect_store(rules=())
    assert write(unchecked, "base", "risk.global.maxLeverage", "nonsense").paths == ("risk.global.maxLeverage",)
    problems = refused(lambda: store.check_stored("production"))
    assert {problem.path for problem in problems} == {"risk.global.max_leverage"}


def test_a_dry_run_and_the_check_of_what_is_stored_say_the_same(connect_store: ConnectStore, store: Store) -> None:
    def dry() -> None:
        with store.validate("base") as edit:
            edit.set("risk.global", {"max_leverage": -1, "max_daily_loss": 8})

    told = refused(dry)
    write(connect_store(rules=()), "base", "risk.global", {"max_leverage": -1, "max_daily_loss": 8})
    stored = refused(lambda: store.check_stored("base"))
    assert [(one.path, one.rule, one.value) for one in stored] == [(one.path, one.rule, one.value) for one in told]


# -- rules over several documents --------------------------------------------------------------------------------------


def test_a_rule_sees_what_it_reads_and_what_it_reads_because_of_the_change(
    connect_store: ConnectStore, store: Store
) -> None:
    del store
    rule = ByLimit()
    mine = connect_store(rules=[rule])
    write(mine, "base", "limits.one.x", 5)
    assert write(mine, "base", "planned.one.x", 4).created
    assert rule.asked[-1] == ({"x": 4}, {"x": 5})
    (problem,) = refused(lambda: write(mine, "production", "planned.one.x", 6))
    assert (problem.environment, problem.why) == ("production", "it is above 5")
    assert [one.rule for one in refused(lambda: write(mine, "base", "limits.one.x", 3))] == ["by-limit"]
    assert rule.asked[-1] == ({"x": 4}, {"x": 3})


def test_a_commit_that_makes_what_was_read_stale_makes_the_plan_again(
    connect_store: ConnectStore, store: Store
) -> None:
    rule = ByLimit()
    mine, other = connect_store(rules=[rule]), connect_store(rules=())
    write(store, "base", "limits.one.x", 5)
    rule.meanwhile = lambda: write(other, "production", "limits.one.x", 1)
    (problem,) = refused(lambda: write(mine, "base", "planned.one.x", 4))
    assert (problem.environment, problem.why) == ("production", "it is above 1")
    assert [item.path for item in store.queries.items("base")] == ["limits.one.x"]
    rule.asked.clear()
    rule.meanwhile = lambda: write(other, "base", "elsewhere.one.x", 1)
    assert write(mine, "testing", "planned.one.x", 4).created
    assert len(rule.asked) == 1, "what nobody read makes no plan again"


def test_rules_and_hooks_are_told_together(connect_store: ConnectStore, store: Store) -> None:
    del store

    def hook(change: DocumentChange) -> Iterable[str]:
        yield f"{change.path} is closed"

    mine = connect_store(hooks=[hook])
    problems = refused(lambda: write(mine, "base", "risk.global.max_leverage", -1))
    assert {problem.rule for problem in problems} >= {"hook"}
    assert len({problem.rule for problem in problems}) > 1
    with pytest.raises(errors.HookRefused):
        write(mine, "base", "risk.global.max_leverage", 1)


def rule(**more: object) -> dict[str, object]:
    return {"documents": "planned.*", "cel": "doc.x <= at('limits.one').x", "message": "above its limit", **more}


def test_a_rule_of_a_user_holds_in_every_heir_and_for_what_it_reads(store: Store) -> None:
    with store.edit("base", author="ada") as edit:
        edit.set("limits.one.x", 5)
        edit.set("rule.limited", rule())
    assert write(store, "production", "planned.one.x", 5).created
    (problem,) = refused(lambda: write(store, "production", "planned.one.x", 6))
    assert (problem.environment, problem.rule) == ("production", "limited")
    (problem,) = refused(lambda: write(store, "base", "limits.one.x", 4))
    assert (problem.environment, problem.path) == ("production", "planned.one")


def test_a_rule_that_stored_documents_break_is_refused_and_one_that_warns_is_not(store: Store) -> None:
    write(store, "base", "limits.one.x", 5)
    write(store, "production", "planned.one.x", 6)
    assert [one.environment for one in refused(lambda: write(store, "base", "rule.limited", rule()))] == ["production"]
    committed = write(store, "base", "rule.limited", rule(severity="warn"))
    assert len(committed.warnings) == 1
    assert [one.rule for one in refused(lambda: write(store, "base", "rule.bad", rule(cel="doc.x <=")))] != []


# -- schemas -----------------------------------------------------------------------------------------------------------


def test_a_registered_schema_judges_its_documents_in_every_heir(store: Store) -> None:
    register(store)
    problems = refused(lambda: write(store, "production", "signals.fast", {"window": 0, "windw": 3}))
    assert {(problem.path, problem.environment) for problem in problems} == {
        ("signals.fast.window", "production"),
        ("signals.fast.windw", "production"),
    }
    assert write(store, "production", "signals.fast", {"window": 5}).created
    assert [one.path for one in refused(lambda: write(store, "base", "signals.slow", {"key": "k"}))] == [
        "signals.slow.window"
    ]


def test_a_secret_of_a_schema_is_never_told(store: Store) -> None:
    register(store)
    for problem in refused(lambda: write(store, "base", "signals.fast", {"window": 1, "key": 12345})):
        assert "12345" not in json.dumps(problem.to_dict())


def test_a_schema_that_stored_documents_break_is_refused(connect_store: ConnectStore, store: Store) -> None:
    write(store, "production", "signals.fast", {"window": 0})
    before = head(store)
    (problem,) = refused(lambda: register(store))
    assert (problem.path, problem.environment) == ("signals.fast.window", "production")
    assert head(store) == before
    write(store, "production", "signals.fast.window", 1)
    assert register(store).created
    fresh = connect_store()  # one that never saw the registration
    assert [one.path for one in refused(lambda: write(fresh, "production", "signals.fast.window", 0))] == [
        "signals.fast.window"
    ]


def test_the_version_of_a_schema_rises_with_its_text(store: Store) -> None:
    register(store)
    other = {**SCHEMA, "required": []}
    (problem,) = refused(lambda: register(store, text=other))
    assert (problem.path, problem.rule) == ("schema.signals.version", "schema-version")
    assert problem.remedy == "Set the version to 2"
    done = register(store, text=other, version=2)
    assert [one.rule for one in refused(lambda: register(store, text=SCHEMA, version=1))] == ["schema-version"]
    assert store.rollback("base", done.revision - 1, author="ada").committed.created, "what was may come back"


@pytest.mark.parametrize(
    ("field_name", "value", "rule"),
    [
        ("documents", "**", "pattern"),
        ("documents", "schema.*", "pattern"),
        ("documents", 7, None),
        ("version", 0, "range"),
        ("version", True, "type"),
        ("text", "{}}", "json"),
        ("text", '{"type": "strin"}', None),
        ("text", '{"$ref": "http://127.0.0.1:1/x.json"}', None),
        ("colour", "red", "unknown-field"),
        ("upgrades", "x", None),
    ],
)
def test_a_schema_that_is_none_is_refused(store: Store, field_name: str, value: object, rule: str | None) -> None:
    whole: dict[str, Any] = {"documents": "signals.*", "version": 1, "text": "{}", field_name: value}
    (problem,) = refused(lambda: write(store, "base", "schema.signals", whole))
    assert problem.path == f"schema.signals.{field_name}"
    assert rule in {None, problem.rule}


def test_two_schemas_for_one_pattern_are_refused(store: Store) -> None:
    register(store)
    value = {"documents": "signals.*", "version": 1, "text": "{}"}
    (problem,) = refused(lambda: write(store, "base", "schema.other", value))
    assert (problem.path, problem.rule) == ("schema.other.documents", "schema-pattern")


def test_a_schema_adds_to_a_category_and_takes_nothing_away(store: Store) -> None:
    text = {"properties": {"max_leverage": {"maximum": 2}}, "required": ["max_leverage"]}
    value = {"documents": "risk.global", "version": 1, "text": json.dumps(text)}
    write(store, "base", "schema.tighter", value)
    assert [one.path for one in refused(lambda: write(store, "base", "risk.global.max_leverage", 2.5))] == [
        "risk.global.max_leverage"
    ]
    told = refused(lambda: write(store, "base", "risk.global", {"max_leverage": 1, "nonsense": 1}))
    assert [one.rule for one in told] == ["unknown-field"]


def test_a_registration_says_what_a_document_is_also_for_expect(store: Store) -> None:
    value = {"documents": "signals.*.*", "version": 1, "text": "{}"}
    seen = write(store, "base", "schema.deep", value).revision
    write(store, "base", "signals.a.one.x", 1)
    with store.edit("base", author="ada", expect=seen) as edit:
        edit.set("signals.a.two.x", 2)
    edit_again = store.edit("base", author="ada", expect=seen)
    edit_again.set("signals.a.one.x", 2)
    with pytest.raises(errors.ExpectationFailed), edit_again:
        pass


def test_a_document_inside_another_is_judged_with_it_and_alone(store: Store) -> None:
    text = {"properties": {"x": {"type": "integer"}}}
    write(
        store,
        "base",
        "schema.outer",
        {"documents": "box.*", "version": 1, "text": json.dumps({"properties": {"inner": {"maxProperties": 1}}})},
    )
    write(store, "base", "schema.inner", {"documents": "box.*.inner", "version": 1, "text": json.dumps(text)})
    write(store, "base", "box.a.inner.x", 1)
    assert [one.path for one in refused(lambda: write(store, "base", "box.a.inner.x", "text"))] == ["box.a.inner.x"]
    assert [one.path for one in refused(lambda: write(store, "base", "box.a.inner.y", 1))] == ["box.a.inner"]


def test_a_new_parent_is_judged(connect_store: ConnectStore, store: Store) -> None:
    write(connect_store(rules=()), "testing", "risk.global.max_leverage", -1)
    problems = refused(lambda: store.reparent_environment("production", "testing", author="ada"))
    assert {(one.path, one.environment) for one in problems} == {("risk.global.max_leverage", "production")}
    assert store.forest().parents["production"] == "base"


def test_the_registry_finds_what_is_wrong_today(connect_store: ConnectStore, store: Store) -> None:
    write(store, "base", "risk.global.max_leverage", 2)
    write(connect_store(rules=()), "base", "logging", {"nonsense": 1, "backup_count": 2})
    assert [one.path for one in store.find("production", Asked(invalid=True))] == ["logging"]
    assert store.find("production", Asked(invalid=True, fields={"kind": "risk_limits"})) == ()


def test_removing_what_was_invalid_is_never_refused(connect_store: ConnectStore, store: Store) -> None:
    write(connect_store(rules=()), "base", "logging", {"nonsense": 1, "backup_count": 2})
    with store.edit("base", author="ada") as edit:
        edit.unset("logging.nonsense")
    assert edit.committed.created


def test_values_that_came_by_value_are_what_was_written(store: Store) -> None:
    write(
        store,
        "base",
        "token.So11111111111111111111111111111111111111112",
        {
            "address": "So11111111111111111111111111111111111111112",
            "symbol": "SOL",
            "decimals": 9,
            "min_order_size": "0.100000000000000000001",
        },
    )
    found = store.get("token.So11111111111111111111111111111111111111112.min_order_size", "base")
    assert thaw(found.value) == "0.100000000000000000001"


# -- what a plan reads -------------------------------------------------------------------------------------------------


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The scopes of every round trip in which plans read."""
    found: list[tuple[str, ...]] = []
    near = reading.near

    def recording(connection: Any, environments: Any, scopes: Any, reached: Any, **more: Any) -> Any:
        found.append(tuple(scopes))
        return near(connection, environments, scopes, reached, **more)

    monkeypatch.setattr(reading, "near", recording)
    return found


def test_a_plan_reads_once_and_the_fleet_only_where_readers_are_told_apart(
    connect_store: ConnectStore, store: Store, read: list[tuple[str, ...]]
) -> None:
    write(store, "production", "fleet.bots.mm.labels.mode", "live")
    write(store, "base", "logging.backup_count", 1)
    write(store, "production", "security.session_timeout", 60, "mode=live")
    mine = connect_store()
    read.clear()
    for number in (2, 3):
        write(mine, "base", "logging.backup_count", number)
    assert len(read) == 2
    assert not any("fleet.bots" in scopes for scopes in read)
    read.clear()
    write(mine, "base", "security.session_timeout", 50)
    assert ["fleet.bots" in scopes for scopes in read] == [False, True], "nobody could know"
    write(mine, "base", "security.session_timeout", 40)
    assert ["fleet.bots" in scopes for scopes in read[2:]] == [True], "it is remembered"


def test_the_bot_that_a_problem_is_about_is_named_although_all_see_the_same(store: Store) -> None:
    write(store, "production", "fleet.bots.mm.labels.mode", "live")
    (problem,) = refused(lambda: write(store, "production", "logging.backup_count", -1))
    assert dict(problem.labels) == {"bot": "mm", "mode": "live"}


def test_a_registration_that_this_writer_never_saw_costs_one_round_trip_more(
    connect_store: ConnectStore, store: Store, read: list[tuple[str, ...]]
) -> None:
    mine = connect_store()
    write(mine, "base", "signals.fast.x.y", 1)
    write(store, "base", "schema.deep", {"documents": "signals", "version": 1, "text": '{"maxProperties": 1}'})
    read.clear()
    (problem,) = refused(lambda: write(mine, "base", "signals.slow.x.y", 1))
    assert (problem.path, len(read)) == ("signals", 3)
    read.clear()
    write(mine, "base", "signals.fast.x.y", 2)
    assert len(read) == 1


def test_what_a_rule_reads_is_there_when_only_a_label_moves(connect_store: ConnectStore, store: Store) -> None:
    """The exchange of a strategy that nobody touches: a bot that goes live needs its credentials."""
    del store
    mine = connect_store(rules=None)
    with mine.edit("base", author="ada") as edit:
        edit.set("risk.global.max_leverage", 2)
        edit.set("risk.parameters", {"max_position_size": 1, "daily_loss_limit": 1})
        edit.set("exchange.hyperliquid", {"testnet": False})
        edit.set("strategy.maker", {"name": "maker", "version": "1.0.0", "enabled": True, "exchange": "hyperliquid"})
        edit.set("fleet.bots.mm.labels", {"mode": "paper", "strategy": "maker"})
    (problem,) = refused(lambda: write(mine, "base", "fleet.bots.mm.labels.mode", "live"))
    assert (problem.rule, problem.path) == ("live-credentials", "exchange.hyperliquid.credentials")
    write(mine, "base", "exchange.hyperliquid.credentials", {"api_key": "SECURE:key"})
    assert write(mine, "base", "fleet.bots.mm.labels.mode", "live").created


@dataclass
class ByName:
    """A rule that reads what a document names, as a strategy names its exchange."""

    name: str = "by-name"
    reads: tuple[str, ...] = ()
    dimensions: frozenset[str] = frozenset()

    def watches(self, document: str) -> bool:
        return document == "planned.one"

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        del document, before
        return (f"limits.{after['limit']}",) if isinstance(after, dict) else ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        planned = seen.at("planned.one")
        assert isinstance(planned, dict)
        if isinstance(seen.at(f"limits.{planned['limit']}"), Absent):
            yield Problem(path="planned.one.limit", rule=self.name, why="there is no such limit")


def test_what_a_document_had_to_read_is_asked_for_at_once_and_what_it_needs_anew_is_read_all_the_same(
    connect_store: ConnectStore, store: Store, read: list[tuple[str, ...]]
) -> None:
    del store
    mine, others = connect_store(rules=(ByName(),)), connect_store(rules=())
    with others.edit("base", author="ada") as edit:
        edit.set("limits", {"one": {"most": 1}, "two": {"most": 2}})
        edit.set("planned.one", {"limit": "one", "x": 1})

    def reads_of(value: int) -> int:
        read.clear()
        assert write(mine, "base", "planned.one.x", value).created
        return len(read)

    assert [reads_of(value) for value in (2, 3)] == [2, 1]
    write(others, "base", "planned.one.limit", "two")
    assert [reads_of(value) for value in (4, 5)] == [2, 1]
    assert ["limits.two" in scopes for scopes in read] == [True]
    assert not any("limits.one" in scopes for scopes in read), "what it does not need any more cannot be in its way"
    with others.edit("base", author="ada") as edit:
        edit.unset("limits.two")
    assert [one.rule for one in refused(lambda: reads_of(6))] == ["by-name"]
    write(others, "base", "planned.one.limit", "none")
    assert [one.rule for one in refused(lambda: reads_of(6))] == ["by-name"]


def test_what_another_writer_registers_between_two_commits_of_ours_holds_for_the_second(
    connect_store: ConnectStore, store: Store
) -> None:
    """A schema, a rule, a guard's threshold: nothing that a writer remembers stands in their way."""
    del store
    mine, others = connect_store(rules=None), connect_store(rules=None)

    def commit(value: int) -> Committed:
        return write(mine, "production", "signals.fast.window", value)

    for number in (1, 2):
        assert commit(number).created
    register(others, text={"properties": {"window": {"maximum": 9}}})
    (problem,) = refused(lambda: commit(10))
    assert (problem.rule, problem.path) == ("range", "signals.fast.window")
    assert commit(3).created
    rule = {"documents": "signals.*", "cel": "doc.window <= at('limits.one').most", "message": "too wide"}
    with others.edit("base", author="ada") as edit:
        edit.set("limits.one.most", 5)
        edit.set("rule.narrow", rule)
    (problem,) = refused(lambda: commit(6))
    assert (problem.rule, problem.why) == ("narrow", "too wide")
    assert commit(2).created
    write(others, "base", "limits.one.most", 3)
    assert [one.why for one in refused(lambda: commit(5))] == ["too wide"]
    with others.edit("base", author="ada") as edit:
        edit.unset("rule.narrow")
    assert commit(5).created


def test_a_guard_that_another_writer_tightens_holds_for_the_next_commit(
    connect_store: ConnectStore, store: Store
) -> None:
    del store
    mine, others = connect_store(rules=None), connect_store(rules=None)
    for limit in (0.01, 0.02, 0.03):
        write(mine, "base", "risk.global.max_daily_loss", limit)
    write(others, "base", "guard.config.max_risk_factor", 1.5)
    problems = refused(lambda: write(mine, "base", "risk.global.max_daily_loss", 0.06))
    assert {one.rule for one in problems} == {"guard-risk"}


def test_an_environment_that_gets_another_parent_between_two_commits_is_judged_by_what_it_inherits_then(
    connect_store: ConnectStore, store: Store
) -> None:
    store.create_environment("strict", author="ada")
    register(store, "strict", text={"properties": {"window": {"maximum": 9}}})
    mine, others = connect_store(rules=None), connect_store(rules=None)
    for number in (10, 11):
        assert write(mine, "production", "signals.fast.window", number).created
    write(others, "production", "signals.fast.window", 9)
    others.reparent_environment("production", "strict", author="ada", force="a test")
    (problem,) = refused(lambda: write(mine, "production", "signals.fast.window", 10))
    assert (problem.rule, problem.environment) == ("range", "production")
