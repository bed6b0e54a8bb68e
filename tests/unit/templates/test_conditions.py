"""What must hold between parameters."""

from __future__ import annotations

import pytest

from trimtab.model.canonical import Json
from trimtab.model.errors import ValueRefused
from trimtab_store.templates.conditions import parse


@pytest.mark.parametrize(
    ("text", "given", "holds"),
    [
        ("a <= b", {"a": 1, "b": 1}, True),
        ("a <= b", {"a": 1.1, "b": 1}, False),
        ("a<b", {"a": 1, "b": 1}, False),
        ("a >= 0.5", {"a": 0.5}, True),
        ("a > 0.5", {"a": 0.5}, False),
        ("a == b", {"a": "1.50", "b": 1.5}, True),
        ("a != b", {"a": 1, "b": 1}, False),
        ("a * n <= 1", {"a": 0.1, "n": 10}, True),
        ("a * n <= 1", {"a": 0.1001, "n": 10}, False),
        ("3 * a <= 2 * b * 1.5", {"a": 1, "b": 1}, True),
        ("a >= -1", {"a": -1}, True),
    ],
)
def test_a_condition_says_whether_it_holds(text: str, given: dict[str, Json], holds: bool) -> None:  # noqa: FBT001
    condition = parse(text)
    assert condition.holds(given) is holds
    assert set(condition.names) == set(given)


def test_ten_times_a_tenth_is_one() -> None:
    assert parse("a * a * b <= 0.003").holds({"a": 0.1, "b": 0.3})  # in doubles it is more


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a < b < c",
        "a <= ",
        "a + b <= 1",
        "a <= f(b)",
        "A <= b",
        "a <= 1e9",
        "__import__ < 1",
        "a " * 300 + "< b",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueRefused, match="The condition"):
        parse(text)
