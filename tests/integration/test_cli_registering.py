"""`trimtab impact`, `mode` and `registry` over the example fleet."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.support.console import Console
from trimtab.model.errors import UsageError
from trimtab_store.cli.impacting import assignment

PRODUCTION = ("-e", "production", "--reason", "a test")
LEVERAGE = "risk.global.max_leverage"


def test_impact_tells_who_would_see_what_and_commits_nothing(console: Console) -> None:
    before = console.done("history", "-e", "production")
    found = console.done("impact", f"{LEVERAGE}=1", "notes.a=x", "-e", "production", "--layer", "bot=mm-btc")
    leverage = [one for one in found["effects"] if one["path"] == LEVERAGE]
    assert [(one["environment"], one["new"]) for one in leverage] == [("production", 1)] * len(leverage)
    assert {reader["name"] for one in leverage for reader in one["readers"]} == {"bot=mm-btc", "mm-btc"}
    said = console("impact", f"{LEVERAGE}=1", "-e", "production", "--layer", "bot=mm-btc")
    assert "bot mm-btc" in said.out
    assert said.out.endswith("1 bot and 0 running agents in production.\n")
    assert console.done("history", "-e", "production") == before


def test_impact_of_unsetting_and_hiding(console: Console) -> None:
    console.done("set", "notes", '{"a": 1, "b": 2}', "-e", "base")
    found = console.done("impact", "--unset", "notes.a", "--hide", "notes.b", "-e", "base")
    told = {(one["environment"], one["path"], str(one["new"])) for one in found["effects"]}
    names = ("base", "development", "production", "staging", "testing")
    assert told == {(name, f"notes.{leaf}", "{'absent': True}") for name in names for leaf in "ab"}
    assert console("impact", "notes.a=1", "-e", "base").out == "Nobody would see anything differently.\n"


def test_impact_does_not_show_secrets(console: Console) -> None:
    said = console("impact", "exchange.hyperliquid.credentials.api_key=hush", "-e", "production")
    assert "***" in said.out
    assert "hush" not in said.out


def test_neither_impact_nor_plan_shows_what_a_schema_of_ones_own_calls_secret(console: Console, tmp_path: Path) -> None:
    text = tmp_path / "vault.json"
    text.write_text('{"properties": {"pass": {"x-secret": true}, "more": {"properties": {"k": {"writeOnly": true}}}}}')
    console.done("schema", "put", "vault", str(text), "--documents", "vault.*", "-e", "base")
    edits = ("vault.a.pass=hush", 'vault.a.more={"k": "hush"}', "vault.a.plain=told")
    for said in (console("impact", *edits, "-e", "production"), console("impact", *edits, "-e", "base", "--json")):
        assert ("***" in said.out, "hush" in said.out, "told" in said.out) == (True, False, True)
    files = tmp_path / "config" / "production" / "vault.yaml"
    files.parent.mkdir(parents=True)
    files.write_text("vault: {a: {pass: hush, more: {k: hush}, plain: told}}\n")
    for form in ((), ("--json",)):
        said = console("plan", str(tmp_path / "config"), *form)
        assert (said.code, "***" in said.out, "hush" in said.out, "told" in said.out) == (0, True, False, True), said
    console("unset", "schema.vault", "-e", "base")
    (files.parent / "schema.json").write_text(
        json.dumps({"schema": {"vault": {"documents": "vault.*", "version": 1, "text": text.read_text()}}})
    )
    assert "hush" not in console("plan", str(tmp_path / "config")).out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1", ("a.b", 1)),
        ('a."x=y".b=z', ('a."x=y".b', "z")),
        ("a.b=c=d", ("a.b", "c=d")),
        ('a."\\"=".b=2', ('a."\\"=".b', 2)),
    ],
)
def test_an_edit_is_taken_apart_at_the_first_equals_sign_outside_quotes(
    text: str, expected: tuple[str, object]
) -> None:
    assert assignment(text) == expected


def test_what_is_no_edit_is_a_wrong_call(console: Console) -> None:
    with pytest.raises(UsageError, match="no equals sign"):
        assignment("a.b")
    assert console("impact", "-e", "production").code == 2


def test_a_mode_is_switched_by_one_audited_change_once_its_effect_was_shown(console: Console) -> None:
    console.done("set", "notes.size", "5", "--layer", "mode=paper", *PRODUCTION)
    revision = console.done("history", "-e", "production")[0]["revision"]
    said = console("mode", "arb-btc", "paper", *PRODUCTION)
    assert said.code == 2
    assert "arb-btc: live → paper" in said.out
    assert "notes.size" in said.out
    assert "Add --yes" in said.err
    assert console.done("history", "-e", "production")[0]["revision"] == revision
    done = console.done("mode", "arb-btc", "paper", *PRODUCTION, "--yes")
    assert (done["revision"], done["paths"]) == (revision + 1, ["fleet.bots.arb-btc.labels.mode"])
    assert ("notes.size", 5) in {(one["path"], one["new"]) for one in done["impact"]["effects"] if one["new"] == 5}
    assert console.done("get", "notes.size", "-e", "production", "--label", "bot=arb-btc")["value"] == 5
    again = console.done("mode", "arb-btc", "paper", *PRODUCTION, "--yes")
    assert not again["created"]


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 130)])
def test_a_person_is_asked(console: Console, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    before = console.done("history", "-e", "production")[0]["revision"]
    assert console("mode", "arb-btc", "paper", *PRODUCTION).code == code
    assert console.done("history", "-e", "production")[0]["revision"] == before + (code == 0)


def test_a_mode_that_cannot_be_is_refused(console: Console) -> None:
    said = console("mode", "mm-bt", "live", *PRODUCTION, "--yes")
    assert (said.code, "Did you mean mm-btc?" in said.err) == (3, True)
    assert console("mode", "arb-btc", "real", *PRODUCTION, "--yes").code == 2


def test_a_bot_that_lacks_what_live_needs_stays_paper(console: Console) -> None:
    console.done("hide", "exchange.hyperliquid.credentials", "--layer", "bot=mm-btc", *PRODUCTION)
    shown = console("mode", "mm-btc", "live", *PRODUCTION, "--yes")
    assert shown.code == 4, shown
    assert "mm-btc cannot be live yet: " in shown.err
    assert "which has no credentials" in shown.err
    found = console("mode", "mm-btc", "live", *PRODUCTION, "--dry-run", "--json")
    assert found.code == 4
    assert [one["rule"] for one in found.json["problems"]] == ["live-credentials"]
    assert found.json["effects"]
    assert console.done("get", "fleet.bots.mm-btc.labels.mode", "-e", "production")["value"] == "paper"
    console.done("unset", "exchange.hyperliquid.credentials", "--layer", "bot=mm-btc", *PRODUCTION)
    console.done("mode", "mm-btc", "live", *PRODUCTION, "--yes")


def test_documents_are_found_by_their_metadata(console: Console) -> None:
    console.done("set", "meta.risk.global", '{"owner": "ann", "tags": ["core"], "status": "active"}', "-e", "base")
    found = console.done("registry", "find", "-e", "production", "--owner", "ann", "--tag", "core")
    assert [(one["path"], one["type"], one["status"]) for one in found] == [("risk.global", "risk_limits", "active")]
    assert "risk.global" in console("registry", "find", "-e", "production", "--type", "risk_limits").out


def test_documents_are_found_by_what_they_need_when_they_changed_and_what_is_wrong(console: Console) -> None:
    find = ("registry", "find", "-e", "production")

    def found(*options: str) -> list[str]:
        return [one["path"] for one in console.done(*find, *options)]

    assert "strategy.market_maker" in found("--where", "dependencies=risk.global")
    changed = console.done("set", LEVERAGE, "1.15", *PRODUCTION)
    console.done("set", "meta.exchange.phemex.owner", "joe", "-e", "base")
    assert found("--changed-since", changed["committed_at"]) == ["exchange.phemex", "risk.global"]
    assert found("--changed-since", changed["committed_at"], "--owner", "joe") == ["exchange.phemex"]
    assert found("--invalid") == []
    console.done("set", "meta.notes.gone.owner", "joe", "-e", "base")
    assert "notes.gone (missing)" in console(*find, "--owner", "joe").out
    for wrong in (("--where", "owner"), ("--changed-since", "7"), ("--status", "activ")):
        assert console(*find, *wrong).code == 2, wrong


def test_a_document_is_shown_with_its_times_and_problems(console: Console) -> None:
    first = console.done("registry", "show", LEVERAGE, "-e", "production")
    assert (first["path"], first["validation_errors"], first["schema_version"]) == ("risk.global", [], 1)
    console.done("set", LEVERAGE, "1.1", *PRODUCTION)
    again = console.done("registry", "show", LEVERAGE, "-e", "production")
    assert again["created_at"] == first["created_at"]
    assert again["updated_at"] > first["updated_at"]
    assert again["last_validated"] == again["updated_at"]
    assert "validation errors: none" in console("registry", "show", LEVERAGE, "-e", "production").out


def test_trees_and_orphans(console: Console) -> None:
    console.done("set", "notes.todo.a", "1", "-e", "base")
    console.done("set", "meta.notes.todo", '{"dependencies": ["risk.global"]}', "-e", "base")
    tree = console.done("registry", "tree", "risk.global", "-e", "production", "--dependents")
    assert ("notes.todo", 1) in {(one["path"], one["depth"]) for one in tree}
    assert console("registry", "tree", "notes.todo", "-e", "production").out == "notes.todo\n  risk.global\n"
    console.done("set", "notes.alone.a", "1", "-e", "base")
    orphans = {one["document"] for one in console.done("registry", "orphans", "-e", "production")}
    assert "notes.alone" in orphans
    assert "notes.todo" not in orphans


def test_force_and_its_reason_are_shown_by_history(console: Console) -> None:
    console.done("set", LEVERAGE, "1.5", *PRODUCTION)
    assert console("set", LEVERAGE, "900", *PRODUCTION).code == 4
    console.done("set", "notes.a", "1", *PRODUCTION, "--force", "the desk asked for it")
    assert console.done("history", "-e", "production")[0]["force"] == "the desk asked for it"
    said = console("history", "-e", "production")
    assert "the desk asked for it" in said.out
    assert console("set", "notes.a", "2", *PRODUCTION, "--force", " ").code == 2


def test_documents_are_brought_to_the_next_version_of_their_schema(console: Console) -> None:
    Path("one.json").write_text('{"properties": {"size": {"type": "number"}}, "additionalProperties": false}')
    Path("two.json").write_text('{"properties": {"base": {"maximum": 1}}, "additionalProperties": false}')
    Path("steps.yaml").write_text("[{version: 2, rename: size, as: base}, {version: 2, convert: base, factor: 0.01}]")
    words = ("-e", "base", "--reason", "a test")
    console.done("schema", "put", "signals", "one.json", "--documents", "signals.*", *words)
    console.done("set", "signals.a.size", "50", *words)
    console.done("set", "signals.a.size", "20", "-l", "mode=live", *PRODUCTION)
    assert console("schema", "put", "signals", "two.json", *words).code == 4
    console.done("schema", "put", "signals", "two.json", "--upgrades", "steps.yaml", *words)
    assert "1 of 2" in console("registry", "find", "-e", "production", "--type", "signals").out
    planned = console.done("schema", "upgrade", "signals", "--dry-run")
    assert [(one["environment"], one["documents"]) for one in planned["upgrades"]] == [
        ("production", {"signals.a": 1}),
        ("base", {"signals.a": 1}),
    ]
    assert "production: signals.a (version 1) → version 2" in console("schema", "upgrade", "signals", "--dry-run").out
    assert console("schema", "upgrade", "signals").code == 2, "production needs a reason"
    done = console.done("schema", "upgrade", "signals", "--reason", "sizes are fractions now")
    assert [one["environment"] for one in done["committed"]] == ["production", "base"]
    assert console.done("get", "signals.a.base", "-e", "production", "--label", "bot=mr-eth")["value"] == 0.2
    assert console.done("get", "signals.a.base", "-e", "staging")["value"] == 0.5
    said = console("schema", "upgrade", "signals", "--reason", "again")
    assert said.out == "Every document of signals is written for version 2.\n"


def test_an_upgrade_does_not_show_what_its_schema_calls_secret(console: Console) -> None:
    Path("one.json").write_text('{"properties": {"pin": {"x-secret": true}}}')
    Path("two.json").write_text('{"properties": {"code": {"x-secret": true}}, "additionalProperties": false}')
    Path("steps.yaml").write_text("[{version: 2, rename: pin, as: code}]")
    console.done("schema", "put", "vault", "one.json", "--documents", "vault.*", "-e", "staging")
    console.done("set", "vault.a.pin", "hush", "-e", "staging")
    console.done("schema", "put", "vault", "two.json", "--upgrades", "steps.yaml", "-e", "staging")
    for words in (("--dry-run",), ("--dry-run", "--json"), ("--json",)):
        said = console("schema", "upgrade", "vault", *words)
        assert (said.code, "***" in said.out, "hush" in said.out) == (0, True, False), said
    assert console.done("get", "vault.a.code", "-e", "staging")["value"] == "hush"


def test_steps_that_make_no_sense_are_refused_where_they_are_put(console: Console) -> None:
    Path("one.json").write_text("{}")
    Path("steps.json").write_text('[{"version": 2, "rename": "size"}]')
    words = ("--documents", "signals.*", "-e", "base", "--upgrades", "steps.json", "--json")
    said = console("schema", "put", "signals", "one.json", *words)
    assert [(one["path"], one["rule"]) for one in said.error["problems"]] == [("schema.signals.upgrades", "upgrades")]
