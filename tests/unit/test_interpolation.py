"""References in files: what variables say, as text or typed, and never again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model.errors import TrimtabError
from trimtab_store.files import FileRefused, dump_yaml, load_yaml, read_tree
from trimtab_store.files.interpolation import Interpolation

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
WORDS = {
    "WORD": "live",
    "NUMBER": "2.5",
    "COUNT": "12",
    "YES": "true",
    "OFF": "off",
    "NOTHING": "",
    "TILDE": "~",
    "TIME": "10:30",
    "REFERENCE": "${WORD}",
    "LIST": "[1, 2]",
    "MAPPING": "a: 1",
}


def replaced(value: Any, **variables: str) -> Any:
    return Interpolation({**WORDS, **variables}).value(value, "risk", "x.yaml")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("plain", "plain"),
        ("${WORD}", "live"),
        ("${NUMBER}", 2.5),
        ("${COUNT}", 12),
        ("${YES}", True),
        ("${OFF}", "off"),
        ("${TIME}", "10:30"),
        ("${TILDE}", None),
        ("${NOTHING}", None),
        ("${LIST}", "[1, 2]"),
        ("${MAPPING}", "a: 1"),
        ("${REFERENCE}", "${WORD}"),
        ("${MISSING:-7}", 7),
        ("${NOTHING:-7}", 7),
        ("${WORD:-7}", "live"),
        ("${MISSING:-}", None),
        ("${MISSING:-a:-b c}", "a:-b c"),
        ("x${COUNT}", "x12"),
        ("${COUNT}${COUNT}", "1212"),
        ("${COUNT} ", "12 "),
        ("$${WORD}", "${WORD}"),
        ("$$${WORD}", "$${WORD}"),
        ("$${", "${"),
        ("$WORD $ {WORD} $", "$WORD $ {WORD} $"),
        ({"a": ["${COUNT}", {"b": "${WORD}"}]}, {"a": [12, {"b": "live"}]}),
        ({"${WORD}": 1}, {"${WORD}": 1}),
    ],
)
def test_references_are_replaced(written: Any, expected: Any) -> None:
    found = replaced(written)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("written", "rule", "named"),
    [
        ("${MISSING}", "undefined", "MISSING at risk.a is not set"),
        ("x ${MISSING}", "undefined", "MISSING"),
        ("${}", "reference", "risk.a"),
        ("${1A}", "reference", "risk.a"),
        ("${WORD", "reference", "risk.a"),
        ("${WORD-7}", "reference", "risk.a"),
        ("${WORD:?no}", "reference", "risk.a"),
        ("${MISSING:-${WORD}}", "reference", "the default of MISSING"),
    ],
)
def test_what_is_no_reference_and_what_is_not_set_is_refused(written: str, rule: str, named: str) -> None:
    with pytest.raises(FileRefused) as caught:
        replaced({"a": written})
    assert (caught.value.rule, caught.value.name) == (rule, "x.yaml")
    assert named in str(caught.value)


@pytest.mark.parametrize("said", ["1" * 60_000, "0.1000000000000000055511151231257827", ".inf", "a\0b", "\udc80"])
def test_no_error_shows_what_a_variable_says(said: str) -> None:
    with pytest.raises(FileRefused) as caught:
        replaced({"a": "${SAID}"}, SAID=said)
    error: BaseException | None = caught.value
    while error is not None:
        assert said[:20] not in str(error)
        error = error.__cause__ or error.__context__
    assert "SAID" in str(caught.value)


@pytest.mark.parametrize("said", ["hunter 2!", "hunter" * 100])
def test_no_refused_label_shows_what_a_variable_says(tmp_path: Path, said: str) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "fleet.yaml").write_text('fleet: {bots: {a: {labels: {mode: "${MODE}"}}}}\n')
    with pytest.raises(FileRefused) as caught:
        read_tree(tmp_path, variables={"MODE": said})
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter" not in str(error)
        error = error.__cause__ or error.__context__
    assert "MODE" in str(caught.value)


def test_references_that_add_up_to_a_bomb_are_refused() -> None:
    with pytest.raises(FileRefused, match="longer than"):
        replaced("${LONG}" * 10_000, LONG="x" * 1_000)


def test_the_variables_of_a_value_are_remembered_by_path() -> None:
    interpolation = Interpolation(WORDS)
    interpolation.value({"a": {"b": "${WORD} ${COUNT}", "c": "$${X}"}, "d": ["${YES}"]}, "risk", "x")
    assert interpolation.used == {"risk.a.b": ("WORD", "COUNT"), "risk.d": ("YES",)}


def test_an_interpolation_does_not_print_what_variables_say() -> None:
    assert "live" not in repr(Interpolation(WORDS))


@given(TEXTS)
def test_text_without_a_reference_stays_and_escaped_text_comes_back(text: str) -> None:
    if "${" not in text:
        assert replaced(text) == text
    if not text.endswith("$"):
        assert replaced("x" + text.replace("${", "$${")) == "x" + text


@given(st.dictionaries(NAMES, TEXTS, min_size=1, max_size=4), st.data())
def test_a_text_of_references_is_what_the_variables_say_in_order(
    variables: dict[str, str], data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(variables)), min_size=1, max_size=5))
    written = "-".join(f"${{{name}}}" for name in names)
    found = Interpolation(variables).text(written, "a", "x")
    assert found == "-".join(variables[name] for name in names)


@given(NAMES, TEXTS)
def test_a_lone_reference_is_what_yaml_makes_of_the_text(name: str, text: str) -> None:
    """Where the text stands as one plain scalar; else it is the text itself."""
    found: Any = None
    try:
        found = Interpolation({name: text}).value(f"${{{name}}}", "a", "x")
    except FileRefused as error:
        assert error.rule == "number"  # noqa: PT017 - either outcome will do
        return
    if isinstance(found, str):
        assert found == text
    else:
        assert load_yaml(text or "~", name="x") == found


@given(st.text("${}:-AB1 ", max_size=30))
def test_any_text_is_replaced_or_refused_and_never_breaks(text: str) -> None:
    try:
        Interpolation({"A": "1", "B": "${A}"}).value(text, "a", "x")
    except TrimtabError as error:
        assert isinstance(error, FileRefused)  # noqa: PT017 - either outcome will do, any other error will not


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("risk.yaml", 'risk: {global: {max_leverage: "${LEVERAGE}", note: "$${x}"}}'),
        ("risk.json", '{"risk": {"global": {"max_leverage": "${LEVERAGE}", "note": "$${x}"}}}'),
        ("risk.toml", '[risk.global]\nmax_leverage = "${LEVERAGE}"\nnote = "$${x}"'),
        ("risk.hcl", 'risk "global" {\n  max_leverage = "${LEVERAGE}"\n  note = "$${x}"\n}'),
    ],
)
def test_every_format_shares_the_interpolation(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / name).write_text(text)
    (base,) = read_tree(tmp_path, variables={"LEVERAGE": "2.5"}).environments
    assert base.layers[""].values == {"risk": {"global": {"max_leverage": 2.5, "note": "${x}"}}}
    assert dict(base.layers[""].variables) == {"risk.global.max_leverage": ("LEVERAGE",)}
    with pytest.raises(FileRefused, match=r"LEVERAGE at risk\.global\.max_leverage is not set"):
        read_tree(tmp_path, variables={})


@given(st.dictionaries(NAMES, TEXTS | st.integers(-9, 9) | st.booleans(), max_size=4))
def test_a_written_file_reads_back_once_its_references_are_escaped(values: dict[str, Any]) -> None:
    escaped = {
        key: "x" + value.replace("${", "$${") + "y" if isinstance(value, str) else value
        for key, value in values.items()
    }
    expected = {key: "x" + value + "y" if isinstance(value, str) else value for key, value in values.items()}
    found = Interpolation({}).value(load_yaml(dump_yaml(escaped), name="x"), "a", "x")
    assert found == expected
