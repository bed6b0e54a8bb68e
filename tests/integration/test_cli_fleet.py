"""What agents report, as the command line shows it: categories that are too stale, and reports that mean harm."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import psycopg
import pytest

from tests.integration.test_cli_hostile import HOSTILE, IDS, PRODUCTION, harmless
from tests.support.console import Console
from tests.support.servers import Database
from trimtab.model.links import Position
from trimtab.model.reports import AttachedBots, Refusal, Report, Status
from trimtab_store.embedded.redis import RedisServer

FLEET = "trimtab:{production}:fleet"
REPORT = Report(
    agent="mm-btc",
    environment="production",
    labels={"bot": "mm-btc"},
    epoch=1,
    revision=1,
    proven=1,
    status=Status.LIVE,
    staleness_seconds=0.5,
)
SET = ("set", "a.b", "1", *PRODUCTION, "--reason", "r", "--wait", "200ms")


def put(server: RedisServer, agent: str, text: bytes) -> None:
    """Write a field of the fleet, as anybody can who may write there."""
    with contextlib.closing(server.client()) as client:
        client.hset(FLEET, agent.encode(), text)


def report(server: RedisServer, one: Report) -> None:
    """Report now, by the clock of the server."""
    with contextlib.closing(server.client()) as client:
        seconds, millionths = client.time()
    put(server, one.agent, replace(one, at=seconds + millionths / 1e6).encode())


def test_status_names_the_categories_that_are_too_stale(console: Console, one_redis: RedisServer) -> None:
    report(one_redis, replace(REPORT, agent="fresh"))
    report(one_redis, replace(REPORT, agent="old", staleness_seconds=400.0, too_stale=("risk", "trading")))
    found = {one["agent"]: one["too_stale"] for one in console.done("status", *PRODUCTION)["agents"]}
    assert found == {"fresh": [], "old": ["risk", "trading"]}
    lines = console("status", *PRODUCTION).out.splitlines()
    [head] = [line for line in lines if line.startswith("agent ")]
    at = head.index("too stale")
    assert [line[at:].startswith("risk; trading  ") for line in lines if line.startswith(("fresh", "old"))] == [
        False,
        True,
    ]


def test_status_shows_the_bots_that_are_attached_to_a_sidecar(console: Console, one_redis: RedisServer) -> None:
    bots = {"alone": None, "empty": AttachedBots(0, Position()), "shared": AttachedBots(3, Position(1, 7))}
    for agent, attached in bots.items():
        report(one_redis, replace(REPORT, agent=agent, attached=attached))
    found = {one["agent"]: one["attached"] for one in console.done("status", *PRODUCTION)["agents"]}
    assert found == {
        "alone": None,
        "empty": {"count": 0, "epoch": 0, "revision": 0},
        "shared": {"count": 3, "epoch": 1, "revision": 7},
    }
    lines = console("status", *PRODUCTION).out.splitlines()
    [head] = [line for line in lines if line.startswith("agent ")]
    at, end = head.index("attached"), head.index("reported")
    cells = {line.split()[0]: line[at:end].strip() for line in lines if line.startswith(tuple(bots))}
    assert cells == {"alone": "", "empty": "0", "shared": "3, slowest at 7"}


@pytest.mark.parametrize("text", HOSTILE, ids=IDS)
def test_a_hostile_report_is_kept_exactly_and_shown_harmlessly(
    console: Console, one_redis: RedisServer, text: str
) -> None:
    hostile = replace(
        REPORT,
        agent=text,
        labels={text: text},
        hash=text,
        refused=(Refusal(text, 10**9, text),),
        alarms=(text, text),
        too_stale=(text,),
    )
    report(one_redis, hostile)
    shown = harmless(console("status", *PRODUCTION))
    assert (shown.code, shown.err) == (0, ""), shown
    empty, head, row = shown.out.splitlines()[2:]
    assert (empty, head.split()[0], "LIVE" in row) == ("", "agent", True)
    [told] = console.done("status", *PRODUCTION)["agents"]
    assert (told["agent"], told["labels"], told["alarms"]) == (text, {text: text}, [text, text])
    assert (told["refused"][0]["reason"], told["too_stale"]) == (text, [text])
    said = harmless(console(*SET))
    assert (said.code, said.err.count("\n")) == (8, 1), said
    assert "(production, serves 1-1)" in said.err
    assert said.err.count(" refuses ") == 1
    said = harmless(console(*SET[:2], "2", *SET[3:], "--json"))
    assert (said.code, said.json["stragglers"][0]["agent"], said.json["refused"][0]["path"]) == (8, text, text)


def test_a_huge_report_takes_no_screen_for_itself(console: Console, one_redis: RedisServer) -> None:
    words = "\u202e" * 500
    huge = replace(
        REPORT,
        agent="h" * 255,
        labels={f"label-{number}": "x" * 100 for number in range(100)},
        refused=(Refusal("p" * 500, 10**9, words),) * 12,
        alarms=(words,) * 12,
        too_stale=("c" * 100,) * 20,
    )
    assert len(huge.encode()) > 40_000
    report(one_redis, huge)
    shown = harmless(console("status", *PRODUCTION))
    assert shown.code == 0, shown
    assert max(len(line) for line in shown.out.splitlines()) < 6_000
    said = harmless(console(*SET))
    assert (said.code, len(said.err) < 20_000) == (8, True), len(said.err)


def wrong() -> Iterator[tuple[str, bytes]]:
    """Reports of wrong types and sizes, by the name of the agent that they say they come from."""
    fields = orjson.loads(REPORT.encode())
    values: list[Any] = [None, True, -1, 1.5, 1e300, "x", [], {}, [[]], [{}], {"a": {"b": 1}}, [None]]
    fine: dict[str, list[Any]] = {
        "labels": [{}],
        "understands": [{}],
        "refused": [[]],
        "alarms": [[]],
        "too_stale": [[]],
        "overrides": [[]],
        "attached": [None],
        "hash": ["x"],
        "at": [1.5, 1e300],
        "staleness_seconds": [None, 1.5, 1e300],
        "closed": [True],
    }
    for name in sorted(fields):
        for number, value in enumerate(values):
            if value not in fine.get(name, []):
                agent = f"{name}-{number}"
                yield agent, orjson.dumps({**fields, "agent": agent, name: value})
        if name not in {"too_stale", "attached", "overrides", "understands"}:
            yield f"no-{name}", orjson.dumps({key: value for key, value in fields.items() if key != name})
    texts = [b"", b"\xff\xfe", b"[" * 100_000, b"9" * 100_000, b"x" * 1_000_000, b'{"agent":', b"null", b"[]"]
    yield from ((f"text-{number}", text) for number, text in enumerate(texts))


def test_reports_of_wrong_types_harm_nobody(console: Console, one_redis: RedisServer, fleet_database: Database) -> None:
    report(one_redis, replace(REPORT, agent="honest"))
    with psycopg.connect(fleet_database.url, autocommit=True) as connection:
        for agent, text in wrong():
            put(one_redis, agent, text)
            words = text.decode(errors="replace")
            with contextlib.suppress(psycopg.DataError, psycopg.errors.StatementTooComplex):  # Postgres takes no such
                connection.execute("SELECT trimtab.trimtab_report_v1('production', %s, %s::jsonb)", [agent, words])
        [[kept]] = connection.execute("SELECT count(*) FROM trimtab.agent_reports").fetchall()
    assert kept > 100
    shown = harmless(console("status", *PRODUCTION))
    assert (shown.code, shown.err) == (0, ""), shown
    assert [one["agent"] for one in console.done("status", *PRODUCTION)["agents"]] == ["honest"]
    said = harmless(console(*SET))
    assert (said.code, said.err.count("\n"), "honest" in said.err) == (8, 1, True), said
