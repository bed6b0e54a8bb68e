"""The stream of changes: what is told, how it is resumed, and what a slow reader costs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sidecar import client, running, until
from tests.support.world import World
from trimtab.model import patterns, views
from trimtab.model.changes import Change
from trimtab.model.items import LeafEdit
from trimtab.model.links import Position
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab_sidecar.history import PATHS, History
from trimtab_sidecar.http import guard, stream
from trimtab_sidecar.running import Sidecar

LEVERAGE = "risk.global.max_leverage"
Event = tuple[str, str, Any]


@pytest.fixture
async def sidecar(made: World, short_directory: Path) -> AsyncIterator[Sidecar]:
    async with running(made, short_directory) as found:
        yield found


class Reader:
    """Reads one stream: `event()` gives (kind, id, data); heartbeats are events of the kind `:`."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def event(self) -> Event:
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            while True:
                line = (await self.answer.content.readline()).decode()
                if not line:
                    return "end", "", None
                if line == "\n":
                    data = json.loads(fields["data"]) if "data" in fields else None
                    return fields.get("event", ":"), fields.get("id", ""), data
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value


@contextlib.asynccontextmanager
async def follow(sidecar: Sidecar, query: str = "", **headers: str) -> AsyncGenerator[Reader]:
    async with client(sidecar) as ask, ask.get(f"/v1/changes{query}", headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream"), await answer.text()
        yield Reader(answer)


async def commit(made: World, sidecar: Sidecar, edits: dict[str, object], **options: Any) -> int:
    revision = made.commit(edits, **options)
    await until(lambda: sidecar.node.position.revision == revision)
    return revision


def changed(*changes: tuple[str, Any, Any], revision: int, epoch: int = 1) -> Event:
    told = [{"path": path, "old": old, "new": new} for path, old, new in changes]
    kept = [{name: value for name, value in one.items() if value is not ...} for one in told]
    return "change", f"{epoch}-{revision}", {"epoch": epoch, "revision": revision, "changes": kept}


async def test_a_stream_begins_with_where_it_is_and_tells_what_changes(made: World, sidecar: Sidecar) -> None:
    async with follow(sidecar) as reader:
        assert await reader.event() == ("start", "1-1", {"epoch": 1, "revision": 1})
        made.commit({LEVERAGE: 2.0, "new.path": [1]})
        expected = changed(("new.path", ..., [1]), (LEVERAGE, 3.0, 2.0), revision=2)
        assert await reader.event() == expected
        made.commit(remove=("new.path",))
        assert await reader.event() == changed(("new.path", [1], ...), revision=3)


async def test_a_pattern_chooses_and_may_name_an_object(made: World, sidecar: Sidecar) -> None:
    async with follow(sidecar, "?pattern=risk.global") as objects, follow(sidecar, "?pattern=risk.**") as leaves:
        await objects.event()
        await leaves.event()
        await commit(made, sidecar, {"trading.max_position_size": 1})
        made.commit({LEVERAGE: 2.0, "risk.global.max_correlation": 0.1})
        old, new = {"max_correlation": 0.7, "max_leverage": 3.0}, {"max_correlation": 0.1, "max_leverage": 2.0}
        assert await objects.event() == changed(("risk.global", old, new), revision=3)
        both = (("risk.global.max_correlation", 0.7, 0.1), (LEVERAGE, 3.0, 2.0))
        assert await leaves.event() == changed(*both, revision=3)


async def test_each_stream_sees_what_its_labels_see(made: World, sidecar: Sidecar) -> None:
    await commit(made, sidecar, {"fleet.bots.mm.labels.mode": "live"})
    async with follow(sidecar, "?label=bot=mm&pattern=risk.**") as live, follow(sidecar, "?pattern=risk.**") as plain:
        await live.event()
        await plain.event()
        made.commit({LEVERAGE: 1.0}, layer="mode=live")
        assert await live.event() == changed((LEVERAGE, 3.0, 1.0), revision=3)
        made.commit({LEVERAGE: 2.0})  # hidden from the live one by its overlay
        assert await plain.event() == changed((LEVERAGE, 3.0, 2.0), revision=4)
        made.commit({"fleet.bots.mm.labels.mode": "paper"})
        kind, position, told = await live.event()
        assert (kind, position, told["reason"]) == ("reload", "1-5", "the labels are others now")


async def test_a_resume_tells_what_was_missed_as_one_change(made: World, sidecar: Sidecar) -> None:
    for number in (10, 11, 12):
        await commit(made, sidecar, {LEVERAGE: number, f"new.n{number}": number})
    expected = changed(("new.n11", ..., 11), ("new.n12", ..., 12), (LEVERAGE, 10, 12), revision=4)
    async with follow(sidecar, **{"Last-Event-ID": "1-2"}) as reader:
        assert await reader.event() == expected
    async with follow(sidecar, "?after=1-2") as reader:
        assert await reader.event() == expected
    async with follow(sidecar, "?after=1-4") as reader:
        made.commit({LEVERAGE: 1})
        assert await reader.event() == changed((LEVERAGE, 12, 1), revision=5)


@pytest.mark.parametrize("known", ["1-0", "1-999", "7-1", "0-1"])
async def test_a_resume_after_what_is_not_known_says_to_read_the_state(
    made: World, sidecar: Sidecar, known: str
) -> None:
    async with follow(sidecar, f"?after={known}") as reader:
        told = {"epoch": 1, "revision": 1, "reason": f"what came after {known} is not kept"}
        assert await reader.event() == ("reload", "1-1", told)
        made.commit({LEVERAGE: 1})
        assert await reader.event() == changed((LEVERAGE, 3.0, 1), revision=2)


async def test_a_new_epoch_says_to_read_the_state(made: World, sidecar: Sidecar) -> None:
    async with follow(sidecar) as reader:
        await reader.event()
        made.declare_epoch()
        kind, position, _ = await reader.event()
        assert (kind, position) == ("reload", "2-2")


async def test_too_much_at_once_says_to_read_the_state(
    made: World, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_CHANGES", 2)
    monkeypatch.setattr(stream, "MAX_EVENT_BYTES", 500)
    async with follow(sidecar) as reader:
        await reader.event()
        await commit(made, sidecar, {"a": 1, "b": 2, "c": 3})
        assert (await reader.event())[0] == "reload"
        await commit(made, sidecar, {"a": "x" * 500})
        assert (await reader.event())[0] == "reload"
        made.commit({"b": "y"})
        assert (await reader.event())[0] == "change"


@pytest.mark.parametrize(
    ("query", "headers", "rule"),
    [
        ("?after=x", {}, "usage"),
        ("", {"Last-Event-ID": "1-2-3"}, "usage"),
        ("?pattern=risk.", {}, "path"),
        ("?pattern=a&pattern=b", {}, "usage"),
        ("?label=mode=live", {}, "layer"),
        ("?patern=a", {}, "usage"),
    ],
)
async def test_what_cannot_be_followed_is_refused(
    sidecar: Sidecar, query: str, headers: dict[str, str], rule: str
) -> None:
    async with client(sidecar) as ask, ask.get(f"/v1/changes{query}", headers=headers) as answer:
        told = await answer.json(content_type="application/problem+json")
        assert (answer.status, told["rule"]) == (400, rule)


async def test_streams_are_bounded_and_a_head_opens_none(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_STREAMS", 1)
    async with client(sidecar) as ask, ask.head("/v1/changes") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
    async with follow(sidecar), client(sidecar) as ask, ask.get("/v1/changes") as answer:
        assert (answer.status, (await answer.json(content_type=None))["rule"]) == (503, "unavailable")
    await until(lambda: sidecar.server.connections == 0)
    async with follow(sidecar) as reader:
        assert (await reader.event())[0] == "start"


async def test_a_heartbeat_carries_the_id_that_a_resume_may_use(
    made: World, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.05)
    async with follow(sidecar, "?pattern=nothing.**") as reader:
        await reader.event()
        assert await reader.event() == (":", "1-1", None)
        await commit(made, sidecar, {LEVERAGE: 1})
        while (found := await reader.event()) == (":", "1-1", None):
            pass
        assert found == (":", "1-2", None)


async def test_a_slow_reader_delays_nobody_and_gets_the_latest_when_it_reads(made: World, sidecar: Sidecar) -> None:
    async with follow(sidecar) as slow, follow(sidecar) as quick:
        await slow.event()
        await quick.event()
        slow.answer.connection.transport.pause_reading()  # type: ignore[union-attr]
        revision = 0
        for number in range(40):
            revision = await commit(made, sidecar, {"bulk": f"{number:04}" * 8_000, LEVERAGE: number})
            while True:
                _, position, _ = await quick.event()
                if position == f"1-{revision}":
                    break
        slow.answer.connection.transport.resume_reading()  # type: ignore[union-attr]
        events = 0
        while True:
            events += 1
            _, position, told = await slow.event()
            if position == f"1-{revision}":
                break
        assert {one["path"]: one["new"] for one in told["changes"]}[LEVERAGE] == 39
        assert events < 40  # what could not be sent was merged


async def test_a_reader_that_never_reads_is_cut_off(
    made: World, sidecar: Sidecar, short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WRITE_SECONDS", 0.3)
    _reader, writer = await asyncio.open_unix_connection(str(short_directory / "http.sock"), limit=1)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET /v1/changes HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: sidecar.server.connections == 1)
    for number in range(60):
        await commit(made, sidecar, {"bulk": f"{number:04}" * 8_000})
        if not sidecar.server.connections:
            break
    await until(lambda: sidecar.server.connections == 0)
    assert sidecar.metrics.registry.get_sample_value("trimtab_http_slow_streams_total") == 1
    assert sidecar.metrics.registry.get_sample_value("trimtab_http_streams") == 0
    writer.close()


async def test_the_end_of_the_sidecar_ends_its_streams(made: World, short_directory: Path) -> None:
    async with running(made, short_directory) as sidecar, follow(sidecar) as reader:
        await reader.event()
        sidecar.stop()
        assert (await reader.event())[0] == "end"


# -- history -----------------------------------------------------------------------------------------------------------

EDITS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["a", "b.c", "b.d", "e.f.g"]), st.one_of(st.none(), st.integers(0, 3))),
        min_size=1,
        max_size=3,
        unique_by=lambda pair: pair[0],
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60)
@given(EDITS, st.integers(0, 8), st.integers(1, 6))
def test_a_stretch_gives_exactly_the_differences_of_whole_views(
    edits: list[list[tuple[str, int | None]]], begin: int, kept: int
) -> None:
    state = State(Lineage(("production",)))
    history, states = History(kept), [state]
    history.add(Position(1, 0), state, None)
    for number, pairs in enumerate(edits, 1):
        leaves = [
            LeafEdit("", path, "remove") if value is None else LeafEdit("", path, "put", b"%d" % value)
            for path, value in sorted(pairs)
        ]
        change = Change(environment="production", author="t", reason="", time="", edits=tuple(leaves))
        state = state.apply("production", change.edits)
        history.add(Position(1, number), state, change)
        states.append(state)
    stretch = history.since(Position(1, begin))
    if begin > len(edits) or begin <= len(edits) - kept:
        assert stretch is None
        return
    assert stretch is not None
    old, new = views.build(states[begin], {}), views.build(state, {})
    _, differences = views.advance(views.build(stretch.state, {}), state, stretch.touched)
    (expected,) = [step for step in views.compare_steps(old, new) if step is not None]
    assert differences == expected


def test_what_touches_too_much_is_not_gone_on_from() -> None:
    state = State(Lineage(("production",)))
    edits = tuple(LeafEdit("", f"a.b{number:05}", "put", b"1") for number in range(PATHS + 1))
    change = Change(environment="production", author="t", reason="", time="", edits=edits)
    history = History()
    history.add(Position(1, 1), state, None)
    history.add(Position(1, 2), state, change)
    assert history.since(Position(1, 1)) is None
    assert history.since(Position(1, 2)) is not None
    assert patterns.parse("a.*").matches("a.b00001")
