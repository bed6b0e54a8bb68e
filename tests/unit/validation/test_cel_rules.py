"""Users' rules: whom they ask, what they see, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.validation.asking import ask, said
from trimtab.model.canonical import Json
from trimtab.model.problems import Problem
from trimtab_store.validation.cel_faults import cel_faults, faults
from trimtab_store.validation.cel_process import EVALUATOR
from trimtab_store.validation.cel_rules import CelRule, rules_of
from trimtab_store.validation.rules import Rule

LIMITS: dict[str, Any] = {
    "risk": {
        "global": {"max_leverage": 3, "max_position_size": 0.5},
        "parameters": {"max_positions": 5, "max_position_size": "2500.50", "max_exposure_per_token": 0.2},
    }
}


@pytest.fixture(autouse=True, scope="module")
def _nothing_stays() -> Any:
    yield
    EVALUATOR.stop()


def rule(cel: str, documents: Any = "risk.global", **fields: Any) -> Rule:
    value = {"documents": documents, "cel": cel, "message": "no", **fields}
    assert list(faults(value, "rule.mine")) == []
    (made,) = rules_of([("mine", value)])
    return made


def judged(cel: str, new: dict[str, Any], documents: Any = "risk.global", **how: Any) -> list[str]:
    return said(ask(rule(cel, documents, **how.pop("fields", {})), how.pop("old", {}), new, **how))


def test_a_rule_that_holds_says_nothing_and_one_that_does_not_gives_its_message() -> None:
    assert judged("doc.max_leverage <= 3", LIMITS) == []
    assert judged("doc.max_leverage < 3", LIMITS) == ["refuse risk.global: no"]
    assert judged("doc.max_leverage < 3", LIMITS, fields={"severity": "warn"}) == ["warn risk.global: no"]
    assert ask(rule("false"), {}, LIMITS)[0].rule == "mine"


@pytest.mark.parametrize(
    "cel",
    [
        "doc[doc.key] == 1", "doc.inner[doc.key] == 1", 'doc[doc.key + "x"] == 1', "int(doc.key) == 1",
        "timestamp(doc.key) == timestamp(doc.key)", '"a".matches(doc.key)', "duration(doc.key) == duration(doc.key)",
        "doc.key + 1 == 2", "doc.key < 1", "[1][doc.key] == 1", "doc.key",
    ],
)  # fmt: skip
def test_no_problem_of_a_rule_shows_a_value(cel: str) -> None:
    (line,) = judged(cel, {"exchange": {"x": {"key": "(s3cret", "inner": {}}}}, "exchange.*")
    assert line.startswith("refuse exchange.x: the rule ")
    assert "s3cret" not in line


@pytest.mark.parametrize(
    ("documents", "cel"),
    [
        ("risk.global", "doc.max_leverage * 2 <= 6"),  # a number that is written as 3, and a whole number
        ("risk.global", "2 * doc.max_leverage <= 6"),
        ("risk.global", "doc.max_leverage * 1.5 <= 4.5"),
        ("risk.global", "doc.max_leverage * doc.max_position_size == 1.5"),
        ("risk.global", "doc.max_leverage / 2 == 1.5"),  # no whole-number division of a number
        ("risk.parameters", "doc.max_positions * doc.max_exposure_per_token <= 1.0"),  # an integer by a number
        ("risk.parameters", "doc.max_exposure_per_token * doc.max_positions * 2 <= 2"),
        ("risk.parameters", "doc.max_positions % 2 == 1"),  # an integer stays one
        ("risk.parameters", "doc.max_positions / 2 == 2"),
        ("risk.parameters", "doc.max_position_size < 2501"),  # an amount that is written as a text
        ("risk.parameters", "doc.max_position_size * doc.max_positions > 12502"),
        ("risk.parameters", "at('risk.global').max_leverage * doc.max_positions == 15.0"),
        ("risk.parameters", "at('risk.global.max_leverage') / 2 * doc.max_positions == 7.5"),
        ("risk.parameters", "[doc.max_positions, 7][0] + 1 == 6"),
    ],
)
def test_numbers_go_together_by_the_types_of_their_schema(documents: str, cel: str) -> None:
    assert judged(cel, LIMITS, documents) == []


def test_numbers_of_documents_without_a_schema_are_doubles_unless_only_whole_numbers_fit() -> None:
    value = {"mine": {"x": {"n": 7, "f": 0.5, "l": [1, 2]}}}
    for cel in ("doc.n / 2 == 3.5", "doc.n * doc.f == 3.5", "doc.n % 2 == 1", "doc.l[0] * 2 == 2", "doc.l[1] == 2"):
        assert judged(cel, value, "mine.*") == [], cel


def test_the_types_of_a_users_schema_count() -> None:
    text = '{"properties": {"n": {"type": "integer"}, "f": {"type": "number"}}}'
    fields: Json = {"documents": "mine.*", "cel": "doc.n / 2 == 3 && doc.f / 2.0 == 3.5", "message": "no"}
    (made,) = rules_of([("mine", fields)], {"mine.*": text, "other.*": "{}"})
    assert ask(made, {}, {"mine": {"x": {"n": 7, "f": 7}}}) == []
    assert made != rules_of([("mine", fields)])[0]
    assert made == rules_of([("mine", fields)], {"mine.*": text})[0]


@pytest.mark.parametrize(
    ("cel", "why", "remedy"),
    [
        ("doc.nothing > 1", "there is no nothing", "Ask with has() first"),
        ("doc.max_leverage", "the rule gives a number, not true or false", "Compare with something"),
        ("'s3cret' + 1 == 'x'", "operands of types that do not go together", "Convert with double()"),
        ("int('s3cret') > 1", "a function does not take what it is given", "Change the rule"),
        ("1 / 0 > 1", "it divides by zero", ""),
        ("doc.s3cret.matches('(?=a)')", "there is no s3cret", ""),
        ("'s3cret'.matches('(?=a)')", "a function does not take what it is given", ""),
        ("[1][5] == 1", "the rule cannot be evaluated", ""),
    ],
)
def test_what_cannot_be_evaluated_does_not_hold_and_says_why(cel: str, why: str, remedy: str) -> None:
    (problem,) = ask(rule(cel), {}, LIMITS)
    assert why in problem.why
    assert remedy in problem.remedy
    assert "'s3cret'" not in str(problem)
    assert problem.severity == "refuse"
    assert ask(rule(cel, severity="warn"), {}, LIMITS)[0].severity == "warn"


def test_a_rule_that_takes_too_much_refuses_even_if_it_only_warns() -> None:
    many = f"[{','.join(['1'] * 200)}]"
    cel = f"{many}.all(a, {many}.all(b, {many}.all(c, {many}.all(d, true))))"
    (problem,) = ask(rule(cel, severity="warn"), {}, LIMITS)
    assert (problem.severity, problem.why) == (
        "refuse",
        "the rule cannot be evaluated: it takes more than 0.25 s of processor time",
    )


def test_a_rule_that_takes_long_for_each_of_many_documents_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    made = rule("doc.n > 0", "mine.*")

    def slow(question: dict[str, Any]) -> dict[str, Any]:
        asked.append(question["variables"]["path"])
        return {"value": True, "seconds": 0.2}

    monkeypatch.setattr(EVALUATOR, "ask", slow)
    found = ask(made, {}, {"mine": {f"d{n:03}": {"n": n} for n in range(100)}})
    assert asked == [f"mine.d{n:03}" for n in range(6)]
    assert [(one.path, one.severity) for one in found] == [("mine.d005", "refuse")]
    assert "more than 1 s of processor time for all its documents" in found[0].why


def test_a_rule_that_takes_too_much_is_not_asked_about_the_next_document() -> None:
    many = f"[{','.join(['1'] * 200)}]"
    cel = f"{many}.all(a, {many}.all(b, {many}.all(c, {many}.all(d, true))))"
    assert len(ask(rule(cel, "mine.*"), {}, {"mine": {"a": {"n": 1}, "b": {"n": 2}}})) == 1


def test_only_its_environments_and_modes_are_asked() -> None:
    fields = {"environments": ["production"], "modes": ["live"]}
    for environment, labels, count in [
        ("production", {"mode": "live"}, 1),
        ("production", {"mode": "paper"}, 0),
        ("production", {}, 0),
        ("staging", {"mode": "live"}, 0),
    ]:
        assert len(judged("false", LIMITS, environment=environment, labels=labels, fields=fields)) == count
    assert rule("false", **fields).dimensions == {"mode"}


def test_only_labels_that_it_names_are_shown() -> None:
    labels = {"mode": "live", "region": "ny4"}
    made = rule("labels.region == 'ny4' && !has(labels.node)")
    assert made.dimensions == {"region", "node"}
    assert ask(made, {}, LIMITS, labels) == []
    assert len(ask(made, {}, LIMITS, {"region": "ny5"})) == 1


def test_it_sees_path_environment_and_what_was_before() -> None:
    cel = "path == 'risk.global' && environment == 'production' && before.max_leverage * 2 > doc.max_leverage"
    old = {"risk": {"global": {"max_leverage": 1.6}}}
    assert judged(cel, LIMITS, old=old) == []
    assert judged(cel, LIMITS, old={"risk": {"global": {"max_leverage": 1.4}}}) == ["refuse risk.global: no"]
    assert judged("before == null", LIMITS) == []


def test_a_document_that_goes_away_is_asked_about_only_where_the_rule_speaks_of_it() -> None:
    assert judged("doc.max_leverage < 1", {}, old=LIMITS) == []
    assert judged("!removed", {}, old=LIMITS) == ["refuse risk.global: no"]
    assert judged("!removed", LIMITS) == []
    assert judged("doc.removed == null", {}, old=LIMITS) == []  # a field of that name is not it


def test_what_it_reads_may_change_as_well() -> None:
    """A rule about strategies that reads a limit is asked about all strategies when that limit changes."""
    cel = "doc.parameters.leverage <= at('risk.global.max_leverage')"
    made = rule(cel, "strategy.*")
    old = {**LIMITS, "strategy": {"a": {"parameters": {"leverage": 2}}, "b": {"parameters": {"leverage": 3}}}}
    new = {**old, "risk": {"global": {"max_leverage": 2}}}
    assert said(ask(made, old, new)) == ["refuse strategy.b: no"]
    assert made.reads_also("strategy.a", {}, {}) == ()
    assert made.watches("strategy.a")
    assert made.watches("risk.global")
    assert not made.watches("risk.parameters")


def test_several_patterns_and_declared_paths() -> None:
    made = rule("at('a.b') != 3", ["risk.global", "fleet.bots.*"], reads=["a.b", "c.d"])
    assert made.reads == ("a.b", "c.d")
    assert made.watches("fleet.bots.x")
    assert not made.watches("fleet.bots")
    assert len(ask(made, {}, {**LIMITS, "a": {"b": 3}})) == 1


@pytest.mark.parametrize(
    ("fields", "path", "why", "remedy"),
    [
        ({"documents": "*.x"}, "rule.r.documents", "names no documents", "Name the category"),
        ({"documents": ["risk.global", "a.**"]}, "rule.r.documents", "names no documents", ""),
        ({"documents": "rule.*"}, "rule.r.documents", "no rule is about rule documents", "Name others"),
        ({"documents": "meta.x"}, "rule.r.documents", "no rule is about meta documents", ""),
        ({"reads": ['"a".b']}, "rule.r.reads", "it is not written as paths are", "Write a.b"),
        ({"reads": ["a..b"]}, "rule.r.reads", "is refused", ""),
        ({"modes": ["live", "papr"]}, "rule.r.modes", "would never be asked", "Did you mean paper?"),
        ({"cel": "doc.x >"}, "rule.r.cel", "at 1:8: mismatched input", "docs/rules.md"),
        ({"cel": "doc.x > \n @"}, "rule.r.cel", "at 2:2", ""),
        ({"cel": "dox.x > 1"}, "rule.r.cel", "at 1:1: there is no variable dox", "Did you mean doc?"),
        ({"cel": ""}, "rule.r.cel", "at 1:1", ""),
        ({"cel": "(" * 3000}, "rule.r.cel", "at 1:", ""),
        ({"cel": "x" * 5000}, "rule.r.cel", "it is longer than 4096 characters", "Divide it"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_place_and_remedy(
    fields: dict[str, Any], path: str, why: str, remedy: str
) -> None:
    value = {"documents": "risk.global", "cel": "true", "message": "no", **fields}
    problem: Problem = next(faults(value, "rule.r"))
    assert problem.path == path
    assert why in problem.why
    assert remedy in problem.remedy
    works = path in {"rule.r.reads", "rule.r.modes"} or "@" in str(fields)
    if not works and fields.get("cel") not in {"doc.x >", "", "(" * 3000}:
        assert rules_of([("r", value)]) == ()


def test_what_is_no_rule_at_all_makes_none() -> None:
    assert rules_of([("a", None), ("b", {}), ("c", {"cel": 1, "documents": "a.b", "message": "x"}), ("d", [])]) == ()
    assert list(faults([], "rule.r")) == []


def test_rules_of_the_same_content_are_one_rule() -> None:
    value: dict[str, Json] = {"documents": "risk.global", "cel": "true", "message": "no"}
    assert rules_of([("a", value)]) == rules_of([("a", dict(value))])
    assert rules_of([("a", value)]) != rules_of([("a", {**value, "message": "other"})])
    assert isinstance(rules_of([("a", value)])[0], CelRule)


def test_a_fault_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cel_faults("doc.once >")

    def never(_: Any) -> Any:
        raise AssertionError("asked again")

    monkeypatch.setattr(EVALUATOR, "ask", never)
    assert cel_faults("doc.once >")
