"""Glancing: what is taken at a glance is what the model takes, and nearly all that is right is taken at a glance."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.unit.categories.samples import PATHS, sample
from tests.unit.categories.test_bounds import NUMBERS, WORDS
from tests.unit.categories.test_schemas import RICH, junk
from trimtab.categories import MODELS
from trimtab.categories.fields import place_of
from trimtab.categories.glancing import Glance, glance_of
from trimtab.categories.spelling import leaves_of
from trimtab.model.canonical import Json


@cache
def glance(kind: str) -> Glance:
    return glance_of(MODELS[kind])


def right(kind: str, document: Json) -> bool:
    try:
        MODELS[kind].model_validate(document)
    except ValidationError:
        return False
    return True


def documents(kind: str) -> list[dict[str, Any]]:
    return [deepcopy(one) for one in (sample(kind), RICH.get(kind)) if one is not None]


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_a_right_document_needs_no_second_look(kind: str) -> None:
    for document in documents(kind):
        assert glance(kind)(document)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        *[(kind, field, value) for kind, field, *values in NUMBERS for value in values if value is not None],
        *[(kind, field, value) for kind, field, known, unknown in WORDS for value in (*known, *unknown)],
    ],
)
def test_a_glance_and_the_model_agree_at_every_bound(kind: str, field: str, value: Json) -> None:
    for document in documents(kind):
        here = document
        *above, last = field.split(".")
        for segment in above:
            here = here.setdefault(segment, {})
        here[last] = value
        assert glance(kind)(document) is right(kind, document)


@pytest.mark.parametrize("kind", sorted(PATHS))
@given(data=st.data())
def test_what_is_taken_at_a_glance_is_right(kind: str, data: st.DataObject) -> None:
    document = data.draw(st.sampled_from(documents(kind)))
    paths = sorted({segments[:length] for segments, _ in leaves_of(document) for length in range(1, len(segments) + 1)})
    known = [(name,) for name in place_of(MODELS[kind]).fields]
    for path in data.draw(st.lists(st.sampled_from([*paths, *known, ("extra",), ("maxLeverage",)]), max_size=3)):
        here: Any = document
        for segment in path[:-1]:
            here = cast("dict[str, Any]", here).get(segment) if isinstance(here, dict) else None
        if isinstance(here, dict):
            here[path[-1]] = data.draw(st.one_of(junk, st.dictionaries(st.text(max_size=3), junk, max_size=2)))
    assert right(kind, document) or not glance(kind)(document)


@pytest.mark.parametrize("value", [None, 5, "text", [], True, 10**400])
@pytest.mark.parametrize("kind", sorted(PATHS))
def test_what_is_no_object_is_not_taken(kind: str, value: Json) -> None:
    assert not glance(kind)(value)


@pytest.mark.parametrize(
    "amount", [0, 1, 10**400, -(10**400), 5e-324, 1e308, "0", "-0.0", "1" * 41, "1e5", "0.00", "7.50", True, None]
)
def test_an_amount_at_a_glance_is_one(amount: Json) -> None:
    document: dict[str, Json] = {"max_position_size": amount, "daily_loss_limit": 1}
    assert right("risk_parameters", document) or not glance("risk_parameters")(document)
    balance: dict[str, Json] = {**sample("bot"), "broker": {"type": "ibkr_paper", "initial_balance": amount}}
    assert right("bot", balance) or not glance("bot")(balance)
