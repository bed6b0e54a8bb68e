"""Reading through the sidecar: values, subtrees and views for the labels that a request names, and their ETags."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.sidecar import client, running, until
from tests.support.world import World, world
from trimtab.model import canonical
from trimtab.model.links import Position
from trimtab_sidecar.http import bodies, guard
from trimtab_sidecar.http.bodies import Bodies
from trimtab_sidecar.running import Sidecar

ODD: list[Any] = [1, 2.5, "é", None, {}]
LEVERAGE = "/v1/values/risk.global.max_leverage"


@pytest.fixture
def made() -> Iterator[World]:
    with world() as found:
        found.commit({"fleet.bots.mm.labels.mode": "live", 'odd."a.b/c%"': ODD})
        found.commit({"risk.global.max_leverage": 2.0}, layer="mode=live")
        found.commit({"risk.global.max_leverage": 1.0}, layer="region=ld4")
        found.commit({"risk.global.max_correlation": 0.5}, layer="node=ny4-1")
        yield found


@pytest.fixture
async def sidecar(made: World, short_directory: Path) -> AsyncIterator[Sidecar]:
    async with running(made, short_directory) as found:
        await until(lambda: found.node.position.revision == made.revision)
        yield found


@pytest.fixture
async def ask(sidecar: Sidecar) -> AsyncIterator[aiohttp.ClientSession]:
    async with client(sidecar) as found:
        yield found


async def read(ask: aiohttp.ClientSession, target: str, **headers: str) -> tuple[int, Any]:
    async with ask.get(target, headers=headers) as answer:
        content = await answer.read()
        return answer.status, json.loads(content) if content else None


async def test_a_value_is_its_canonical_json(ask: aiohttp.ClientSession) -> None:
    async with ask.get(LEVERAGE) as answer:
        assert (await answer.read(), answer.content_type) == (b"3.0", "application/json")
    async with ask.get("/v1/values/risk.global") as answer:
        assert await answer.read() == b'{"max_correlation":0.5,"max_leverage":3.0}'
    async with ask.get("/v1/values/odd.%22a.b%2Fc%25%22") as answer:
        assert await answer.read() == canonical.encode(ODD)


async def test_a_request_sees_what_its_labels_see_and_inherits_those_of_the_sidecar(
    ask: aiohttp.ClientSession,
) -> None:
    assert await read(ask, LEVERAGE) == (200, 3.0)
    assert await read(ask, f"{LEVERAGE}?label=bot%3Dmm") == (200, 2.0)
    assert await read(ask, f"{LEVERAGE}?label=bot=mm&label=node=ny4-1") == (200, 2.0)
    async with ask.get("/v1/view?label=bot=mm") as answer:
        assert answer.headers["Trimtab-Labels"] == "bot=mm,mode=live,node=ny4-1,region=ny4"
        assert (await answer.json())["risk"]["global"] == {"max_correlation": 0.5, "max_leverage": 2.0}


@pytest.mark.parametrize(
    ("target", "status", "rule", "said"),
    [
        ("/v1/values/risk.global.max_levrage", 404, "path_not_found", "Did you mean risk.global.max_leverage?"),
        ("/v1/values/risk..global", 400, "path", ""),
        ("/v1/values/" + "a" * 3000, 400, "path", ""),
        (f"{LEVERAGE}?label=mode=live", 400, "layer", "Set fleet.bots.<bot>.labels.mode"),
        (f"{LEVERAGE}?label=region=ld4", 403, "denied", "Leave it out: it is inherited"),
        (f"{LEVERAGE}?label=bot", 400, "layer", "label=bot=mm-btc"),
        (f"{LEVERAGE}?label=bot=a&label=bot=b", 400, "layer", "Name each dimension once"),
        (f"{LEVERAGE}?label=bot=" + "x" * 200, 400, "layer", ""),
        (f"{LEVERAGE}?" + "&".join(["label=bot=a"] * 17), 400, "usage", "Name fewer"),
        (f"{LEVERAGE}?lable=bot=a", 400, "usage", "Did you mean label?"),
        ("/v1/values/", 404, "not_found", "There are /v1/values/PATH"),
    ],
)
async def test_what_is_refused_names_path_rule_and_remedy(
    ask: aiohttp.ClientSession, target: str, status: int, rule: str, said: str
) -> None:
    async with ask.get(target) as answer:
        told = await answer.json(content_type="application/problem+json")
    assert (answer.status, told["status"], told["rule"]) == (status, status, rule)
    assert said in told["remedy"]
    assert told["path"] == target.removeprefix("/v1/values/").partition("?")[0]
    assert {"type", "title", "detail"} <= told.keys()


async def test_a_hidden_path_is_not_found(made: World, sidecar: Sidecar, ask: aiohttp.ClientSession) -> None:
    made.commit(remove=("trading.max_position_size",))
    await until(lambda: sidecar.node.position.revision == made.revision)
    assert (await read(ask, "/v1/values/trading"))[0] == 404
    assert (await read(ask, "/v1/values/trading.max_position_size"))[0] == 404


async def test_an_etag_names_epoch_revision_and_labels(
    made: World, sidecar: Sidecar, ask: aiohttp.ClientSession
) -> None:
    async with ask.get("/v1/view") as answer:
        plain = answer.headers["ETag"]
        whole = await answer.read()
    assert plain.startswith('"1-5-')
    async with ask.get("/v1/view?label=bot=mm") as answer:
        assert answer.headers["ETag"] != plain
    for known in (plain, f'"x", {plain}', f"W/{plain}", "*"):
        async with ask.get("/v1/view", headers={"If-None-Match": known}) as answer:
            assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", plain)
            assert answer.headers["Trimtab-Revision"] == "5"
    async with ask.head("/v1/view") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(whole)))
    missing = "/v1/values/nothing.here"
    assert (await read(ask, missing, **{"If-None-Match": plain}))[0] == 404
    made.commit({"risk.global.max_leverage": 9.0})
    await until(lambda: sidecar.node.position.revision == 6)
    async with ask.get(LEVERAGE, headers={"If-None-Match": plain}) as answer:
        assert (answer.status, await answer.read(), answer.headers["ETag"][:5]) == (200, b"9.0", '"1-6-')


async def test_a_view_is_everything_that_a_reader_with_its_labels_sees(
    made: World, sidecar: Sidecar, ask: aiohttp.ClientSession
) -> None:
    for labels in ({}, {"bot": "mm"}):
        view = sidecar.node.view({**sidecar.node.identity, **labels})
        query = "&".join(f"label={name}={label}" for name, label in labels.items())
        assert await read(ask, f"/v1/view?{query}") == (200, view.root.to_dict())
    assert made.revision == 5


# -- bodies ------------------------------------------------------------------------------------------------------------


async def test_a_body_is_made_once_for_all_who_ask_and_forgotten_with_its_revision() -> None:
    cache, calls = Bodies(), list[str]()

    def encode() -> bytes:
        calls.append("made")
        return b"x" * 10

    first, second = Position(1, 1), Position(1, 2)
    key = ("bot=mm", "risk")
    assert set(await asyncio.gather(*(cache.of(first, key, encode) for _ in range(10)))) == {b"x" * 10}
    await cache.of(first, key, encode)
    assert calls == ["made"]
    await cache.of(second, key, encode)
    await cache.of(first, key, encode)  # asked before the swap, made after it
    await cache.of(second, key, encode)
    assert calls == ["made"] * 3


async def test_bodies_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "KEPT_BYTES", 25)
    cache, calls = Bodies(), list[int]()

    async def ask_for(number: int) -> None:
        def encode() -> bytes:
            calls.append(number)
            return b"x" * 10

        await cache.of(Position(1, 1), ("", str(number)), encode)

    for number in (1, 2, 1, 3, 1, 2):  # two fit: the third pushes out the one used longest ago
        await ask_for(number)
    assert calls == [1, 2, 3, 2]


async def test_a_body_that_fails_fails_for_those_who_asked_and_not_for_the_next() -> None:
    def broken() -> bytes:
        raise ZeroDivisionError

    cache = Bodies()
    with pytest.raises(ZeroDivisionError):
        await cache.of(Position(1, 1), ("", ""), broken)
    assert await cache.of(Position(1, 1), ("", ""), lambda: b"x") == b"x"


# -- slow readers ------------------------------------------------------------------------------------------------------


async def test_a_reader_that_asks_and_never_reads_is_cut_off_and_costs_bounded_memory(
    made: World, sidecar: Sidecar, short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.commit({f"bulk.{number}": "x" * 1_000 for number in range(2_000)})
    await until(lambda: sidecar.node.position.revision == made.revision)
    monkeypatch.setattr(guard, "WRITE_SECONDS", 0.5)
    _reader, writer = await asyncio.open_unix_connection(str(short_directory / "http.sock"), limit=1)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET /v1/view HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    sent = asyncio.get_running_loop().time()
    async with client(sidecar) as ask:
        async with ask.get(LEVERAGE) as answer:  # nobody else waits for it
            assert await answer.read() == b"3.0"
        await until(lambda: sidecar.server.connections == 1)
    assert asyncio.get_running_loop().time() - sent >= 0.5
    writer.close()
