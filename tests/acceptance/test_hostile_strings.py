"""Strings that mean something elsewhere (SQL, Lua, RESP, JSON, terminals, text direction) through every entrance."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import pytest
import redis

from tests.support.fleet import Stand
from tests.support.line import KEY
from tests.support.published import every_key
from tests.support.waiting import settles
from trimtab import Agent
from trimtab.model import paths
from trimtab.model.errors import TrimtabError, UsageError, ValidationError
from trimtab.model.links import Position
from trimtab.model.reports import Report, Status
from trimtab.model.values import thaw
from trimtab_store.embedded.redis import RedisServer

WORDS: Final = (
    "'; DROP TABLE trimtab.links; --",
    "$1 %s %(x)s {0} {} \\",
    "$$; SELECT pg_sleep(9); $$",
    '"} ]] return redis.call("FLUSHALL") --[[',
    "*3\r\n$3\r\nDEL\r\n",
    "trimtab:{production}:head",
    "}:head {production",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202eevil\u2066\u2069",
    "\ufeffstart\u200bzero",
    "e\u0301 \u00e9 \U0001f4b8 \U0010ffff",
    "${HOME} $(id) `id` ../../etc/passwd",
    "line\nbreak\ttab\r",
    "{{7*7}} <script>alert(1)</script>",
    "null",
    " ",
    "",
)
CONTROL: Final = ("\x1b[2J", "a\x00b", "a\nb", "\u202eevil", "a\u2028b", "\ud800")
"""Refused wherever a name is expected: terminals would obey them, people would misread them."""
UNSTORABLE: Final = ("\x00", "a\x00b", "\ud800", "x\udfff")
"""Refused everywhere."""


def names() -> list[str]:
    """Paths whose last segment is a hostile word, where the grammar takes it."""
    found: list[str] = []
    for number, word in enumerate(WORDS):
        with contextlib.suppress(TrimtabError):
            found.append(paths.join(("hostile", f"n{number}", word)))
    return found


def test_hostile_values_and_names_arrive_as_they_were(stand: Stand) -> None:
    store = stand.populate()
    stand.relay()
    agents = stand.fleet()
    values = {f"hostile.v{number}": word for number, word in enumerate(WORDS)}
    assert len(names()) > 8
    with store.edit("base", author="test", reason="values") as edit:
        for path, word in values.items():
            edit.set(path, word)
        edit.set("hostile.list", list(WORDS))
        for path in names():
            edit.set(path, path)
    for agent in agents:
        settles(lambda agent=agent: _serves(agent, edit.committed.revision))  # type: ignore[misc]
        assert {path: agent[path] for path in values} == values
        assert agent["hostile.list"] == WORDS
        assert {path: agent[path] for path in names()} == {path: path for path in names()}
    assert {path: store.get(path, "testing").value for path in values} == values
    exported = store.export_environment("base")
    store.create_environment("copy", author="test", dimensions=("region", "strategy", "mode", "node", "bot"))
    store.import_environment(exported, environment="copy", author="test")
    assert thaw(store.queries.document("copy").value) == thaw(store.queries.document("base").value)
    stand.settle()


def _serves(agent: Agent, revision: int) -> None:
    assert agent.wait_for(revision, 0)


@pytest.mark.parametrize("word", WORDS, ids=range(len(WORDS)))
def test_hostile_words_of_an_edit_are_kept_as_they_were(bare_stand: Stand, word: str) -> None:
    store = bare_stand.populate()
    author, key = word if word.strip() else "a", word or None
    with store.edit("base", author=author, reason=word, idempotency_key=key) as edit:
        edit.set("hostile.word", 1)
    newest = store.history.environment("base", limit=1)[0]
    assert (newest.author, newest.reason) == (author, word)
    bare_stand.settle()


@pytest.mark.parametrize("word", UNSTORABLE, ids=ascii)
def test_what_cannot_be_stored_is_refused_by_every_entrance(bare_stand: Stand, word: str) -> None:
    store = bare_stand.populate()
    before = bare_stand.settle().head
    attempts: list[dict[str, Any]] = [
        {"author": word},
        {"author": "a", "reason": word},
        {"author": "a", "idempotency_key": word},
        {"author": "a", "value": word},
        {"author": "a", "value": {"deep": [word]}},
        {"author": "a", "value": {word: 1}},
        {"author": "a", "path": f'hostile."{word}"'},
        {"author": "a", "layer": {"mode": word}},
        {"author": "a", "layer": {word: "live"}},
        {"author": "a", "environment": word},
    ]
    for given in attempts:
        asked: dict[str, Any] = {"environment": "base", "path": "hostile.x", "value": 1, "layer": None, **given}
        environment, path, value, layer = (asked.pop(name) for name in ("environment", "path", "value", "layer"))
        with pytest.raises(TrimtabError), store.edit(environment, **asked) as edit:
            edit.set(path, value, layer)
    for name in (word, f"x{word}"):
        with pytest.raises(TrimtabError):
            store.create_environment(name, author="a")
        with pytest.raises(TrimtabError):
            store.get("a.b", name)
    assert bare_stand.settle().head == before, "nothing changed"


@pytest.mark.parametrize("word", CONTROL, ids=ascii)
def test_names_that_a_terminal_would_obey_are_refused(bare_stand: Stand, word: str) -> None:
    store = bare_stand.populate()
    with pytest.raises(UsageError), store.edit("base", author="a") as edit:
        edit.set(f'hostile."{word}"', 1)
    with pytest.raises(TrimtabError) as caught, store.edit("base", author="a") as edit:
        edit.set("hostile.x", 1, {"mode": word})
    assert word not in str(caught.value)
    with pytest.raises((UsageError, ValidationError)), store.edit("base", author="a") as edit:
        edit.set("hostile", {"deep": {word: 1}})
    with pytest.raises(UsageError):
        Agent.connect(environment="base", labels={"bot": word}, trust=KEY.trust(), database_url=bare_stand.agent_url)
    bare_stand.settle()


@pytest.mark.parametrize("word", WORDS, ids=range(len(WORDS)))
def test_an_agent_asks_for_what_it_is_told_and_nothing_else(
    one_stand: Stand, one_redis: RedisServer, word: str
) -> None:
    store = one_stand.populate()
    with contextlib.closing(one_redis.client()) as client:
        before = every_key(client)
    with pytest.raises(TrimtabError):
        one_stand.agent(word, {}, timeout=3.0)
    with pytest.raises(TrimtabError):
        store.get("a.b", word)
    with contextlib.closing(one_redis.client()) as client:
        assert [key for key in every_key(client) if b":fleet" not in key] == before
    one_stand.settle()


def test_hostile_reports_hurt_neither_the_fleet_nor_its_readers(one_stand: Stand, one_redis: RedisServer) -> None:
    """An agent may write anything into `:fleet`; nothing of it is trusted."""
    store = one_stand.populate()
    one_stand.relay()
    one_stand.fleet()
    with contextlib.closing(one_redis.client()) as client:
        settles(lambda: _all_reported(client))
        for number, word in enumerate(WORDS):
            report = Report(
                agent=f"hostile-{number}",
                environment="production",
                labels={"bot": word},
                epoch=10**18,
                revision=10**18,
                proven=0,
                status=Status.LIVE,
                staleness_seconds=0.0,
                alarms=(word,),
                at=1.0,
            )
            client.hset("trimtab:{production}:fleet", f"hostile-{number}", report.encode())
            client.hset("trimtab:{production}:fleet", word, word)
    with store.edit("base", author="test") as edit:
        edit.set("risk.global.position_timeout", 7)
    assert edit.committed.position < Position(1, 10**6)
    outcome = edit.committed.wait(20)
    assert len(outcome.served) == 3
    one_stand.settle()


def _all_reported(client: redis.Redis) -> None:
    reported: Any = [client.hlen(f"trimtab:{{{environment}}}:fleet") for environment in ("production", "testing")]
    assert reported == [2, 1]
