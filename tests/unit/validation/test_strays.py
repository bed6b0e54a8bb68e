from __future__ import annotations

import pytest

from trimtab.model import canonical, states
from trimtab.model.items import Item
from trimtab.model.structure import Lineage
from trimtab_store.validation import shapes
from trimtab_store.validation.registered import EMPTY, Registered
from trimtab_store.validation.resolved import Contents, Resolved
from trimtab_store.validation.schemas import Schema, schema_of


def told(document: str, registered: Registered = EMPTY) -> list[tuple[str, str, str]]:
    state = states.build(Lineage(("base",)), [Item("base", "", f"{document}.x", canonical.encode(1))])
    content = Resolved(state, Contents()).content(document, ())
    return [(one.rule, one.severity, one.remedy) for one in shapes.problems_of(registered, content)]


def schema(documents: str) -> Schema:
    found = schema_of("mine", {"documents": documents, "version": 1, "text": "{}"})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("document", "remedy"),
    [
        ("risk.globl", "Did you mean risk.global?"),
        ("mev.protecton", "Did you mean mev.protection?"),
        ("monitoring.configuration", "Did you mean monitoring.config?"),
    ],
)
def test_a_document_that_its_category_does_not_know_is_a_warning_with_the_nearest_one(
    document: str, remedy: str
) -> None:
    assert told(document) == [("unknown-document", "warn", remedy)]


def test_where_no_name_is_near_the_known_ones_are_told() -> None:
    [(rule, severity, remedy)] = told("risk.zzz")
    assert (rule, severity) == ("unknown-document", "warn")
    assert "risk.exchange_limits.*" in remedy
    assert "schema" in remedy


@pytest.mark.parametrize(
    ("document", "category"),
    [("strategi.mm", "strategy"), ("tokens.SOL", "token"), ("circuitBreaker.config", "circuit_breaker")],
)
def test_a_category_that_is_nearly_a_built_in_one_is_a_warning(document: str, category: str) -> None:
    remedy = f"Did you mean {category}? Register a schema for what is your own"
    assert told(document) == [("unknown-document", "warn", remedy)]
    assert told(document, Registered({"mine": schema(document.partition(".")[0] + ".*")}, ())) == []


@pytest.mark.parametrize("document", ["desk.anything", "foreign.fq", "bets.x", "orders.x", "teams.x", "fees.x"])
def test_categories_of_ones_own_hold_what_they_like(document: str) -> None:
    assert told(document) == []


def test_a_registered_schema_makes_a_document_known() -> None:
    assert told("risk.zzz", Registered({"mine": schema("risk.zzz")}, ())) == []
    assert told("venue.other", Registered({"mine": schema("venue.main.limits")}, ())) == []
