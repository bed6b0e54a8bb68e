"""Whom an edit can reach: bots at places that overlays name, though nobody said that they are there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from trimtab.model import canonical, states
from trimtab.model.canonical import Json
from trimtab.model.items import Item, LeafEdit
from trimtab.model.problems import Problem
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.structure import Lineage
from trimtab_store.hooks import DocumentChange
from trimtab_store.validation import supposed
from trimtab_store.validation.builtin_rule import BuiltInRule
from trimtab_store.validation.inspection import Inspector
from trimtab_store.validation.rules import Rule, Seen
from trimtab_store.validation.sides import Sides

NAMES = ("base", "production")
BOTS = ("mm", "mr")
FLEET = {
    ("production", "", f"fleet.bots.{bot}.labels.mode"): mode for bot, mode in zip(BOTS, ("live", "paper"), strict=True)
}
Contents = dict[tuple[str, str, str], Any]


class FeesInOrder(BuiltInRule):
    """The smallest fee is at most the largest one and a bonus."""

    name = "fees-in-order"
    watched = frozenset({"fees"})
    reads = ("bonus.all",)

    def judge(self, seen: Seen) -> Iterable[Problem]:
        bonus: Any = seen.at("bonus.all.x")
        for document in seen.changed:
            held: Any = seen.at(document)
            if held["low"] > held["high"] + (0 if bonus is ABSENT else bonus):
                bots = sorted(self.dimensions & {"bot"})
                yield Problem(path=document, rule=self.name, why=f"{[seen.labels[bot] for bot in bots]}")


class OfEachBot(FeesInOrder):
    """The same, asked for each bot."""

    dimensions = frozenset({"bot"})


def told(
    contents: Contents,
    edits: Contents,
    reported: Iterable[dict[str, str]] = (),
    rules: tuple[Rule, ...] = (FeesInOrder(),),
) -> list[Problem]:
    """What an edit of the base finds wrong, in both lines."""
    sides, changed = sides_of(contents, edits)
    return list(Inspector(rules).inspect(NAMES[0], sides, changed, dict.fromkeys(NAMES, tuple(reported))).problems)


def sides_of(contents: Contents, edits: Contents) -> tuple[dict[str, Sides], list[LeafEdit]]:
    sides: dict[str, Sides] = {}
    changed = [LeafEdit(layer, path, "put", canonical.encode(value)) for (_, layer, path), value in edits.items()]
    for depth, name in enumerate(NAMES, 1):
        lineage = Lineage(NAMES[:depth], ("region", "mode", "node", "bot"))
        held = (Item(*place, canonical.encode(value)) for place, value in contents.items() if place[0] in NAMES[:depth])
        before = states.build(lineage, held)
        sides[name] = Sides(before, before.apply(NAMES[0], changed))
    return sides, changed


def fees(low: Any, high: Any, *overlays: tuple[str, Any]) -> Contents:
    """Fees in the base, and what overlays of production make of the largest."""
    found: Contents = {**FLEET, ("base", "", "fees.all.low"): low, ("base", "", "fees.all.high"): high}
    found.update({("production", layer, "fees.all.high"): value for layer, value in overlays})
    return found


RAISED: Contents = {("base", "", "fees.all.low"): 5}


def shown(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(one.severity, one.where) for one in problems]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("region=ny4", "production, bot=mm,mode=live,region=ny4 and 1 more"),
        ("node=n1", "production, bot=mm,mode=live,node=n1 and 1 more"),
        ("mode=live,region=ny4", "production, bot=mm,mode=live,region=ny4"),
        ("node=n1,region=ny4", "production, bot=mm,mode=live,node=n1,region=ny4 and 1 more"),
        ("bot=mr,region=ny4", "production, bot=mr,mode=paper,region=ny4"),
    ],
)
def test_what_an_overlay_of_a_place_would_make_of_an_edit_is_a_warning(layer: str, expected: str) -> None:
    assert shown(told(fees(1, 9, (layer, 3)), RAISED)) == [("warn", expected)]


def priority_fees(low: int, here: int) -> Contents:
    """A document of a built-in category, whose largest fee is another one in a region."""
    fields = {"min_priority_fee": low, "max_priority_fee": 50_000}
    held = {**FLEET, **{("base", "", f"mev.protection.{name}"): value for name, value in fields.items()}}
    return {**held, ("production", "region=ny4", "mev.protection.max_priority_fee"): here}


def test_a_category_is_judged_at_such_a_place_as_well() -> None:
    edit: Contents = {("base", "", "mev.protection.min_priority_fee"): 30_000}
    assert shown(told(priority_fees(1_000, 20_000), edit)) == [
        ("warn", "production, bot=mm,mode=live,region=ny4 and 1 more")
    ]
    assert told(priority_fees(1_000, 40_000), edit) == []


class OfWhatGoes(FeesInOrder):
    """A rule that reads more because of how a document changes, and only then."""

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        del document
        return ("caps.all",) if before == after else ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        for document in seen.changed:
            for path in self.reads_also(document, seen.before(document), seen.at(document)):
                seen.at(path)
        return super().judge(seen)


def test_what_cannot_be_compared_with_today_is_told() -> None:
    found = told(fees(4, 9, ("region=ny4", 3)), RAISED, rules=(OfWhatGoes(),))
    assert shown(found) == [("warn", "production, bot=mm,mode=live,region=ny4 and 1 more")]


def test_what_a_category_finds_wrong_there_already_is_told_nobody() -> None:
    edit: Contents = {("base", "", "mev.protection.timeout_ms"): 500}
    assert told(priority_fees(30_000, 20_000), edit) == []


def test_what_is_fine_at_every_place_is_told_nobody() -> None:
    assert told(fees(1, 9, ("region=ny4", 6), ("node=n1", 7)), RAISED) == []


def test_a_place_that_the_edit_itself_names_refuses() -> None:
    edits: Contents = {("base", "region=ny4", "fees.all.low"): 5}
    assert shown(told(fees(1, 9, ("region=ny4", 3)), edits)) == [
        ("refuse", "production, bot=mm,mode=live,region=ny4 and 1 more")
    ]


def test_who_is_known_is_named_before_who_is_supposed() -> None:
    found = told(fees(1, 9, ("region=ny4", 3)), RAISED, [{"bot": "mr", "region": "ny4"}])
    assert shown(found) == [("warn", "production, bot=mr,mode=paper,region=ny4")]


def test_who_is_only_supposed_is_not_counted_with_who_is_declared() -> None:
    found = told(fees(1, 3, ("region=ny4", 2), ("node=n1", 9), ("node=n2", 4)), RAISED)
    assert shown(found) == [("refuse", "base, every reader and 2 more")]


def test_a_problem_that_somebody_supposed_sees_first_refuses_where_somebody_declared_sees_it() -> None:
    held = {**fees(1, 9), ("base", "region=ny4", "fees.all.high"): 3, ("production", "", "fees.all.high"): 3}
    held |= {("base", layer, path): mode for (_, layer, path), mode in FLEET.items()}
    assert shown(told(held, RAISED)) == [("refuse", "production, bot=mm,mode=live and 1 more")]


ALIKE: Contents = {("production", "", f"fleet.bots.{bot}.labels.mode"): "live" for bot in BOTS}


THIRD: Contents = {("production", "", "fleet.bots.mz.labels.mode"): "live"}


def test_a_bot_that_an_overlay_names_is_asked_about_by_itself() -> None:
    held = {**fees(1, 9, ("region=ny4", 3)), **ALIKE, ("base", "", "bonus.all.x"): 5}
    assert told(held, RAISED) == []
    held["production", "bot=mr", "bonus.all.x"] = 0
    assert shown(told(held, RAISED)) == [("warn", "production, bot=mr,mode=live,region=ny4")]


def test_one_that_is_reported_there_does_not_stand_for_others() -> None:
    held = {**fees(1, 9, ("region=ny4", 3)), **ALIKE}
    found = told({**held, **THIRD}, RAISED, [{"bot": "mm", "region": "ny4"}], (OfEachBot(),))
    assert sorted((one.labels["bot"], one.others) for one in found) == [("mm", 0), ("mr", 0), ("mz", 0)]


def test_what_was_wrong_there_before_and_stays_so_is_told_nobody() -> None:
    wrong = fees(4, 9, ("region=ny4", 3))
    assert told(wrong, RAISED) == []
    assert shown(told(fees(2, 9, ("region=ny4", 3)), RAISED)) != []


@pytest.mark.parametrize(("here", "expected"), [(9, [2]), (3, [2, 2])])
def test_a_hook_is_told_of_supposed_readers_only_where_they_see_something_else(here: int, expected: list[int]) -> None:
    sides, changed = sides_of(fees(1, 9, ("region=ny4", here)), RAISED)
    seen: list[tuple[str, int]] = []

    def hook(change: DocumentChange) -> list[str]:
        seen.append((change.environment, len(change.labels)))
        return []

    Inspector(None, (hook,)).inspect(NAMES[0], sides, changed, {}).warnings("ada")
    assert sorted((count for name, count in seen if name == "production"), reverse=True) == expected


def test_a_bot_that_goes_live_is_judged_at_the_places_that_overlays_of_its_mode_name() -> None:
    held = {**fees(5, 9, ("mode=live,region=ny4", 3)), ("production", "", "fleet.bots.mm.labels.mode"): "paper"}
    edit: Contents = {("base", "", "fleet.bots.mr.labels.mode"): "live"}
    del held["production", "", "fleet.bots.mr.labels.mode"]
    assert shown(told(held, edit)) == [("warn", "production, bot=mr,mode=live,region=ny4")]


class OfEachMode(FeesInOrder):
    """The same, asked anew where a mode moves."""

    dimensions = frozenset({"mode"})


@pytest.mark.parametrize("mover", BOTS)
def test_a_bot_that_moves_is_asked_about_apart_from_one_that_is_there_already(mover: str) -> None:
    held: Contents = {("production", "", "fees.all.low"): 9, ("production", "", "fees.all.high"): 5}
    held |= {("production", "", f"fleet.bots.{bot}.labels.mode"): "paper" for bot in BOTS if bot != mover}
    edits: Contents = {
        ("base", "", f"fleet.bots.{mover}.labels.mode"): "paper",
        ("base", "", "fees.all.low"): 1,
        ("base", "", "fees.all.high"): 2,
    }
    found = [one for one in told(held, edits, (), (OfEachMode(),)) if one.environment == "production"]
    assert shown(found) == [("refuse", f"production, bot={mover},mode=paper")]


def test_labels_that_depend_on_the_place_are_those_of_the_place() -> None:
    held = {
        **fees(1, 9, ("mode=live,region=ny4", 3)),
        ("production", "region=ny4", "fleet.bots.mr.labels.mode"): "live",
    }
    held["production", "", "fleet.bots.mm.labels.mode"] = "paper"
    assert shown(told(held, RAISED)) == [("warn", "production, bot=mr,mode=live,region=ny4")]


def test_beyond_the_bound_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    held = fees(1, 9, *((f"node=n{number}", 3 if number == 1 else 8) for number in range(4)))
    assert len(told(held, RAISED)) == 1
    monkeypatch.setattr(supposed, "LIMIT", 3)
    found = told(held, RAISED)
    assert sorted(one.rule for one in found) == ["fees-in-order", "targets"]
    (beyond,) = (one for one in found if one.rule == "targets")
    assert (beyond.severity, beyond.path, beyond.environment) == ("warn", "fees.all", "production")
    assert "5 more bots at nodes or regions" in beyond.why
