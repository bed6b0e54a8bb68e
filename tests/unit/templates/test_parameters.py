"""What a value must be: type, bounds at, below and above, unit, choices and lengths."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trimtab.model.canonical import Json
from trimtab.model.errors import ValueRefused
from trimtab.model.problems import MASK
from trimtab_store.templates.parameters import KINDS, Bound, Kind, Parameter, plain

SAMPLES: list[tuple[Json, set[Kind]]] = [
    (True, {"boolean"}),
    (5, {"integer", "number", "amount"}),
    (5.5, {"number", "amount"}),
    ("word", {"text"}),
    ("12.50", {"text", "amount"}),
    ("-3", {"text", "amount"}),
    (["a"], {"list"}),
    ({"a": 1}, {"object"}),
    (None, set()),
]


@pytest.mark.parametrize(("value", "kinds"), SAMPLES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_of_its_types_and_of_no_other(kind: Kind, value: Json, kinds: set[Kind]) -> None:
    found = [one.rule for one in Parameter(name="x", kind=kind).problems(value)]
    assert found == ([] if kind in {*kinds, "any"} else ["type"])


@pytest.mark.parametrize("text", ["1_000", " 1", "1e5", "01", "+1", ".5", "5.", "NaN", "१", "1" * 101])
def test_an_amount_as_text_is_plain_decimal(text: str) -> None:
    assert [one.rule for one in Parameter(name="x", kind="amount").problems(text)] == ["type"]


@pytest.mark.parametrize(
    ("sign", "inside", "outside"),
    [(">=", [5, 5.5], [4.999, 4, -5]), ("<=", [5, 4.5], [5.001, 6]), (">", [5.001], [5, 5.0]), ("<", [4.999], [5, 6])],
)
def test_a_bound_holds_at_it_below_and_above(sign: str, inside: list[float], outside: list[float]) -> None:
    limited = Parameter(name="x", kind="number", bounds=(Bound(sign, Decimal(5)),))  # type: ignore[arg-type]
    assert [list(limited.problems(value)) for value in inside] == [[]] * len(inside)
    assert [[one.rule for one in limited.problems(value)] for value in outside] == [["range"]] * len(outside)


def test_a_bound_is_compared_in_decimal() -> None:
    limited = Parameter(name="x", kind="amount", bounds=(Bound("<=", Decimal("0.3")),))
    assert list(limited.problems("0.3")) == []
    assert list(limited.problems(0.3)) == []
    assert [one.rule for one in limited.problems("0.30000000000000000001")] == ["range"]


def test_percent_where_a_ratio_is_meant_is_explained() -> None:
    ratio = Parameter(name="stop_loss", kind="number", unit="ratio", bounds=(Bound("<=", Decimal("0.5")),))
    (found,) = ratio.problems(50)
    assert (found.rule, found.why) == ("unit", "50 is no ratio: ratios are fractions of 1, 50 % is 0.5")
    assert found.remedy == "Write 0.5"
    (other,) = ratio.problems(90)
    assert (other.rule, other.remedy) == ("unit", "")


def test_a_value_that_is_no_choice_gets_the_nearest() -> None:
    one = Parameter(name="order_type", kind="text", choices=("limit", "market"))
    assert list(one.problems("limit")) == []
    (found,) = one.problems("limt")
    assert (found.rule, found.remedy) == ("choice", "Did you mean limit?")


def test_lengths_and_elements_are_checked() -> None:
    some = Parameter(name="symbols", kind="list", items="text", shortest=1, longest=2)
    assert list(some.problems(["a", "b"])) == []
    assert [one.rule for one in some.problems([])] == ["length"]
    assert [one.rule for one in some.problems(["a", "b", "c"])] == ["length"]
    assert [one.why for one in some.problems(["a", 5])] == ["element 2 is a whole number, expected is text"]


@pytest.mark.parametrize(
    ("kind", "shortest", "longest", "words"),
    [
        ("text", 2, 20, "2 to 20 characters"),
        ("list", 2, 2, "2 elements"),
        ("list", 1, None, "at least 1 element"),
        ("text", None, 9, "at most 9 characters"),
        ("text", None, None, ""),
    ],
)
def test_lengths_are_said(kind: Kind, shortest: int | None, longest: int | None, words: str) -> None:
    assert Parameter(name="x", kind=kind, shortest=shortest, longest=longest).length == words


def test_a_secret_is_masked() -> None:
    (found,) = Parameter(name="api_key", kind="text", longest=3, secret=True).problems("s3cret")
    assert found.value == MASK
    assert "s3cret" not in str(found)


def test_a_value_becomes_json_of_our_own() -> None:
    given = {"a": [1, (2, 3)]}
    made = plain("object", given)
    assert made == {"a": [1, [2, 3]]}
    given["a"].append(4)
    assert made == {"a": [1, [2, 3]]}
    assert plain("amount", Decimal("1.50")) == "1.50"


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**64, "\ud800", "a\0b", {1, 2}, object(), Decimal("NaN"), {"a": float("nan")}],
)
@pytest.mark.parametrize("kind", ["any", "number", "amount"])
def test_what_is_no_json_is_refused(kind: Kind, value: object) -> None:
    with pytest.raises(ValueRefused):
        plain(kind, value)
