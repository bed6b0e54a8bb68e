"""Which rules are asked at all: whatever a rule may watch stands in the categories that it names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from trimtab.model import canonical, paths, states
from trimtab.model.documents import BUILT_IN
from trimtab.model.items import Item, LeafEdit
from trimtab.model.problems import Problem
from trimtab.model.structure import Lineage
from trimtab_store.validation.builtin import BUILT_IN_RULES
from trimtab_store.validation.inspection import Inspector
from trimtab_store.validation.rules import Rule, Seen
from trimtab_store.validation.schema_rules import PATTERNS, VERSIONS
from trimtab_store.validation.sides import Sides

ONES = [pattern.replace("*", "one") for pattern in BUILT_IN]
DOCUMENTS = [*ONES, *(f"meta.{one}" for one in ONES), *(paths.parent(one) or "x.y" for one in ONES), 'schema."a.b"']
LINEAGE = Lineage(("base",), ())


@pytest.mark.parametrize("rule", [*BUILT_IN_RULES, PATTERNS, VERSIONS], ids=lambda rule: rule.name)
def test_a_rule_watches_nothing_outside_the_categories_that_it_names(rule: Any) -> None:
    watched = {paths.parse(document)[0] for document in DOCUMENTS if rule.watches(document)}
    assert watched, "no document is named here that it watches"
    assert rule.categories is None or watched <= rule.categories


class Asked:
    """A rule that notes what it is asked about; it says of no category that it is about that one alone."""

    name = "asked"
    reads: tuple[str, ...] = ()
    dimensions: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.about: list[str] = []

    def watches(self, document: str) -> bool:
        return document != "other.one"

    def reads_also(self, document: str, before: Any, after: Any) -> tuple[str, ...]:
        del document, before, after
        return ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        self.about += seen.changed
        return ()


class AskedInOne(Asked):
    """One that says so."""

    categories = frozenset({"one"})


def inspect(rule: Rule, path: str) -> None:
    before = states.build(LINEAGE, [Item("base", "", path, b"1")])
    edit = LeafEdit("", path, "put", canonical.encode(2))
    sides = {"base": Sides(before, before.apply("base", [edit]))}
    assert not [
        one for one in Inspector([rule]).inspect("base", sides, [edit], {}).problems if one.severity == "refuse"
    ]


@pytest.mark.parametrize("path", ["one.two.three", "two.one.three", '"one.x".two.three', "other.one.three"])
def test_a_rule_that_names_no_categories_is_asked_about_whatever_it_watches(path: str) -> None:
    rule, named = Asked(), AskedInOne()
    inspect(rule, path)
    inspect(named, path)
    document = paths.parent(path)
    assert rule.about == ([] if document == "other.one" else [document])
    assert named.about == (["one.two"] if path == "one.two.three" else [])


def test_a_rule_that_asks_for_a_label_is_asked_when_it_moves_although_nobody_touches_its_category() -> None:
    class OfMode(AskedInOne):
        dimensions = frozenset({"mode"})

        def watches(self, document: str) -> bool:
            return document == "one.two"

    rule = OfMode()
    lineage = Lineage(("base",), ("mode", "bot"))
    path = "fleet.bots.mm.labels.mode"
    before = states.build(lineage, [Item("base", "", "one.two.three", b"1"), Item("base", "", path, b'"paper"')])
    edit = LeafEdit("", path, "put", b'"live"')
    sides = {"base": Sides(before, before.apply("base", [edit]))}
    assert not Inspector([rule]).inspect("base", sides, [edit], {}).problems
    assert rule.about == ["one.two"]
