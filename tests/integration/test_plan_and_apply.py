"""A tree of files against a real store: what would change, one revision for each environment, nothing twice."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import KEY, ConnectStore
from tests.support.console import Console
from tests.support.servers import Database
from trimtab.model.errors import EnvironmentNotFound, StructureRefused
from trimtab.model.problems import DocumentsRefused
from trimtab.model.values import thaw
from trimtab_store.cli import progress
from trimtab_store.editing import Request
from trimtab_store.files import read_tree
from trimtab_store.sources import applying, showing
from trimtab_store.sources.following import Follower, follow
from trimtab_store.sources.planning import TreePlan, Wanted
from trimtab_store.sources.target import Sources
from trimtab_store.store import Store
from trimtab_store.writer import Committed

WORDS = Request(environment="", author="test", reason="files")
FILES = {
    "base/risk.yaml": "risk: {global: {max_leverage: 3.0, max_daily_loss: 0.08}}\n",
    "base/logging.json": '{"logging": {"level": "INFO"}}',
    "production/trading.toml": "[trading]\nmax_position_size = 0.05\nmaxDailyLoss = 5000\n",
    "production/overlays/mode=paper.hcl": "trading {\n  max_daily_loss = 100\n}\n",
    "production/common.hide.yaml": "- risk.position_sizing\n",
}


def planted(directory: Path, files: dict[str, str | None]) -> Path:
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True) if text is None else file.write_text(text)
    return directory


def planned(
    store: Store,
    directory: Path,
    environment: str | None = None,
    variables: dict[str, str] | None = None,
    *,
    prune: bool = False,
) -> TreePlan:
    variables = variables or {}
    tree = read_tree(directory, variables=variables, known=store.forest())
    sources = Sources(variables, process=environment is not None)
    return store.plan_files(tree, Wanted(words=WORDS, environment=environment, prune=prune, sources=sources))


def applied(store: Store, plan: TreePlan) -> list[Committed]:
    done: list[Committed] = []
    applying.apply(store, plan, done.append)
    return done


def differences(plan: TreePlan) -> list[tuple[str, str, str, bytes | None, bytes | None]]:
    return [(d.environment, d.layer, d.path, d.old, d.new) for one in plan.environments for d in one.differences]


def test_a_plan_shows_old_and_new_and_commits_nothing(store: Store, tmp_path: Path) -> None:
    with store.edit("base", author="test") as edit:
        edit.set("risk.global", {"max_leverage": 2.0, "max_correlation": 0.7})
    before = store.queries.state("base", None)[1].revision
    plan = planned(store, planted(tmp_path, {**FILES}))
    assert differences(plan) == [
        ("base", "", "logging.level", None, b'"INFO"'),
        ("base", "", "risk.global.max_daily_loss", None, b"0.08"),
        ("base", "", "risk.global.max_leverage", b"2.0", b"3.0"),
        ("production", "", "risk.position_sizing", None, b""),
        ("production", "", "trading.max_daily_loss", None, b"5000"),
        ("production", "", "trading.max_position_size", None, b"0.05"),
        ("production", "mode=paper", "trading.max_daily_loss", None, b"100"),
    ]
    assert [(one.name, one.creates, one.left) for one in plan.environments] == [
        ("base", False, 1),
        ("production", False, 0),
    ]
    assert store.queries.state("base", None)[1].revision == before
    rows: Any = showing.to_dict(plan)["environments"]
    assert rows[0]["differences"][2]["source"] == str(tmp_path / "base/risk.yaml")


def test_applying_is_one_revision_for_each_environment_that_differs_and_nothing_the_second_time(
    store: Store, tmp_path: Path
) -> None:
    planted(tmp_path, {**FILES})
    done = applied(store, planned(store, tmp_path))
    assert [one.environment for one in done] == ["base", "production"]
    assert thaw(store.get("trading", "production").value) == {"max_position_size": 0.05, "max_daily_loss": 5000}
    again = planned(store, tmp_path)
    assert (again.changes, applied(store, again)) == (False, [])
    planted(tmp_path, {"base/logging.json": '{"logging": {"level": "DEBUG"}}'})
    assert [(one.environment, one.paths) for one in applied(store, planned(store, tmp_path))] == [
        ("base", ("logging.level",))
    ]


def test_what_files_no_longer_hold_stays_unless_it_is_pruned(store: Store, tmp_path: Path) -> None:
    applied(store, planned(store, planted(tmp_path, {**FILES})))
    planted(tmp_path, {"base/logging.json": None})
    kept = planned(store, tmp_path)
    assert (kept.changes, [one.left for one in kept.environments]) == (False, [1, 0])
    pruned = planned(store, tmp_path, prune=True)
    assert differences(pruned) == [("base", "", "logging.level", b'"INFO"', None)]
    assert len(applied(store, pruned)) == 1
    assert planned(store, tmp_path, prune=True).changes is False


def test_missing_environments_are_created_parents_first(connect_store: ConnectStore, tmp_path: Path) -> None:
    store = connect_store()
    planted(tmp_path, {**FILES, "paper-eu/logging.yaml": "logging: {level: WARNING}\n"})
    plan = planned(store, tmp_path)
    assert [(one.name, one.parent, one.creates) for one in plan.environments] == [
        ("base", None, True),
        ("paper-eu", "base", True),
        ("production", "base", True),
    ]
    assert len(applied(store, plan)) == 6
    assert store.forest().parents == {"base": None, "paper-eu": "base", "production": "base"}
    assert planned(store, tmp_path).changes is False


def test_an_environment_that_the_store_has_keeps_its_parent_without_a_fleet_file(store: Store, tmp_path: Path) -> None:
    store.create_environment("canary", parent="production", author="test")
    planted(tmp_path, {"canary/logging.yaml": "logging: {level: DEBUG}\n", "base/.keep": ""})
    plan = planned(store, tmp_path)
    assert [(one.name, one.parent, one.creates) for one in plan.environments] == [
        ("base", None, False),
        ("canary", "production", False),
    ]


def test_a_tree_that_declares_another_structure_is_refused(store: Store, tmp_path: Path) -> None:
    declared = (
        "environments:\n- name: base\n- name: production\n  parent: base\n- {name: testing, parent: production}\n"
    )
    planted(tmp_path, {"fleet.yaml": declared, **{f"{name}/.keep": "" for name in ("base", "production", "testing")}})
    with pytest.raises(StructureRefused, match="trimtab env inherit testing production"):
        planned(store, tmp_path)


def test_one_environment_is_planned_with_local_files_and_variables_over_it(store: Store, tmp_path: Path) -> None:
    applied(store, planned(store, planted(tmp_path, {**FILES})))
    planted(tmp_path, {"local/mine.yaml": "trading: {max_position_size: 0.01}\n"})
    variables = {"QUANTBOT_TRADING_MAX_DAILY_LOSS": "250", "RISK_GLOBAL_MAX_LEVERAGE": "1.5", "DATA_DIR": "/srv"}
    everything = planned(store, tmp_path, None, variables)
    assert everything.changes is False
    assert "local/, QUANTBOT_TRADING_MAX_DAILY_LOSS" in everything.notes[0]
    one = planned(store, tmp_path, "production", variables)
    assert differences(one) == [
        ("production", "", "risk.global.max_leverage", None, b"1.5"),
        ("production", "", "trading.max_daily_loss", b"5000", b"250"),
        ("production", "", "trading.max_position_size", b"0.05", b"0.01"),
    ]
    assert one.notes == ("No path is known for DATA_DIR: passed over",)
    (committed,) = applied(store, one)
    assert committed.environment == "production"
    overlays = store.get("trading.max_daily_loss", "production", {"mode": "paper"}).value
    assert overlays == 100  # the store's overlays are stronger than any of these


def test_a_variable_may_name_a_path_that_only_the_store_holds(store: Store, tmp_path: Path) -> None:
    with store.edit("base", author="test") as edit:
        edit.set("venue.paper", {"delay": 5, "name": "x"})
    planted(tmp_path, {"production/.keep": ""})
    plan = planned(store, tmp_path, "production", {"QUANTBOT_VENUE_PAPER_DELAY": "7"})
    assert differences(plan) == [("production", "", "venue.paper.delay", None, b"7")]


def test_a_category_that_is_almost_called_like_a_known_one_is_told(store: Store, tmp_path: Path) -> None:
    planted(tmp_path, {"base/risk.yaml": "rsik: {global: {max_leverage: 3.0}}\nvenue: {a: 1}\n"})
    note = f"The category rsik of {tmp_path}/base/risk.yaml is new: Did you mean risk?"
    assert planned(store, tmp_path).notes == (note,)


def test_a_directory_that_is_almost_called_like_an_environment_is_told(store: Store, tmp_path: Path) -> None:
    planted(tmp_path, {"prodution/venue.yaml": "venue: {a: 1}\n", "canary/venue.yaml": "venue: {a: 1}\n"})
    assert planned(store, tmp_path).notes == ("The environment prodution is new: Did you mean production?",)


def test_an_environment_without_files_is_refused_by_name(store: Store, tmp_path: Path) -> None:
    planted(tmp_path, {**FILES})
    with pytest.raises(EnvironmentNotFound, match="Did you mean production"):
        planned(store, tmp_path, "prodution")


def test_one_refused_document_in_the_last_environment_commits_nothing_of_the_first(
    store: Store, tmp_path: Path
) -> None:
    planted(tmp_path, {**FILES, "production/trading.toml": "[trading]\nmax_position_size = 50\n"})
    with pytest.raises(DocumentsRefused) as caught:
        planned(store, tmp_path)
    assert [one.path for one in caught.value.problems] == ["trading.max_position_size"]
    assert store.queries.state("base", None)[0].count == 0


@pytest.mark.usefixtures("store")
def test_an_environment_is_checked_against_what_its_parent_will_be(connect_store: ConnectStore, tmp_path: Path) -> None:
    """The strategy of production trades on an exchange that base gets in the same plan."""
    store = connect_store(rules=None)
    strategy = "strategy: {s: {name: s, version: 1.0.0, enabled: true, exchange: hyperliquid, symbols: [BTC-USD]}}\n"
    planted(tmp_path, {"production/strategies.yaml": strategy, "base/exchanges.yaml": "exchange: {phemex: {}}\n"})
    with pytest.raises(DocumentsRefused, match="hyperliquid"):
        planned(store, tmp_path)
    planted(tmp_path, {"base/exchanges.yaml": "exchange: {hyperliquid: {testnet: true}}\n"})
    assert [one.environment for one in applied(store, planned(store, tmp_path))] == ["base", "production"]


def test_no_refusal_shows_what_a_variable_said(store: Store, tmp_path: Path) -> None:
    planted(tmp_path, {"base/trading.yaml": 'trading: {max_position_size: "${SIZE}"}\n'})
    with pytest.raises(DocumentsRefused) as caught:
        planned(store, tmp_path, None, {"SIZE": "4711.5"})
    error: BaseException | None = caught.value
    while error is not None:
        assert "4711" not in str(error)
        error = error.__cause__ or error.__context__
    assert "trading.max_position_size" in str(caught.value)


def test_a_secret_is_masked_in_a_plan(store: Store, tmp_path: Path) -> None:
    planted(tmp_path, {"base/.env": "DATA_BINANCE_API_KEY='hunter2'\n"})
    planted(
        tmp_path, {"base/data.yaml": 'data: {binance: {symbol: BTCUSDT}}\nvenue: {a: "${VENUE_SECRET}", b: "${X}"}\n'}
    )
    plan = planned(store, tmp_path, None, {"VENUE_SECRET": "hunter3", "X": "shown"})
    said = str(showing.to_dict(plan))
    assert "hunter" not in said
    assert "shown" in said
    assert ("base", "", "data.binance.api_key", None, b'"hunter2"') in differences(plan)


def test_what_others_committed_since_the_plan_stays(store: Store, tmp_path: Path) -> None:
    plan = planned(store, planted(tmp_path, {**FILES}))
    with store.edit("base", author="test") as edit:
        edit.set("venue.a", 1)
    applied(store, plan)
    assert store.get("venue.a", "base").value == 1


def test_a_tree_that_is_loaded_whole_says_what_its_variables_say(store: Store, tmp_path: Path) -> None:
    planted(tmp_path, {**FILES, "production/.env": "RISK_GLOBAL_MAX_LEVERAGE=1.5\n", "local/a.yaml": "venue: {a: 1}\n"})
    store.load_tree(read_tree(tmp_path, variables={}), author="test")
    assert store.get("risk.global.max_leverage", "production").value == 1.5
    assert planned(store, tmp_path, prune=True).changes is False


def test_what_a_variable_says_is_not_shown_when_a_tree_is_checked(desk: Console, tmp_path: Path) -> None:
    planted(tmp_path / "config", {"base/trading.yaml": 'trading: {max_position_size: "${SIZE:-4711.5}"}\n'})
    said = desk("validate", "config")
    assert (said.code, "4711" in said.err) == (4, False), said
    assert "trading.max_position_size" in said.err


# Following

Until = Callable[[int], list[str]]


@pytest.fixture
def followed(store: Store, tmp_path: Path) -> Iterator[tuple[Path, Until]]:
    """A directory that is followed on a thread, and what was said by the time that there is so much of it."""
    said: list[str] = []
    directory = planted(tmp_path / "tree", {**FILES})

    def attempt() -> None:
        applying.apply(store, planned(store, directory), lambda done: said.append(f"committed {done.environment}"))

    def until(count: int) -> list[str]:
        deadline = time.monotonic() + 60
        while len(said) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return list(said)

    follower = Follower(
        directory, attempt, lambda error: said.append(f"refused {error.what}"), lambda: said.append("mended")
    )
    stop = threading.Event()
    thread = threading.Thread(target=follow, args=(follower, None, stop), daemon=True)
    thread.start()
    yield directory, until
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def test_a_broken_file_is_told_once_and_the_last_good_state_stays(store: Store, followed: tuple[Path, Until]) -> None:
    directory, until = followed
    assert until(2) == ["committed base", "committed production"]
    planted(directory, {"base/risk.yaml": "risk: {global: {max_leverage: 2.0\n"})
    said = until(3)
    assert said[2].startswith(f"refused {directory}/base/risk.yaml, line 2")
    planted(directory, {"base/logging.json": '{"logging": {"level": "DEBUG"}}'})  # the same file is still broken
    time.sleep(1.5)
    assert until(0) == said
    assert store.get("risk.global.max_leverage", "base").value == 3.0
    assert store.get("logging.level", "base").value == "INFO"
    planted(directory, {"base/risk.yaml": "risk: {global: {max_leverage: 2.0}}\n"})
    assert until(5)[3:] == ["committed base", "mended"]
    assert store.get("risk.global.max_leverage", "base").value == 2.0
    assert store.get("logging.level", "base").value == "DEBUG"


def test_files_that_are_replaced_as_editors_and_kubernetes_do_are_followed(
    store: Store, followed: tuple[Path, Until]
) -> None:
    directory, until = followed
    until(2)
    base = directory / "base"
    new = base / ".risk.yaml.swp"
    new.write_text("risk: {global: {max_leverage: 2.5}}\n")
    (base / "risk.yaml").unlink()
    new.rename(base / "risk.yaml")
    assert until(3)[2:] == ["committed base"]
    for number, leverage in enumerate((2.0, 1.5)):
        version = base / f"..{number}"
        version.mkdir()
        (version / "risk.yaml").write_text(f"risk: {{global: {{max_leverage: {leverage}}}}}\n")
        link = base / "..data_tmp"
        link.symlink_to(version.name)
        link.rename(base / "..data")
        if number == 0:
            (base / "link").symlink_to("..data/risk.yaml")
            (base / "link").rename(base / "risk.yaml")
        assert until(4 + number)[3 + number :] == ["committed base"]
        assert store.get("risk.global.max_leverage", "base").value == leverage


def test_a_refused_document_is_told_and_mended_like_a_broken_file(store: Store, followed: tuple[Path, Until]) -> None:
    directory, until = followed
    until(2)
    planted(directory, {"production/trading.toml": "[trading]\nmax_position_size = 50\n"})
    assert until(3)[2].startswith("refused ")
    planted(directory, {"production/trading.toml": FILES["production/trading.toml"]})
    assert until(4)[3:] == ["mended"]
    assert store.get("trading.max_position_size", "production").value == 0.05


# The command line


@pytest.fixture
def desk(
    store: Store,
    database: Database,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Console:
    """The command line over a store with a limit of development's own, in an empty folder."""
    store.create_environment("development", parent="base", author="test")
    with store.edit("development", author="test") as edit:
        edit.set("trading", {"max_position_size": 0.01, "max_daily_loss": 100})
    made = Console(capfd, monkeypatch, tmp_path)
    key = tmp_path.with_name(f"{tmp_path.name}-key.json")
    key.touch(0o600)
    key.write_bytes(KEY.to_bytes())
    made.variables(DATABASE_URL=database.login("trimtab_writer"), SIGNING_KEY=key)
    return made


def test_the_commands_plan_and_apply(desk: Console, tmp_path: Path) -> None:
    planted(tmp_path / "config", {"development/trading.yaml": "trading: {max_position_size: 0.015}\n"})
    said = desk("plan", "config")
    assert said.code == 0, said
    assert "development: 1 item would change" in said.out
    assert "common trading.max_position_size 0.01 0.015 config/development/trading.yaml" in " ".join(said.out.split())
    assert "--prune removes them" in said.out
    found = desk.done("plan", "config")
    assert found["environments"][0]["differences"] == [
        {
            "environment": "development",
            "layer": "common",
            "path": "trading.max_position_size",
            "old": 0.01,
            "new": 0.015,
            "source": "config/development/trading.yaml",
        }
    ]
    assert len(desk.done("apply", "config")["commits"]) == 1
    assert desk.done("get", "trading.max_position_size", "-e", "development")["value"] == 0.015
    assert desk.done("apply", "config")["commits"] == []
    assert "Nothing would change." in desk("plan", "config").out


def test_a_change_of_production_needs_a_reason_before_anything_is_committed(desk: Console, tmp_path: Path) -> None:
    planted(tmp_path / "config", {f"{name}/a.yaml": "venue: {a: 1}\n" for name in ("base", "production")})
    said = desk("apply", "config", "--json")
    assert (said.code, said.error["code"]) == (2, "setting")
    assert desk("get", "venue.a", "-e", "base").code == 3
    assert desk("apply", "config", "-e", "base").code == 0


def test_variables_count_for_the_named_environment_alone(
    desk: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(tmp_path / "config", {"development/a.yaml": "venue: {a: 1}\n"})
    monkeypatch.setenv("TRADING_MAX_POSITION_SIZE", "0.012")
    monkeypatch.setenv("Q_VENUE_A", "2")
    assert len(desk.done("plan", "config")["environments"][0]["differences"]) == 1
    named = desk.done("plan", "config", "-e", "development", "--prefix", "Q_")["environments"][0]["differences"]
    assert [(one["path"], one["new"]) for one in named] == [("trading.max_position_size", 0.012), ("venue.a", 2)]
    without = desk.done("plan", "config", "-e", "development", "--prefix", "Q_", "--no-variables")
    assert [one["path"] for one in without["environments"][0]["differences"]] == ["venue.a"]


def test_a_refused_file_is_an_error_with_its_place(desk: Console, tmp_path: Path) -> None:
    planted(tmp_path / "config", {"development/a.toml": "venue.a = 07:30:00\n"})
    said = desk("plan", "config", "--json")
    assert (said.code, said.error["rule"], said.error["line"], said.error["column"]) == (4, "date", 1, 11)


def test_a_guard_is_passed_over_with_a_reason_only(desk: Console, tmp_path: Path) -> None:
    planted(tmp_path / "config", {f"development/{n}.yaml": f"venue: {{a{n}: {{b: 1, c: 2}}}}\n" for n in range(30)})
    assert desk("apply", "config").code == 0
    planted(tmp_path / "config", {f"development/{n}.yaml": None for n in range(29)})
    for command_ in ("plan", "apply"):
        said = desk(command_, "config", "--prune", "--json")
        assert (said.code, said.error["what"]) == (4, "This change needs force"), said
    assert desk("plan", "config", "--prune", "--force", "they are retired").code == 0
    assert desk("apply", "config", "--prune", "--force", "they are retired").code == 0
    assert desk("get", "venue.a0.b", "-e", "development").code == 3
    assert desk.done("get", "venue.a29.b", "-e", "development")["value"] == 1


def test_apply_follows_the_files_for_a_while(desk: Console, tmp_path: Path) -> None:
    planted(tmp_path / "config", {"development/a.yaml": "venue: {a: 1}\n"})
    said = desk("apply", "config", "--watch", "--seconds", "0", "--json")
    assert (said.code, said.err) == (0, "")
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [(one["event"], one["environment"]) for one in events] == [("committed", "development")]


def test_what_is_no_directory_is_not_followed(desk: Console, tmp_path: Path) -> None:
    planted(tmp_path / "config", {"development/a.yaml": "venue: {a: 1}\n"})
    for name in ("confg", "config/development/a.yaml"):
        said = desk("apply", name, "--watch", "--seconds", "1")
        assert (said.code, said.out) == (2, ""), said
        assert f"{name} cannot be followed" in said.err


def test_a_bar_is_shown_while_many_files_are_read_and_somebody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted(tmp_path, {f"base/{number}.yaml": f"venue: {{a{number}: 1}}\n" for number in range(60)})
    with progress.reading(tmp_path) as bar:
        read_tree(tmp_path, on_file=bar.read)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.reading(tmp_path) as bar:
        read_tree(tmp_path, on_file=bar.read)
        assert bar.progress is not None
        bar.progress[0].refresh()
        bar.check()
        bar.progress[0].refresh()
    said = capsys.readouterr().err
    assert "60/60" in said
    assert "Checking what they say" in said
