"""The command line on a real store: what it commits, what it reads back, and the documents that programs get."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.integration.conftest import KEY
from tests.support.console import Console
from tests.support.servers import Database
from trimtab_store.cli.watching import follow
from trimtab_store.history import Entry, PathEntry
from trimtab_store.store import Store

LEVERAGE = "risk.global.max_leverage"
PRODUCTION = ("-e", "production", "--reason", "a test")


def test_a_value_that_was_set_is_read_back(console: Console) -> None:
    done = console.done("set", "risk.global.max_correlation", "0.6", *PRODUCTION)
    found = console.done("get", "risk.global.max_correlation", "-e", "production")
    assert (found["value"], found["revision"]) == (0.6, done["revision"])
    assert (done["paths"], done["environments"]) == (["risk.global.max_correlation"], ["production"])


def test_a_change_of_base_reaches_every_environment(console: Console) -> None:
    said = console("set", "risk.global.max_correlation", "0.6", "-e", "base")
    assert said.code == 0
    assert said.out.endswith("reaches base, development, production, staging, testing.\n")


@pytest.mark.parametrize("bot", ["mm-btc", "mr-eth", "arb-btc"])
def test_an_overlay_shows_to_those_whom_it_names(console: Console, bot: str) -> None:
    console.done("set", LEVERAGE, "1.2", "--layer", "bot=mm-btc", *PRODUCTION)
    found = console.done("get", LEVERAGE, "-e", "production", "--label", f"bot={bot}", "--label", "region=ny4")
    assert found["value"] == {"mm-btc": 1.2, "mr-eth": 1.8, "arb-btc": 1.5}[bot]


def test_several_layers_name_one_overlay(console: Console) -> None:
    console.done("set", LEVERAGE, "1.1", "-l", "region=ld4", "-l", "mode=live", *PRODUCTION)
    items = console.done("list", "-e", "production", "--prefix", LEVERAGE, "--stored")["items"]
    assert [one["value"] for one in items if one["layer"] == "mode=live,region=ld4"] == [1.1]


@pytest.mark.parametrize("value", ["-5", "-0.5", "-1e3"])
def test_a_negative_number_is_a_value_and_not_an_option(console: Console, value: str) -> None:
    console.done("set", "desk.offset", value, *PRODUCTION)
    assert console.done("get", "desk.offset", "-e", "production")["value"] == float(value)


def test_text_that_looks_like_a_number_stays_text(console: Console) -> None:
    console.done("set", "desk.code", "007", "--string", *PRODUCTION)
    console.done("set", "desk.offset", "--string", "-5", *PRODUCTION)
    assert console("get", "desk", "-e", "staging").code == 3
    found = console.done("get", "desk", "-e", "production")["value"]
    assert (found["code"], found["offset"]) == ("007", "-5")


def test_merge_leaves_the_other_fields_alone_and_set_replaces_them(console: Console) -> None:
    console.done("merge", "trading", '{"max_daily_loss": 1}', *PRODUCTION)
    assert len(console.done("get", "trading", "-e", "production")["value"]) > 1
    assert console("hide", "trading", *PRODUCTION).code == 4, "limits are not taken away by the way"
    console.done("hide", "trading", *PRODUCTION, "--force", "a test")
    console.done("set", "trading", '{"max_daily_loss": 2}', *PRODUCTION)
    assert console.done("list", "-e", "production", "--prefix", "trading", "--stored")["total"] > 1


def test_unset_shows_what_lies_below_and_hide_shows_nothing(console: Console) -> None:
    console.done("set", "risk.global.max_correlation", "0.5", *PRODUCTION)
    console.done("unset", "risk.global.max_correlation", *PRODUCTION)
    assert console.done("get", "risk.global.max_correlation", "-e", "production")["value"] == 0.7
    console.done("hide", "risk.global.max_correlation", *PRODUCTION, "--force", "a test")
    assert console("get", "risk.global.max_correlation", "-e", "production").code == 3


def test_a_dry_run_says_what_it_would_do_and_does_nothing(console: Console) -> None:
    before = console.done("history", "-e", "production")
    found = console.done("set", LEVERAGE, "1", "-e", "production", "--dry-run")
    assert found == {"paths": [LEVERAGE], "environments": ["production"], "warnings": []}
    assert console.done("history", "-e", "production") == before
    said = console("set", LEVERAGE, "1", "-e", "production", "--dry-run")
    assert said.out == f"Would change {LEVERAGE}; reaches production.\n"


def test_a_value_that_stands_there_already_makes_no_revision(console: Console) -> None:
    first = console.done("set", "a.b", "1", *PRODUCTION)
    second = console.done("set", "a.b", "1", *PRODUCTION)
    assert (second["created"], second["revision"]) == (False, first["revision"])
    assert console("set", "a.b", "1", *PRODUCTION).out.startswith("Nothing changed; production stands at revision ")


def test_a_command_that_is_repeated_with_its_key_commits_once(console: Console) -> None:
    first = console.done("set", "a.b", "1", "--idempotency-key", "k", *PRODUCTION)
    second = console.done("set", "a.b", "1", "--idempotency-key", "k", *PRODUCTION)
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first["revision"] == second["revision"]


def test_the_author_is_the_user_of_the_system_unless_named(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    console.done("set", "a.b", "1", *PRODUCTION)
    console.done("set", "a.b", "2", "--author", "ada", *PRODUCTION)
    console.done("set", "a.b", "3", "--user", "alan", *PRODUCTION)
    assert [one["author"] for one in console.done("history", "a.b", "-e", "production")] == ["alan", "ada", "grace"]


def test_the_environment_may_come_from_a_variable(console: Console) -> None:
    console.variables(ENVIRONMENT="staging")
    assert console.done("set", "a.b", "1")["environment"] == "staging"


def test_history_names_who_what_when_and_why(console: Console) -> None:
    console.done("set", "a.b", "1", "-e", "staging", "--author", "ada", "--reason", "first")
    console.done("set", "a.b", "[2]", "-e", "staging", "--author", "alan", "--urgent")
    found = console.done("history", "a.b", "-e", "staging", "--limit", "2")
    seen = [(one["author"], one["reason"], one["old"], one["new"], one["urgent"]) for one in found]
    assert seen == [("alan", "", 1, [2], True), ("ada", "first", {"absent": True}, 1, False)]
    table = console("history", "-e", "staging", "-n", "1").out.splitlines()
    assert table[0].split() == ["revision", "committed_at", "author", "environment", "items", "reason"]
    assert table[1].split()[2:] == ["alan", "staging", "1"]


def test_what_was_then_is_read_by_revision_and_by_time(console: Console) -> None:
    first = console.done("set", "a.b", "1", *PRODUCTION)
    console.done("set", "a.b", "2", *PRODUCTION)
    for moment in (str(first["revision"]), first["committed_at"]):
        assert console.done("get", "a.b", "-e", "production", "--as-of", moment)["value"] == 1
        assert console.done("list", "-e", "production", "--prefix", "a", "--as-of", moment)["items"] == [
            {"path": "a.b", "value": 1}
        ]


def test_diff_shows_what_differs_between_two_revisions(console: Console) -> None:
    first = console.done("set", "a.b", "1", *PRODUCTION)["revision"]
    second = console.done("hide", "a.b", *PRODUCTION)["revision"]
    assert console.done("diff", str(first), "-e", "production") == [
        {"environment": "production", "layer": "common", "path": "a.b", "old": 1, "new": {"hidden": True}}
    ]
    table = console("diff", str(first), str(second), "-e", "production").out.splitlines()
    assert table[1].split() == ["production", "common", "a.b", "1", "(hidden)"]


def test_explain_shows_every_layer_that_has_a_say_and_the_winner(console: Console) -> None:
    labels = ("--label", "bot=mm-btc", "--label", "region=ny4")
    found = console.done("explain", LEVERAGE, "-e", "production", *labels)["candidates"]
    assert [(one["layer"], one["value"]) for one in found if one["wins"]] == [("region=ny4", 2.5)]
    assert {one["layer"] for one in found if not one["seen"]} >= {"bot=arb-btc", "mode=live"}
    assert console("explain", LEVERAGE, "-e", "production", *labels).out.splitlines()[1].split()[0] == "wins"


def test_list_is_cut_at_its_limit_and_says_so(console: Console) -> None:
    found = console.done("list", "-e", "production", "--limit", "3")
    assert (len(found["items"]), found["total"] > 100) == (3, True)
    said = console("list", "-e", "production", "--limit", "3")
    assert said.out.splitlines()[-1] == f"{found['total'] - 3} more; raise --limit or narrow --prefix"


def test_rollback_brings_back_what_was(console: Console) -> None:
    first = console.done("set", "a.b", "1", *PRODUCTION)["revision"]
    console.done("set", "a.b", "2", *PRODUCTION)
    done = console.done("rollback", str(first), *PRODUCTION)
    assert (done["paths"], done["inherited"], done["pinned"]) == (["a.b"], [], [])
    assert console.done("get", "a.b", "-e", "production")["value"] == 1


def test_rollback_names_what_a_parent_changed_and_pins_it_if_told(console: Console) -> None:
    first = console.done("set", "a.b", "1", *PRODUCTION)["revision"]
    console.done("set", "risk.global.max_correlation", "0.5", "-e", "base")
    said = console("rollback", str(first), *PRODUCTION)
    assert said.code == 0
    assert said.out.splitlines()[2].split() == ["base", "common", "risk.global.max_correlation", "0.7", "0.5"]
    done = console.done("rollback", str(first), "--pin", *PRODUCTION)
    assert done["pinned"] == ["risk.global.max_correlation"]


@pytest.mark.parametrize("name", ["production.yaml", "production.json", "production.toml"])
def test_an_export_is_imported_without_a_difference(console: Console, tmp_path: Path, name: str) -> None:
    assert console("export", "-e", "production", "--output", name).code == 0
    assert (tmp_path / name).read_text().startswith(("{", "trimtab: 1", "trimtab = 1"))
    assert console.done("validate", name, "-e", "production")["changes"] == []
    assert console.done("import", name, *PRODUCTION)["created"] is False
    console.done("set", "a.b", "1", *PRODUCTION)
    assert console.done("import", name, *PRODUCTION)["paths"] == ["a.b"]


def test_an_export_goes_to_standard_output_in_the_format_that_is_named(console: Console) -> None:
    assert console("export", "-e", "staging", "--format", "yaml").out.startswith("trimtab: 1\nenvironment: staging\n")
    assert console("export", "-e", "staging", "--json").json["environment"] == "staging"


def test_what_is_stored_is_valid(console: Console) -> None:
    found = console.done("validate", "-e", "production")
    assert (found["valid"], found["items"] > 100) == (True, True)
    assert console("validate", "-e", "base").out.endswith("items of base are valid, inherited ones included.\n")


def test_environments_are_listed_created_and_moved(console: Console) -> None:
    console.done("env", "create", "paper-eu", "--parent", "production", "--reason", "Europe")
    names = {one["environment"]: one["inherits"] for one in console.done("env", "list")}
    assert names["paper-eu"] == ["production", "base"]
    console.done("env", "inherit", "paper-eu", "staging")
    console.done("env", "dimensions", "base", "region", "strategy", "venue", "mode", "node", "bot")
    assert console("env", "list").out.count("region, strategy, venue, mode, node, bot") == 6


def test_a_declared_epoch_goes_on_above_everything_known(console: Console) -> None:
    head = console.done("history", "-e", "production")[0]["revision"]
    done = console.done("epoch", "declare", "--from", str(head), "--reason", "a test", "--lost", "nothing")
    assert (done["epoch"], done["revision"] > head) == (2, True)


def test_status_shows_heads_also_without_agents(console: Console) -> None:
    found = console.done("status")
    assert set(found["environments"]) == {"base", "development", "testing", "staging", "production"}
    assert (found["agents"], found["trouble"]) == ([], "")
    assert console("status", "-e", "production").out.endswith("No agent has reported.\n")


def test_watch_shows_changes_as_they_come_and_only_those_asked_for(console: Console, fleet_database: Database) -> None:
    with Store.connect(fleet_database.login("trimtab_writer"), signing_key=KEY) as store:

        def change() -> None:
            with store.edit("base", author="ada", reason="tighter") as edit:
                edit.set("risk.global.max_correlation", 0.5)
                edit.set("logging.level", "DEBUG")

        timer = threading.Timer(0.5, change)
        timer.start()
        lines = console("watch", "risk.**", "-e", "production", "--seconds", "2").out.splitlines()
        timer.join()
    assert lines[0].startswith("Watching risk.** in production from revision ")
    assert [line.partition("  ")[2] for line in lines[1:]] == [
        "risk.global.max_correlation (base, common)  0.7 -> 0.5  ada: tighter"
    ]


def test_watch_tells_of_revisions_without_items_too(console: Console, fleet_database: Database) -> None:
    head = console.done("history", "-e", "staging")[0]["revision"]
    console.done("env", "inherit", "staging", "testing", "--author", "ada")
    console.done("set", "a.b", "1", "-e", "staging")
    with Store.connect(fleet_database.login("trimtab_writer")) as store:
        found = list(follow(store, "staging", head, 0))
    assert [type(one) for one in found] == [Entry, PathEntry]
    assert found[0].kind == "structure"


def test_a_backup_is_restored_in_place_as_a_new_epoch(console: Console) -> None:
    kept = console.done("set", "a.b", "1", *PRODUCTION)["revision"]
    saved = console.done("backup", "kept")
    assert (saved["epoch"], saved["revision"]) == (1, kept)
    lost = console.done("set", "a.b", "2", *PRODUCTION)["revision"]
    assert console("backup", "kept").code == 2
    assert console("restore", "kept", "--reason", "a test").code == 5
    said = console("restore", "kept", "--reason", "a test", "--replace")
    assert said.code == 0, said
    assert said.out.startswith(f"Restored kept; epoch 2 goes on at revision {lost + 1}.\n")
    assert console.done("get", "a.b", "-e", "production")["value"] == 1
    assert console.done("validate", "-e", "production")["valid"]


def test_a_backup_that_was_damaged_is_7(console: Console, tmp_path: Path) -> None:
    console.done("backup", "kept")
    target = tmp_path / "kept" / "configuration_versions.copy"
    target.write_bytes(target.read_bytes() + b"x")
    said = console("restore", "kept", "--reason", "a test", "--replace")
    assert (said.code, said.out) == (7, "")
    assert "is not what was written" in said.err
