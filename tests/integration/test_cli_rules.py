"""`trimtab rule`, and what rules make of changes: over the example fleet, on a real store."""

from __future__ import annotations

from tests.support.console import Console

BASE = ("-e", "base")
LIVE = ("-e", "production", "--label", "mode=live")
PUT = ("rule", "put", "calm", "doc.max_leverage <= 5", "--documents", "risk.global", "--message", "at most 5")


def test_a_rule_is_put_listed_read_and_obeyed(console: Console) -> None:
    done = console.done(*PUT, *BASE)
    assert (done["rule"], done["created"]) == ("calm", True)
    listed = console.done("rule", "list", "-e", "production")
    assert {"calm", "live_leverage"} <= {one["name"] for one in listed["rules"]}
    assert "strategy-risk" in listed["built_in"]
    assert console.done("rule", "get", "calm", "-e", "production")["cel"] == "doc.max_leverage <= 5"
    refused = console("set", "risk.global.max_leverage", "5.5", *BASE, "--json")
    assert refused.code == 4
    assert ("risk.global", "calm") in {(one["path"], one["rule"]) for one in refused.error["problems"]}
    assert console("rule", "list", *BASE).code == 0
    assert console("rule", "get", "calm", *BASE).code == 0


def test_a_rule_that_what_stands_breaks_is_not_put(console: Console) -> None:
    strict = [word.replace("5", "0.1") for word in PUT]
    refused = console(*strict, *BASE, "--json")
    assert refused.code == 4
    assert "at most 0.1" in refused.err
    assert console("rule", "get", "calm", *BASE).code == 3
    assert console.done(*strict, "--warn", *BASE)["warnings"]


def test_what_is_wrong_with_a_rule_is_told_with_its_place(console: Console) -> None:
    wrong = ("rule", "put", "calm", "dox.max_leverage <= ", "--documents", "risk.global", "--message", "x", *BASE)
    refused = console(*wrong, "--json")
    assert (refused.code, refused.error["problems"][0]["path"]) == (4, "rule.calm.cel")
    assert refused.error["problems"][0]["why"].startswith("at 1:21: ")
    through_set = console("set", "rule.calm", '{"documents": "risk.global", "cel": "dox.a", "message": "m"}', *BASE)
    assert through_set.code == 4
    assert "there is no variable dox" in through_set.err
    assert console("rule", "put", "calm", "true", *BASE).code == 2


def test_what_a_rule_names_and_nobody_has_is_told(console: Console) -> None:
    words = ("rule", "put", "calm", "true", "--message", "m", *BASE, "--documents")
    noted = console(*words, "risk.globl", "--in", "prodution", "--dry-run")
    assert noted.code == 0
    assert "there is no environment prodution yet. Did you mean production?" in noted.out
    assert "base holds no document that it is about yet: risk.globl." in noted.out
    assert len(console.done(*words, "risk.globl")["notes"]) == 1
    assert console.done(*words, "risk.global", "--in", "production", "--mode", "live")["notes"] == []
    misspelt = console(*words, "risk.global", "--mode", "liv", "--json")
    assert (misspelt.code, misspelt.error["problems"][0]["path"]) == (4, "rule.calm.modes")


def test_a_dry_run_commits_nothing(console: Console) -> None:
    assert "rule.calm" in console.done(*PUT, *BASE, "--dry-run")["paths"][0]
    assert console("rule", "get", "calm", *BASE).code == 3
    assert console(*PUT, *BASE, "--dry-run").out.startswith("Would change")


def test_a_rule_is_tried_on_what_stands(console: Console) -> None:
    found = console.done("rule", "test", "live_leverage", *LIVE)
    assert found == {"holds_for_reader": True, "documents": [{"document": "risk.global", "holds": True, "why": ""}]}
    assert console.done("rule", "test", "live_leverage", *BASE)["holds_for_reader"] is False
    broken = console("rule", "test", "live_leverage", "--cel", "doc.max_leverage < 0", *LIVE)
    assert broken.code == 4
    assert "live bots trade" in broken.out
    tried = console("rule", "test", "--cel", "doc.max_leverage > 0", "--documents", "risk.global", *BASE)
    assert (tried.code, "holds" in tried.out) == (0, True)
    assert console("rule", "test", *BASE).code == 2
    assert console("rule", "test", "nobody", *BASE).code == 3
    assert console("rule", "test", "--cel", "1 +", "--documents", "risk.global", *BASE).code == 4
