"""Subscriptions: what is told, what is merged, and whom a slow subscriber delays: nobody."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Mapping

import pytest

from tests.support.waiting import eventually
from tests.unit.test_reader import held
from trimtab import pending, subscriptions
from trimtab.model.errors import PathError
from trimtab.model.resolution import ABSENT
from trimtab.model.values import Document
from trimtab.pending import Changed, ChangeEvent, Reloaded
from trimtab.reader import Held
from trimtab.subscriptions import Subscriptions


class Story:
    """A sequence of views, told to subscribers."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.subscriptions = Subscriptions()
        self.values = dict(values)
        self.held = held(values)

    def change(self, values: Mapping[str, object], *, reload: bool = False) -> None:
        after = {path: value for path, value in {**self.values, **values}.items() if value is not ABSENT}
        new = held(after, self.held.position.revision + 1)
        differences = {
            path: (self.values.get(path, ABSENT), after.get(path, ABSENT))
            for path in sorted(values)
            if self.values.get(path, ABSENT) != after.get(path, ABSENT)
        }
        steps = self.subscriptions.tell(self.held, new, differences, reload=reload)  # type: ignore[arg-type]  # leaves
        for _ in steps:
            pass
        self.values, self.held = after, new

    def subscribe(self, pattern: str) -> list[ChangeEvent]:
        """What a callback heard, in order."""
        heard: list[ChangeEvent] = []
        self.subscriptions.call(pattern, heard.append)
        return heard


def changed(path: str, old: object, new: object, start: int, end: int, coalesced: int = 0) -> Changed:
    return Changed(path=path, old=old, new=new, from_revision=start, to_revision=end, coalesced=coalesced)  # type: ignore[arg-type]  # leaves


def test_a_callback_hears_what_its_pattern_matches() -> None:
    story = Story({"risk.a": 1, "token.x": 1})
    heard = story.subscribe("risk.**")
    story.change({"risk.a": 2, "token.x": 2, "risk.b": 5})
    assert eventually(lambda: len(heard) == 2)
    assert heard == [changed("risk.a", 1, 2, 1, 2), changed("risk.b", ABSENT, 5, 1, 2)]


def test_what_goes_away_is_told() -> None:
    story = Story({"risk.a": 1, "risk.b": 2})
    heard = story.subscribe("**")
    story.change({"risk.a": ABSENT})
    assert eventually(lambda: heard == [changed("risk.a", 1, ABSENT, 1, 2)])


def test_a_pattern_that_names_an_object_hears_about_the_object_once() -> None:
    story = Story({"risk.global.a": 1, "risk.global.b": 1, "risk.other": 1})
    heard = story.subscribe("risk.*")
    story.change({"risk.global.a": 2, "risk.global.b": 2})
    assert eventually(lambda: heard)
    [event] = heard
    assert isinstance(event, Changed)
    assert (event.path, event.coalesced) == ("risk.global", 0)
    assert isinstance(event.old, Document)
    assert isinstance(event.new, Document)
    assert (event.old.to_dict(), event.new.to_dict()) == ({"a": 1, "b": 1}, {"a": 2, "b": 2})


def test_a_slow_callback_gets_the_latest_and_delays_nobody() -> None:
    story = Story({"a": 0, "b": 0})
    gate, entered = threading.Event(), threading.Event()
    slow: list[ChangeEvent] = []

    def wait(event: ChangeEvent) -> None:
        entered.set()
        gate.wait()
        slow.append(event)

    story.subscriptions.call("a", wait)
    quick = story.subscribe("a")
    story.change({"a": 1})
    assert entered.wait(5)
    for number in range(2, 6):
        story.change({"a": number})
    assert eventually(lambda: [event for event in quick if isinstance(event, Changed) and event.new == 5])
    gate.set()
    assert eventually(lambda: len(slow) == 2)
    assert slow == [changed("a", 0, 1, 1, 2), changed("a", 1, 5, 2, 6, coalesced=3)]


def test_a_raising_callback_is_logged_and_called_again(caplog: pytest.LogCaptureFixture) -> None:
    story = Story({"a": 0})
    calls: list[ChangeEvent] = []

    def fail(event: ChangeEvent) -> None:
        calls.append(event)
        raise RuntimeError("the bot's own bug")

    with caplog.at_level(logging.ERROR, "trimtab"):
        story.subscriptions.call("a", fail)
        story.change({"a": 1})
        assert eventually(lambda: len(calls) == 1)
        story.change({"a": 2})
        assert eventually(lambda: len(calls) == 2 and caplog.text.count("the bot's own bug") >= 2)


def test_nothing_comes_after_cancel() -> None:
    story = Story({"a": 0})
    heard: list[ChangeEvent] = []
    handle = story.subscriptions.call("a", heard.append)
    other = story.subscribe("a")
    handle.cancel()
    handle.cancel()
    story.change({"a": 1})
    assert eventually(lambda: len(other) == 1)
    assert (heard, handle.active, handle.cancelled) == ([], False, True)


def test_a_callback_may_cancel_itself() -> None:
    story = Story({"a": 0, "b": 0})
    heard: list[ChangeEvent] = []
    ready = threading.Event()

    def once(event: ChangeEvent) -> None:
        ready.wait()
        heard.append(event)
        handle.cancel()

    handle = story.subscriptions.call("*", once)
    story.change({"a": 1, "b": 1})
    ready.set()
    assert eventually(lambda: handle.cancelled)
    assert len(heard) == 1


def test_a_resync_tells_of_itself_first() -> None:
    story = Story({"a": 0, "b": 0})
    heard = story.subscribe("a")
    story.change({"a": 1, "b": 1}, reload=True)
    assert eventually(lambda: len(heard) == 2)
    assert heard == [Reloaded(from_revision=1, to_revision=2), changed("a", 0, 1, 1, 2)]


def test_too_many_events_become_one_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_PENDING", 3)
    monkeypatch.setattr(pending, "MAX_PENDING", 3)
    story = Story({f"k{number}": 0 for number in range(6)})
    stream = story.subscriptions.read("**")
    story.change({f"k{number}": 1 for number in range(6)})
    story.change({"k0": 2})

    async def first() -> ChangeEvent:
        return await anext(stream)

    event = asyncio.run(first())
    assert isinstance(event, Reloaded)
    assert (event.complete, event.from_revision, event.to_revision) == (False, 1, 3)


def test_a_large_resync_is_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_PENDING", 3)
    monkeypatch.setattr(pending, "MAX_PENDING", 3)
    story = Story({f"k{number}": 0 for number in range(6)})
    heard = story.subscribe("**")
    story.change({f"k{number}": 1 for number in range(6)}, reload=True)
    assert eventually(lambda: heard == [Reloaded(from_revision=1, to_revision=2, complete=False)])


async def test_asynchronous_changes_come_from_another_thread() -> None:
    story = Story({"a": 0})
    stream = story.subscriptions.read("a")

    def tell() -> None:
        for number in (1, 2):
            story.change({"a": number})

    teller = threading.Thread(target=tell)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.01)
    teller.start()
    first = await waiting
    assert isinstance(first, Changed)
    seen = [first]
    while seen[-1].new != 2:
        event = await anext(stream)
        assert isinstance(event, Changed)
        seen.append(event)
    teller.join()
    assert (seen[0].old, seen[-1].new) == (0, 2)


async def test_asynchronous_changes_end_with_the_agent() -> None:
    story = Story({"a": 0})
    stream = story.subscriptions.read("a")
    story.change({"a": 1})
    story.subscriptions.end()
    assert [event async for event in stream] == [changed("a", 0, 1, 1, 2)]


async def test_a_cancelled_stream_ends() -> None:
    story = Story({"a": 0})
    stream = story.subscriptions.read("a")
    story.change({"a": 1})
    stream.cancel()
    assert [event async for event in stream] == []


def test_a_stream_outlives_the_loop_that_waited_for_it() -> None:
    story = Story({"a": 0})
    stream = story.subscriptions.read("a")

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(stream)

    async def take() -> ChangeEvent:
        return await anext(stream)

    asyncio.run(give_up())
    story.change({"a": 1})
    assert asyncio.run(take()) == changed("a", 0, 1, 1, 2)


def test_a_dropped_stream_is_forgotten() -> None:
    story = Story({"a": 0})
    stream = story.subscriptions.read("a")
    del stream
    gc.collect()
    story.change({"a": 1})
    assert story.subscriptions._all() == []


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(PathError):
        Subscriptions().read("a..b")


def test_nobody_listening_costs_no_step() -> None:
    story = Story({"a": 0})
    old: Held = story.held
    assert list(story.subscriptions.tell(old, old, {}, reload=True)) == []
