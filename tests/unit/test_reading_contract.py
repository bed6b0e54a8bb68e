"""The contract of reading, over both that give it: an agent in the process, and a reader attached to a sidecar."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.support.stages import Stage, made_stage
from tests.support.waiting import eventually
from trimtab import Changed, Reloaded
from trimtab.model.errors import ModelRefused, PathError, PathNotFound, RequirementFailed, UnavailableError
from trimtab.model.reports import Status
from trimtab.model.values import Document

LEVERAGE = "risk.global.max_leverage"


@pytest.fixture(params=["agent", "attached"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    made = made_stage(request.param, tmp_path / "shared")
    made.commit({"risk.global": {"max_leverage": 3.0, "names": ["a", "b"]}, "token": {"t1": {"on": True}, "t2": {}}})
    made.sign()
    yield made
    made.close()


def plain(value: object) -> object:
    return value.to_dict() if isinstance(value, Document) else value


def test_items_subtrees_and_what_is_not_there(stage: Stage) -> None:
    with stage.reader() as reader:
        assert (reader[LEVERAGE], reader["risk.global.names"]) == (3.0, ("a", "b"))
        assert plain(reader["token"]) == {"t1": {"on": True}, "t2": {}}
        assert (reader.get("token.t3", 5), reader.get("token.t1.on"), "token.t2" in reader, "x" in reader) == (
            5, True, True, False,
        )  # fmt: skip
        assert reader['"token"."t1".on'] is True
        with pytest.raises(PathNotFound, match=r"risk\.global\.max_leverage\?"):
            reader["risk.global.max_levrage"]
        with pytest.raises(PathError):
            reader["a..b"]
        assert (reader.environment, reader.revision, reader.epoch) == ("production", 1, 1)
        assert stage.link is not None
        assert reader.hash == stage.link.hash.hex()


def test_updates_and_deletes_before_the_first_touch(stage: Stage) -> None:
    reader = stage.reader()
    revision = stage.commit({LEVERAGE: 2.0, "new.one": 1}, remove=("risk.global.names", "token.t1.on"))
    assert reader.wait_for(revision, 5)
    assert (reader[LEVERAGE], reader["new.one"], reader.get("risk.global.names")) == (2.0, 1, None)
    assert plain(reader["token"]) == {"t2": {}}


def test_updates_and_deletes_after_the_first_touch(stage: Stage) -> None:
    reader = stage.reader()
    assert all(reader[path] for path in (LEVERAGE, "risk", "risk.global", "token", "token.t1", "token.t1.on"))
    revision = stage.commit({LEVERAGE: 2.0, "risk.global.more": None}, remove=("token.t1.on",))
    assert reader.wait_for(revision, 5)
    assert (reader[LEVERAGE], "token.t1" in reader, "token.t1.on" in reader) == (2.0, False, False)
    assert plain(reader["risk"]) == {"global": {"max_leverage": 2.0, "names": ["a", "b"], "more": None}}
    revision = stage.commit({"token.t1.on": False}, remove=("token.t2", "risk.global.more"))
    assert reader.wait_for(revision, 5)
    assert plain(reader["token"]) == {"t1": {"on": False}}
    assert plain(reader["risk.global"]) == {"max_leverage": 2.0, "names": ["a", "b"]}


def test_first_touches_under_an_old_pin(stage: Stage) -> None:
    reader = stage.reader()
    with reader.pinned() as pin:
        revision = 0
        for number in range(12):
            revision = stage.commit({LEVERAGE: number / 2, f"new.n{number}": number}, remove=("token.t1.on",))
        assert reader.wait_for(revision, 5)
        assert (reader[LEVERAGE], plain(reader["token"])) == (5.5, {"t2": {}})
        assert (pin[LEVERAGE], plain(pin["token"]), pin.get("new"), pin.revision) == (
            3.0, {"t1": {"on": True}, "t2": {}}, None, 1,
        )  # fmt: skip
        assert sorted(pin) == ["risk", "risk.global", LEVERAGE, "risk.global.names", "token", "token.t1", "token.t1.on",
                               "token.t2"]  # fmt: skip
        assert len(reader.pinned()["new"] or ()) == 12  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - an object


def test_labels_change_what_is_seen(stage: Stage) -> None:
    stage.commit({"fleet.bots.mm.labels": {"mode": "paper"}})
    stage.commit({LEVERAGE: 1.0, "only.live": 1}, layer="mode=live")
    reader = stage.reader()
    assert reader.wait_for(3, 5)
    assert (reader[LEVERAGE], reader.labels["mode"], "only" in reader) == (3.0, "paper", False)
    revision = stage.commit({"fleet.bots.mm.labels.mode": "live"})
    assert reader.wait_for(revision, 5)
    assert (reader[LEVERAGE], reader.labels["mode"], "only.live" in reader) == (1.0, "live", True)


def test_a_requirement_that_fails_stops_every_read_until_it_holds_again(stage: Stage) -> None:
    stage.commit({"fleet.bots.mm.labels": {"mode": "paper"}})
    reader = stage.reader(require={"mode": "paper"})
    assert reader.wait_for(2, 5)
    binding = reader.bind(LEVERAGE, float)
    stage.commit({"fleet.bots.mm.labels.mode": "live"})
    assert eventually(lambda: reader.labels["mode"] == "live" and "requirement" in reader.alarms)
    for read in (
        lambda: reader[LEVERAGE],
        lambda: reader.get(LEVERAGE),
        lambda: LEVERAGE in reader,
        reader.pinned,
        lambda: binding.current,
        lambda: reader.wait_for(1),
    ):
        with pytest.raises(RequirementFailed, match="mode=paper is required, configuration says live"):
            read()
    revision = stage.commit({"fleet.bots.mm.labels.mode": "paper", LEVERAGE: 2.0})
    assert eventually(lambda: "requirement" not in reader.alarms)
    assert (reader[LEVERAGE], binding.current, reader.revision) == (2.0, 2.0, revision)
    with pytest.raises(RequirementFailed, match="mode=live"):
        stage.reader(require={"mode": "live"})


class Global(BaseModel, frozen=True):
    max_leverage: float


def test_a_binding_follows_and_keeps_what_its_model_accepts(stage: Stage) -> None:
    reader = stage.reader()
    binding = reader.bind("risk.global", Global)
    assert reader.bind("risk.global", Global) is binding
    assert reader.wait_for(stage.commit({LEVERAGE: 2.5}), 5)
    assert (binding.current.max_leverage, binding.revision, reader.refused) == (2.5, 2, ())
    assert reader.wait_for(stage.commit({LEVERAGE: "much"}), 5)
    assert (binding.current.max_leverage, reader[LEVERAGE], binding.revision) == (2.5, "much", 2)
    assert [(one.path, one.revision) for one in reader.refused] == [("risk.global", 3)]
    assert reader.wait_for(stage.commit({LEVERAGE: 1.5}), 5)
    assert (binding.current.max_leverage, reader.refused, binding.refused) == (1.5, (), None)
    with pytest.raises(ModelRefused):
        reader.bind("token", Global)
    with pytest.raises(PathNotFound):
        reader.bind("none", Global)


async def test_events_name_what_changed(stage: Stage) -> None:
    reader = await asyncio.to_thread(stage.reader)
    changes = reader.changes("risk.**")
    with pytest.raises(PathError):
        reader.changes("**.**..")
    stage.commit({LEVERAGE: 2.0, "token.t1.on": False})
    async with asyncio.timeout(5):
        event = await anext(changes)
    assert event == Changed(path=LEVERAGE, old=3.0, new=2.0, from_revision=1, to_revision=2)
    stage.commit({"risk.global.names": []})
    async with asyncio.timeout(5):
        event = await anext(changes)
    assert event == Changed(path="risk.global.names", old=("a", "b"), new=(), from_revision=2, to_revision=3)
    await asyncio.to_thread(reader.close)
    assert [event async for event in changes] == []


async def test_a_label_change_is_a_reload_with_what_differs(stage: Stage) -> None:
    stage.commit({"fleet.bots.mm.labels": {"mode": "paper"}})
    stage.commit({LEVERAGE: 1.0}, layer="mode=live")
    reader = await asyncio.to_thread(stage.reader)
    assert await asyncio.to_thread(reader.wait_for, 3, 5)
    changes = reader.changes("risk.**")
    stage.commit({"fleet.bots.mm.labels.mode": "live"})
    async with asyncio.timeout(5):
        found = [await anext(changes), await anext(changes)]
    assert found == [
        Reloaded(from_revision=3, to_revision=4),
        Changed(path=LEVERAGE, old=3.0, new=1.0, from_revision=3, to_revision=4),
    ]


def test_a_new_epoch_is_followed(stage: Stage) -> None:
    reader = stage.reader()
    assert reader.wait_for(stage.declare_epoch(), 5)
    assert (reader.epoch, reader.revision, reader[LEVERAGE]) == (2, 2, 3.0)


def test_status_is_live_and_stale_once_it_is_closed(stage: Stage) -> None:
    reader = stage.reader()
    assert eventually(lambda: reader.status is Status.LIVE)
    assert 0 <= reader.staleness_seconds < 5
    assert (reader.max_staleness("risk.global"), reader.too_stale, dict(reader.alarms)) == (300.0, (), {})
    reader.close()
    assert (reader[LEVERAGE], reader.status) == (3.0, Status.STALE)
    reader.close()


def test_waiting_ends_in_time_or_with_the_reader(stage: Stage) -> None:
    reader = stage.reader()
    assert reader.wait_for(1, 0)
    assert reader.wait_for(99, 0.05) is False
    reader.close()
    with pytest.raises(UnavailableError, match="closed"):
        reader.wait_for(99, 30)
