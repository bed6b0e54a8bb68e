"""Trying a rule on what stands."""

from __future__ import annotations

from trimtab.model.canonical import Json
from trimtab_store.validation.cel_rules import CelRule
from trimtab_store.validation.cel_trial import Standing, holds_for, trial

TREE: Json = {
    "bot": {"a": {"n": 1}, "b": {"n": 3}, "c.d": {"n": 9}},
    "risk": {"global": {"max": 2}},
    "fleet": {"bots": {"a": {"labels": {}}}},
}
SEEN = Standing("production", {"mode": "live"}, TREE)


def rule(cel: str, *patterns: str, environments: tuple[str, ...] = (), modes: tuple[str, ...] = ()) -> CelRule:
    return CelRule("r", patterns, cel, "too much", environments=environments, modes=modes)


def outcomes(asked: CelRule) -> dict[str, str]:
    return {one.document: one.problem.why if one.problem else "" for one in trial(asked, SEEN)}


def test_every_document_of_the_patterns_is_asked_once() -> None:
    assert outcomes(rule("doc.n <= at('risk.global.max')", "bot.*", "bot.a")) == {
        "bot.a": "",
        "bot.b": "too much",
        'bot."c.d"': "too much",
    }
    assert outcomes(rule("path == 'fleet.bots.a'", "fleet.bots.*", "risk.none", "none.*")) == {"fleet.bots.a": ""}
    assert outcomes(rule("labels.mode == 'live' && before == doc", "risk.global")) == {"risk.global": ""}


def test_it_is_told_where_a_rule_does_not_hold() -> None:
    assert holds_for(rule("true", "bot.*"), SEEN) == ""
    assert holds_for(rule("true", "bot.*", environments=("production",), modes=("live",)), SEEN) == ""
    assert holds_for(rule("true", "bot.*", environments=("base", "staging")), SEEN) == "it holds in base, staging only"
    assert "this reader's is live" in holds_for(rule("true", "bot.*", modes=("paper",)), SEEN)
