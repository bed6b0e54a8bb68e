"""Urgent revisions: a line knows the newest one behind its state, and a reader gets it whatever is held back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.signed_line import KEY, Entry, SignedLine
from trimtab.model import snapshots, states
from trimtab.model.items import Item
from trimtab.model.links import START, Position
from trimtab.model.reports import Refusal
from trimtab.model.snapshots import Snapshot
from trimtab.model.structure import Lineage
from trimtab.model.views import View
from trimtab.replica.events import Serve
from trimtab.replica.line import Line, Verdict
from trimtab.replica.serving import Serving

PATH = "risk.global.max_leverage"
MODE = "fleet.bots.mm.labels.mode"


def refuse_odd(view: View, position: Position) -> Sequence[Refusal]:
    """A binding whose model refuses odd numbers."""
    value = view.index.get(PATH)
    assert isinstance(value, int)
    return (Refusal(PATH, position.revision, "odd"),) if value % 2 else ()


def state(revision: int, value: int, *, urgent: int = 0, epoch: int = 1, mode: str = "paper") -> Snapshot:
    """A state as a snapshot brings it: without the changes that led to it."""
    items = [Item("production", "", PATH, b"%d" % value), Item("production", "", MODE, b'"%s"' % mode.encode())]
    built = states.build(Lineage(("production",), ("mode",)), items)
    return Snapshot("production", Position(epoch, revision), b"%032d" % revision, built, urgent)


class Reader:
    """A reader under hold="all"; `offer` gives the position that it serves then."""

    def __init__(self, require: dict[str, str] | None = None) -> None:
        self.serving = Serving({"bot": "mm"}, require, "all", refuse_odd)

    def offer(self, *offered: Snapshot) -> Position:
        for snapshot in offered:
            for effect in self.serving.offer(snapshot):
                if isinstance(effect, Serve):
                    assert effect.position == snapshot.position
        return self.serving.position

    def quarantine(self, proven: Snapshot, upto: Position) -> Position:
        list(self.serving.quarantine(proven, upto))
        return self.serving.position


# -- serving -----------------------------------------------------------------------------------------------------------


def test_a_refused_state_is_held_back_when_nothing_urgent_led_to_it() -> None:
    reader = Reader()
    assert reader.offer(state(10, 2), state(20, 3)) == Position(1, 10)
    assert [one.path for one in reader.serving.held] == [PATH]


def test_a_refused_state_is_served_when_an_urgent_change_lies_in_the_skipped_stretch() -> None:
    assert Reader().offer(state(10, 2), state(20, 3, urgent=15)) == Position(1, 20)


def test_an_urgent_change_that_was_served_already_lifts_nothing() -> None:
    reader = Reader()
    assert reader.offer(state(10, 2, urgent=10), state(20, 3, urgent=10)) == Position(1, 10)
    assert reader.serving.held
    assert reader.offer(state(30, 5, urgent=10), state(40, 5, urgent=31)) == Position(1, 40)


def test_an_urgent_change_serves_what_was_held_back_once() -> None:
    reader = Reader()
    assert reader.offer(state(10, 2), state(20, 3, urgent=15), state(30, 5, urgent=15)) == Position(1, 20)


@pytest.mark.parametrize(("urgent", "served"), [(0, START), (3, Position(1, 10))])
def test_the_first_state_is_served_if_anything_urgent_led_to_it(urgent: int, served: Position) -> None:
    assert Reader().offer(state(10, 3, urgent=urgent)) == served


def test_an_urgent_change_does_not_override_a_requirement_and_stays_owed() -> None:
    reader = Reader({"mode": "paper"})
    assert reader.offer(state(10, 2), state(20, 2, urgent=20, mode="live")) == Position(1, 10)
    assert reader.serving.withheld
    assert reader.offer(state(30, 3, urgent=20)) == Position(1, 30)
    assert not reader.serving.withheld


def test_what_is_owed_stays_owed_in_the_next_epoch() -> None:
    reader = Reader({"mode": "paper"})
    assert reader.offer(state(10, 2), state(20, 2, urgent=20, mode="live")) == Position(1, 10)
    assert reader.offer(state(30, 3, epoch=2)) == Position(2, 30)


def test_a_new_epoch_is_not_urgent_by_itself() -> None:
    reader = Reader()
    assert reader.offer(state(10, 2, urgent=10), state(20, 3, epoch=2)) == Position(1, 10)
    assert reader.offer(state(30, 3, epoch=2, urgent=25)) == Position(2, 30)


def test_an_urgent_change_of_the_quarantined_stretch_does_not_lift_the_quarantine() -> None:
    reader = Reader()
    upto = Position(1, 20)
    assert reader.quarantine(state(10, 2), upto) == Position(1, 10)
    assert reader.offer(state(20, 2, urgent=20)) == Position(1, 10)
    assert reader.offer(state(30, 3, urgent=20)) == Position(1, 10)
    assert reader.serving.quarantined == upto
    assert reader.offer(state(40, 3, urgent=35)) == Position(1, 40)
    assert reader.serving.quarantined is None


def test_a_later_revision_that_nothing_refuses_ends_the_quarantine() -> None:
    reader = Reader()
    assert reader.quarantine(state(10, 2), Position(1, 20)) == Position(1, 10)
    assert reader.offer(state(30, 2)) == Position(1, 30)


# -- the line ----------------------------------------------------------------------------------------------------------


def offer_snapshot(line: Line, entry: Entry) -> None:
    verdicts = [one.verdict for one in line.offer_snapshot(entry.snapshot.statement, entry.snapshot.body) if one]
    assert verdicts == [Verdict.APPLIED]


def urgent_of(line: Line) -> int:
    assert line.snapshot is not None
    return line.snapshot.urgent


def test_a_line_keeps_the_newest_urgent_revision_change_by_change() -> None:
    signed, line = SignedLine(step=3), Line("production", KEY.trust())
    offer_snapshot(line, signed.extend())
    found = [urgent_of(line)]
    for urgent in (False, True, False, True, False):
        assert line.offer(signed.extend(urgent=urgent).message).verdict is Verdict.APPLIED
        found.append(urgent_of(line))
    assert found == [0, 0, 9, 9, 15, 15]


def test_a_line_learns_of_an_urgent_revision_from_a_snapshot_and_hands_it_on() -> None:
    signed, line = SignedLine(step=3), Line("production", KEY.trust())
    offer_snapshot(line, signed.extend())
    signed.extend(urgent=True)
    offer_snapshot(line, signed.extend())
    assert (line.position, urgent_of(line)) == (Position(1, 9), 6)
    assert line.offer(signed.extend().message).verdict is Verdict.APPLIED
    assert (line.position, urgent_of(line)) == (Position(1, 12), 6)


def test_a_new_epoch_begins_without_an_urgent_revision() -> None:
    signed, line = SignedLine(), Line("production", KEY.trust())
    offer_snapshot(line, signed.extend(urgent=True))
    signed.next_epoch()
    offer_snapshot(line, signed.extend())
    assert (line.position.epoch, urgent_of(line)) == (2, 0)


def test_what_a_line_holds_comes_back_from_the_bytes_of_a_snapshot() -> None:
    signed = SignedLine(step=3)
    signed.extend(urgent=True)
    entry = signed.extend()
    statement = snapshots.read_statement(entry.snapshot.statement)
    assert snapshots.decode(statement, entry.snapshot.body).urgent == 3
