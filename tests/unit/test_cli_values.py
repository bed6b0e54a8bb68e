"""Values as a person types them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model.canonical import Json
from trimtab.model.errors import UsageError, ValueRefused
from trimtab_store.cli.command import numbers_last
from trimtab_store.cli.values import parse_value

VALUES: list[tuple[str, Json]] = [
    ("1", 1),
    ("-5", -5),
    ("2.5", 2.5),
    ("1e5", 1e5),
    ("-0.0", -0.0),
    ("true", True),
    ("false", False),
    ("null", None),
    ('"true"', "true"),
    ('""', ""),
    ("[]", []),
    ("{}", {}),
    (' {"a": [1, null]} ', {"a": [1, None]}),
    ("9223372036854775807", 9223372036854775807),
    ("BTC-USD", "BTC-USD"),
    ("hello world", "hello world"),
    ("5m", "5m"),
    ("100MB", "100MB"),
    ("2026-01-05", "2026-01-05"),
    ("14:03:07", "14:03:07"),
    ("1.2.3", "1.2.3"),
    ("10.0.0.1", "10.0.0.1"),
    ("off-peak", "off-peak"),
    ("information", "information"),
    ("-", "-"),
    ("%", "%"),
    ("٣", "٣"),
    ("0b12", "0b12"),
    ("'quoted'", "'quoted'"),
]
LOOK_ALIKES = [
    ("True", "write true"),
    ("FALSE", "write false"),
    ("yes", "write true"),
    ("Off", "write false"),
    ("None", "write null"),
    ("NULL", "write null"),
    ("undefined", "write null"),
    ("1_000", "write 1000"),
    ("1,000", "write 1000 if the comma divides thousands, 1 if it begins a fraction"),
    ("1,000,000", "write 1000000"),
    ("0,05", "write 0.05"),
    ("-1,5", "write -1.5"),
    ("0,5%", "write 0.005 for the ratio, 0.5 for percent"),
    ("1,2,3", "write [1,2,3] for a list"),
    ("1'000", "write 1000"),
    ("1,000.50", "write 1000.5"),
    (".5", "write 0.5"),
    ("-.5", "write -0.5"),
    ("5.", "write 5"),
    ("+1", "write 1"),
    ("007", "write 7"),
    ("-007", "write -7"),
    ("00.5", "write 0.5"),
    ("5%", "write 0.05 for the ratio, 5 for percent"),
    ("0.1 %", "write 0.001 for the ratio, 0.1 for percent"),
    ("-2%", "write -0.02 for the ratio, -2 for percent"),
    ("0x1F", "write 31"),
    ("0b101", "write 5"),
    ("0o17", "write 15"),
    (" True ", "write true"),
]
MALFORMED = ["", "  ", "{", '{"a":', "[1,]", "[1] x", '"open', "{'a': 1}"]
INEXACT = [
    "NaN",
    "nan",
    "-Infinity",
    "inf",
    "[NaN]",
    '{"a": Infinity}',
    '{"a": 1, "a": 2}',
    r'"\u0000"',
    r'"\ud800"',
    "x\ud800",
    "x\0",
    "0.10000000000000000001",
    "9223372036854775808",
    "1e999",
    "[" * 33 + "]" * 33,
    "[" * 100_000,
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_json_is_json_and_a_bare_word_is_a_string(text: str, value: Json) -> None:
    found = parse_value(text)
    assert (type(found), json.dumps(found)) == (type(value), json.dumps(value))


@pytest.mark.parametrize(("text", "spelling"), LOOK_ALIKES)
def test_a_look_alike_is_refused_with_both_spellings(text: str, spelling: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_value(text)
    assert refused.value.remedy == f"For the value {spelling}; for the text write --string {json.dumps(text)}"


def test_where_there_is_no_option_for_texts_none_is_named() -> None:
    with pytest.raises(UsageError) as refused:
        parse_value("0,05", option="")
    assert refused.value.remedy == 'For the value write 0.05; for the text write "0,05"'
    with pytest.raises(UsageError) as refused:
        parse_value("[1", option="")
    assert refused.value.remedy == "Mend it"


@pytest.mark.parametrize(("text", "spelling"), LOOK_ALIKES)
def test_the_spellings_of_the_remedy_work(text: str, spelling: str) -> None:
    parse_value(spelling.removeprefix("write ").split(" ")[0])
    assert parse_value(text, string=True) == text


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_no_json_and_no_word_is_a_wrong_call(text: str) -> None:
    with pytest.raises(UsageError):
        parse_value(text)


@pytest.mark.parametrize("text", INEXACT, ids=lambda text: ascii(text[:20]))
def test_what_cannot_be_kept_exactly_is_refused(text: str) -> None:
    with pytest.raises(ValueRefused):
        parse_value(text)


@pytest.mark.parametrize("text", ["x\0", "x\ud800"])
def test_no_text_with_these_is_a_string_either(text: str) -> None:
    with pytest.raises(ValueRefused):
        parse_value(text, string=True)


@given(st.text())
def test_whatever_is_typed_is_a_value_or_an_error_of_ours(text: str) -> None:
    try:
        found = parse_value(text)
    except (UsageError, ValueRefused):
        return
    assert found == text or json.dumps(json.loads(text)) == json.dumps(found)


KEPT = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
"""Characters that a key may hold: lone surrogates are refused, as U+0000 is."""


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(KEPT), inner),
        max_leaves=20,
    )
)
def test_every_value_that_can_be_kept_can_be_typed(value: Json) -> None:
    assert parse_value(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("given_arguments", "parsed"),
    [
        (["a", "-5", "-e", "x"], ["a", "-e", "x", "--", "-5"]),
        (["a", "-1e3"], ["a", "--", "-1e3"]),
        (["a", "-.5%"], ["a", "--", "-.5%"]),
        (["a", "-Infinity"], ["a", "--", "-Infinity"]),
        (["a", "--reason", "-5", "-5"], ["a", "--reason", "-5", "--", "-5"]),
        (["a", "--string", "-5"], ["a", "--string", "--", "-5"]),
        (["a", "--", "-5"], ["a", "--", "-5"]),
        (["a", "-e", "x"], ["a", "-e", "x"]),
        (["a", "-x5"], ["a", "-x5"]),
    ],
)
def test_a_negative_number_is_no_option(given_arguments: list[str], parsed: list[str]) -> None:
    assert numbers_last(given_arguments, {"--reason", "-e"}) == parsed
