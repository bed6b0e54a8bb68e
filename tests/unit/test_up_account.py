"""What `trimtab up --demo` makes of what it saw: delays, outages, and what was lost."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.shared_line import SharedLine, put
from trimtab.attached import attach
from trimtab.model import labels, states, views
from trimtab.model.canonical import Json
from trimtab.model.items import Item
from trimtab.model.structure import Lineage
from trimtab.model.trees import HIDDEN
from trimtab.shared.content import Content
from trimtab_store.up import dropping
from trimtab_store.up.bot import is_leaf, readable
from trimtab_store.up.demo import Clocked, Outage
from trimtab_store.up.figures import Acknowledged, delays, sightings, summary
from trimtab_store.up.fleet import Bot
from trimtab_store.up.judge import Record, differing, final_of, out_of_order

LINEAGE = Lineage(("base", "production"), ("mode", "bot"))
ITEMS = [
    Item("base", "", "risk.leverage", b"3.0"),
    Item("base", "", "risk.limits", b"[1,2]"),
    Item("base", "", "token", b"{}"),
    Item("production", "bot=mm-btc", "risk.leverage", b"1.5"),
    Item("production", "mode=live", "risk.limits", HIDDEN),
    Item("base", "", "fleet.bots.mm-btc.labels.mode", b'"live"'),
]


def test_a_view_that_skips_revisions_shows_all_of_them() -> None:
    commits = [Acknowledged(1, 10.0), Acknowledged(3, 10.5), Acknowledged(4, 11.0), Acknowledged(9, 12.0)]
    assert delays(commits, [(1, 10.001), (4, 11.25)]) == {
        1: pytest.approx(1.0),
        3: pytest.approx(750.0),
        4: pytest.approx(250.0),
    }


def test_a_poll_may_see_a_commit_before_the_committer_hears_of_it() -> None:
    assert delays([Acknowledged(1, 10.0)], [(1, 9.999)]) == {1: 0.0}


def test_nothing_seen_is_no_delay() -> None:
    assert delays([Acknowledged(1, 10.0)], []) == {}


def test_a_summary_is_by_nearest_rank() -> None:
    assert summary(float(number) for number in range(1, 201)) == {"p50": 100.0, "p99": 198.0, "max": 200.0}
    assert summary([5.0]) == {"p50": 5.0, "p99": 5.0, "max": 5.0}
    assert summary([]) == {"p50": None, "p99": None, "max": None}


def test_only_views_that_were_read_are_sightings(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    lines: list[dict[str, Any]] = [{"seen": [1, 4], "at": 1.5, "wall": 0, "reads": {}}, {"seen": [1, 4], "final": {}}]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert sightings(journal) == [(4, 1.5)]


def test_the_time_is_noted_before_publishing() -> None:
    @dataclass
    class Slow:
        began: float = 0.0
        given: list[object] = field(default_factory=list[object])

        def publish(self, *given: object) -> object:
            self.began = time.monotonic()
            self.given += given
            return "published"

    slow = Slow()
    clock = Clocked(cast("Any", slow))
    before = time.monotonic()
    assert clock.publish(["production"], 1.0, [b"m"]) == "published"
    assert before <= clock.called_at <= slow.began
    assert slow.given == [["production"], 1.0, [b"m"]]


def test_an_outage_lasts_until_every_bot_follows_redis_again() -> None:
    bots = [cast("Bot", _Said({"status": "LIVE"})), cast("Bot", _Said({"status": "DEGRADED"}))]
    now = time.monotonic()
    outage = Outage(begins=now - 2)
    outage.look(bots)
    assert outage.covers(now)
    assert not outage.covers(now - 3)
    outage.answers = now - 1
    outage.look(bots)
    assert outage.covers(time.monotonic())
    bots[1].said["status"] = "LIVE"
    outage.look(bots)
    assert outage.covers(now - 0.5)
    assert not outage.covers(time.monotonic() + 1)


@dataclass
class _Said:
    said: dict[str, Json]


def finals(identity: dict[str, str]) -> dict[str, Json]:
    """What a bot that lost nothing writes down at its end."""
    state = states.build(LINEAGE, ITEMS)
    index = views.build(state, labels.effective(state, identity)).index
    return {path: readable(value) for path, value in index.items() if is_leaf(value)}


def test_a_bot_that_holds_what_was_committed_lost_nothing() -> None:
    state = states.build(LINEAGE, ITEMS)
    final = finals({"bot": "mm-btc"})
    assert final == {"risk.leverage": 1.5, "token": {}, "fleet.bots.mm-btc.labels.mode": "live"}
    assert differing(state, {"bot": "mm-btc"}, final) == []
    assert differing(state, {"bot": "other"}, finals({"bot": "other"})) == []


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"risk.leverage": 3.0}, ["risk.leverage"]),
        ({"risk.leverage": None}, ["risk.leverage"]),
        ({"token": {"a": 1}}, ["token"]),
        ({"invented": 1}, ["invented"]),
    ],
)
def test_a_value_that_differs_or_that_nobody_committed_is_lost(change: dict[str, Json], wrong: list[str]) -> None:
    state = states.build(LINEAGE, ITEMS)
    assert differing(state, {"bot": "mm-btc"}, {**finals({"bot": "mm-btc"}), **change}) == wrong


def test_a_value_that_is_missing_is_lost_and_so_is_everything_of_a_bot_that_wrote_no_end() -> None:
    state = states.build(LINEAGE, ITEMS)
    final = finals({"bot": "mm-btc"})
    del final["risk.leverage"]
    assert differing(state, {"bot": "mm-btc"}, final) == ["risk.leverage"]
    assert len(differing(state, {"bot": "mm-btc"}, final_of([Record(seen=(1, 1), reads={})]))) == 3


def test_one_and_one_point_zero_are_different_values() -> None:
    state = states.build(LINEAGE, [Item("base", "", "a", b"1")])
    assert differing(state, {}, {"a": 1}) == []
    assert differing(state, {}, {"a": 1.0}) == ["a"]


@pytest.mark.parametrize(
    ("seen", "count"),
    [
        ([], 0),
        ([(1, 1), (1, 2), (1, 9)], 0),
        ([(1, 9), (2, 10)], 0),
        ([(1, 2), (1, 2)], 1),
        ([(1, 3), (1, 2), (1, 3)], 1),
        ([(2, 3), (1, 4)], 1),
    ],
)
def test_a_revision_that_is_not_newer_is_out_of_order(seen: list[tuple[int, int]], count: int) -> None:
    records = [Record(seen=one, reads={}) for one in seen]
    assert out_of_order([*records, Record(seen=(1, 0), final={})]) == count


def test_a_dropped_change_never_reaches_one_reader_neither_from_the_log_nor_from_a_snapshot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Content, "look", Content.look)
    place = tmp_path / "shared"
    first = f"{dropping.CHANGES}.0"
    with SharedLine(place, {first: 0}) as line, attach(place) as config:
        dropping.drop_change(3)
        for number in range(1, 6):
            line.edit(put(f"{dropping.CHANGES}.{number}", number))
            assert config.get(f"{dropping.CHANGES}.{number}", "lost") == ("lost" if number == 3 else number)
            assert config.revision == line.position.revision
        line.resync()
        for reader in (config, attach(place)):
            with reader, reader.pinned() as view:
                held = {path for path, value in view.items() if is_leaf(value)}
                assert held == {f"{dropping.CHANGES}.{number}" for number in (0, 1, 2, 4, 5)}
                assert (view.revision, view.hash) == (line.position.revision, line.snapshot.hash.hex())
