from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from trimtab.model import documents, errors, reports
from trimtab.model.errors import TrimtabError, ValueRefused
from trimtab.model.links import Position
from trimtab.model.reports import AttachedBots, Refusal, Report, Status


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("risk", "risk"),
        ("risk.global", "risk.global"),
        ("risk.global.max_leverage", "risk.global"),
        ("fleet.bots", "fleet.bots"),
        ("fleet.bots.mm-btc", "fleet.bots.mm-btc"),
        ("fleet.bots.mm-btc.labels.mode", "fleet.bots.mm-btc"),
        ("fleet.nodes.n1.x", "fleet.nodes"),
        ('token."a.b".symbol', 'token."a.b"'),
    ],
)
def test_a_path_belongs_to_a_document(path: str, document: str) -> None:
    assert documents.document_of(path) == document


def test_a_change_touches_the_documents_of_its_paths() -> None:
    assert documents.documents_of(["risk.b.y", "risk.a.x", "risk.a.z"]) == ("risk.a", "risk.b")


def test_risk_may_be_staler_than_the_rest_and_tokens_than_risk() -> None:
    assert [documents.max_staleness(name) for name in ("risk", "token", "bot")] == [300.0, 3600.0, 60.0]


def test_categories_are_too_stale_each_by_its_own_measure() -> None:
    names = ("token", "trading", "risk")
    found = [documents.too_stale(names, seconds) for seconds in (0, 60, 60.1, 300, 301, 3600, 3601, math.inf)]
    assert found == [(), (), *[("trading",)] * 2, *[("risk", "trading")] * 2, *[("risk", "token", "trading")] * 2]


REPORT = Report(
    agent="n1/mm-btc",
    environment="production",
    labels={"bot": "mm-btc"},
    epoch=2,
    revision=40,
    proven=44,
    status=Status.LIVE,
    staleness_seconds=0.5,
    hash="ab",
    refused=(Refusal("risk.global", 39, "too small"),),
    alarms=("forked",),
    too_stale=("risk", "trading"),
    attached=AttachedBots(2, Position(2, 40)),
    understands={"strategy_params": 2},
    closed=True,
    at=12.5,
)


def test_a_report_comes_back() -> None:
    assert reports.decode(REPORT.encode()) == REPORT


def test_a_report_of_before_there_were_versions_is_read() -> None:
    fields = json.loads(REPORT.encode())
    del fields["understands"]
    assert reports.decode(json.dumps(fields).encode()).understands == {}


@pytest.mark.parametrize(
    ("position", "expected"),
    [((2, 40), True), ((2, 44), True), ((2, 45), False), ((1, 99), True), ((3, 1), False)],
)
def test_an_agent_serves_what_its_view_reached_or_what_it_is_proven_against(
    position: tuple[int, int],
    expected: bool,  # noqa: FBT001 - a table
) -> None:
    assert REPORT.serves(Position(*position)) is expected


@pytest.mark.parametrize(
    ("slowest", "position", "expected"),
    [
        ((2, 40), (2, 44), True),  # as far as its sidecar, which is proven against 44
        ((2, 39), (2, 39), True),
        ((2, 39), (2, 40), False),
        ((2, 39), (2, 44), False),
        ((1, 99), (2, 40), False),
        ((2, 41), (2, 40), True),
        ((2, 41), (2, 45), False),  # the sidecar itself does not serve it
    ],
)
def test_a_sidecar_serves_what_the_slowest_bot_attached_to_it_serves(
    slowest: tuple[int, int],
    position: tuple[int, int],
    expected: bool,  # noqa: FBT001 - a table
) -> None:
    shared = _report(attached=AttachedBots(3, Position(*slowest)))
    assert shared.serves(Position(*position)) is expected
    assert _report(attached=AttachedBots(0, Position())).serves(Position(2, 44))
    assert _report(attached=None).serves(Position(2, 44))


def _report(**fields: Any) -> Report:
    return replace(REPORT, **fields)


def test_a_report_of_many_long_refusals_is_shortened_to_its_limit() -> None:
    refusal = Refusal("a" * 1000, 1, "\u20ac" * 2000)
    report = _report(refused=(refusal,) * 500, alarms=("\u20ac" * 1000,) * 500, too_stale=("c" * 1000,) * 500)
    text = report.encode()
    assert len(text) <= reports.MAX_REPORT_BYTES
    assert 0 < len(reports.decode(text).refused) <= 50


def test_a_report_of_an_agent_that_does_not_know_of_categories_is_read() -> None:
    text = REPORT.encode().replace(b',"too_stale":["risk","trading"]', b"")
    text = text.replace(b'"attached":{"count":2,"epoch":2,"revision":40},', b"")
    assert reports.decode(text) == _report(too_stale=(), attached=None)


def test_what_a_report_says_at_length_is_shortened() -> None:
    text = REPORT.encode().replace(b"forked", b"f" * 10_000).replace(b"too small", b"s" * 10_000)
    found = reports.decode(text)
    assert (len(found.alarms[0]), len(found.refused[0].reason)) == (500, 500)


def test_a_report_that_was_never_certified_is_infinitely_stale() -> None:
    assert reports.decode(_report(staleness_seconds=math.inf).encode()).staleness_seconds == math.inf


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        REPORT.encode()[:-1],
        REPORT.encode().replace(b'"LIVE"', b'"ALIVE"'),
        REPORT.encode().replace(b'{"bot":"mm-btc"}', b"[]"),
        REPORT.encode().replace(b'"epoch":2', b'"epoch":"x"'),
        REPORT.encode().replace(b"0.5", b"-0.5"),
        REPORT.encode().replace(b"forked", b"f" * reports.MAX_REPORT_BYTES),
        REPORT.encode().replace(b'["forked"]', b'"forked"'),
        REPORT.encode().replace(b'"forked"', b'{"forked":1}'),
        REPORT.encode().replace(b'"too_stale":["risk","trading"]', b'"too_stale":"risk"'),
        REPORT.encode().replace(b'"bot":"mm-btc"', b'"bot":["mm-btc"]'),
        REPORT.encode().replace(b'"agent":"n1/mm-btc"', b'"agent":7'),
        REPORT.encode().replace(b'"n1/mm-btc"', b'""'),
        REPORT.encode().replace(b'"n1/mm-btc"', b'"' + b"n" * 256 + b'"'),
        *(REPORT.encode().replace(b'"epoch":2', b'"epoch":' + number) for number in (b"-1", b"true", b"2.0", b"null")),
        *(REPORT.encode().replace(b'"revision":40', b'"revision":' + number) for number in (b"9" * 19, b"1e300")),
        REPORT.encode().replace(b'"count":2', b'"count":-2'),
        REPORT.encode().replace(b'"count":2,', b""),
        REPORT.encode().replace(b'{"count":2,"epoch":2,"revision":40}', b"7"),
        REPORT.encode().replace(b'"at":12.5', b'"at":"12.5"'),
        REPORT.encode().replace(b'"at":12.5', b'"at":-1'),
        REPORT.encode().replace(b'"revision":39', b'"revision":"39"'),
    ],
)
def test_what_is_no_report_is_refused(text: bytes) -> None:
    with pytest.raises(ValueRefused, match="This report is refused"):
        reports.decode(text)


def _all_errors(root: type[TrimtabError] = TrimtabError) -> list[type[TrimtabError]]:
    return [root, *(found for child in root.__subclasses__() for found in _all_errors(child))]


def test_every_error_has_a_code_of_its_own_and_stands_in_the_tree_that_the_module_draws() -> None:
    ours = [error for error in _all_errors() if error.__module__ == errors.__name__]
    assert len({error.code for error in ours}) == len(ours)
    assert errors.__doc__ is not None
    assert [error.__name__ for error in ours if error.__name__ not in errors.__doc__] == []
    assert {error.exit_code for error in ours} == {1, 2, 3, 4, 5, 6, 7, 8}


def test_an_error_says_what_was_refused_why_and_what_to_do() -> None:
    error = errors.PathNotFound("Nothing is set at a.b", "it was unset", "Did you mean a.c?")
    assert str(error) == "Nothing is set at a.b: it was unset. Did you mean a.c?"
    assert error.to_dict() == {
        "code": "path_not_found",
        "what": "Nothing is set at a.b",
        "why": "it was unset",
        "remedy": "Did you mean a.c?",
    }
    assert isinstance(error, KeyError)
