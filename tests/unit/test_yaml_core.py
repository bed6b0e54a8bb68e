from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import canonical
from trimtab.model.canonical import Json
from trimtab.model.errors import ValueRefused
from trimtab_store.files import FileRefused, dump_yaml, load_json, load_yaml
from trimtab_store.files.text import MAX_FILE_BYTES

_KEYS_AND_STRINGS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
    # strings that some reader takes for something else
    st.sampled_from(
        [
            *("on", "Off", "YES", "no", "y", "N", "true", "False", "NULL"),
            *("~", "<<", "=", "007", "0o17", "0x1F", "0b11", "1_000", "10:30"),
            *("1:2:3.5", ".5", "5.", "1e3", "1.0e+3", ".inf", "-.INF", ".nan", "2026-01-01"),
            *("2026-01-01T00:00:00Z", "-", "--", "---", "...", "?", ":", "#", "&"),
            *("*", "!", "|", ">", "@", "`", "%", "{a}", "[a]"),
            *("a:", "#b", "!!str", "x"),
        ]
    ),
    st.sampled_from(
        ["", " ", "a b", " a", "a ", "a: b", "a #b", "a\nb\n", "\ta", "BTC/USDT", 'q"\\', "k" * 1100, "\u202e", "\x7f"]
    ),
    st.from_regex(r"[-+]?[0-9._:eExob]{1,8}", fullmatch=True),
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _KEYS_AND_STRINGS,
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS_AND_STRINGS, inner, max_size=4),
    max_leaves=12,
)


def typed(value: Json) -> object:
    """The value with its types spelled out, for 1 == 1.0 == True and 0.0 == -0.0 in Python."""
    if isinstance(value, dict):
        return [(key, typed(child)) for key, child in value.items()]
    if isinstance(value, list):
        return [typed(child) for child in value]
    return type(value).__name__, repr(value)


def dict_sorted(value: Json) -> Json:
    """The value with the keys of its objects in the order of the canonical bytes."""
    if isinstance(value, dict):
        return {key: dict_sorted(value[key]) for key in sorted(value)}
    return [dict_sorted(child) for child in value] if isinstance(value, list) else value


@given(_JSON)
def test_what_is_written_is_read_back_with_its_types(value: Any) -> None:
    assert typed(load_yaml(dump_yaml(value), name="x")) == typed(value)


@given(_JSON)
def test_a_reader_of_yaml_1_1_reads_the_same(value: Any) -> None:
    text = dump_yaml(value)
    assert typed(yaml.load(text, Loader=yaml.SafeLoader)) == typed(value)
    assert typed(yaml.load(text, Loader=yaml.CSafeLoader)) == typed(value)


@given(_JSON)
def test_a_json_file_is_read_with_its_types(value: Any) -> None:
    text = canonical.encode(value)
    assert typed(load_json(text, name="x")) == typed(dict_sorted(value))


@given(st.text())
def test_any_text_is_read_or_refused_and_never_breaks(text: str) -> None:
    with contextlib.suppress(FileRefused):
        canonical.encode(load_yaml(text, name="x"))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_never_break(text: bytes) -> None:
    for load in (load_yaml, load_json):
        with contextlib.suppress(FileRefused):
            canonical.encode(load(text, name="x"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(word, None) for word in ("null", "Null", "NULL", "~", "---")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        ("0", 0),
        ("-19", -19),
        ("+12", 12),
        ("007", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x3A", 58),
        ("0x7fffffffffffffff", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("0.", 0.0),
        ("-0.0", -0.0),
        (".5", 0.5),
        ("+1.50", 1.5),
        ("12e03", 12000.0),
        ("-2E+05", -200000.0),
        ("1.0", 1.0),
        *[
            (word, word)
            for word in (
                *("on", "off", "yes", "No", "y", "nULL", "tRUE", "10:30", "190:20:30", "1_000", "0b11", "-0x1F", "0o8"),
                *("2026-01-01", "2026-01-01T00:00:00Z", "1.2.3", "5m", "5%", "=", "<<", ".", "+", "e3", "1e", "+.inf_"),
            )
        ],
        ('"1"', "1"),
        ("'true'", "true"),
        ('"\\u2028\\/\\x41"', "\u2028/A"),
        ("|\n  12\n", "12\n"),
        (">\n  a\n  b\n", "a b\n"),
        ("[]", []),
        ("{}", {}),
        ('{"a":1,"b":[true,null]}', {"a": 1, "b": [True, None]}),
        ("a:\n", {"a": None}),
        ('"<<": 1\n"1": 2\n"": 3\non: 4\n', {"<<": 1, "1": 2, "": 3, "on": 4}),
        ("%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
        (b"\xef\xbb\xbfa: 1", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: ü 😀\r\nb: 2", {"a": "ü 😀", "b": 2}),
    ],
)
def test_a_scalar_is_what_the_core_schema_says(text: str | bytes, expected: Any) -> None:
    assert typed(load_yaml(text, name="x")) == typed(expected)


@pytest.mark.parametrize(
    ("text", "rule", "line", "column"),
    [
        ("a: !!str 1", "tag", 1, 4),
        ("a: ! 1", "tag", 1, 4),
        ("a: !!python/object:os.system {}", "tag", 1, 4),
        ("a: !x [1]", "tag", 1, 4),
        ("%TAG ! tag:x,2000:\n---\na: 1", "tag", 1, 1),
        ("%YAML 1.1\n---\na: 1", "version", 1, 1),
        ("a: &x 1", "anchor", 1, 4),
        ("&x a: 1", "anchor", 1, 1),
        ("a: &x [1]", "anchor", 1, 4),
        ("a: 1\nb: *a", "alias", 2, 4),
        ("a: 1\n<<: {b: 1}", "merge", 2, 1),
        ("a: 1\nb: 2\na: 3", "duplicate-key", 3, 1),
        ('{a: 1, "a": 2}', "duplicate-key", 1, 8),
        ("1: a", "key", 1, 1),
        ("true: a", "key", 1, 1),
        ("~: a", "key", 1, 1),
        ("1.5: a", "key", 1, 1),
        ("1e999: a", "key", 1, 1),
        (".nan: a", "key", 1, 1),
        ("? [a]\n: b", "key", 1, 3),
        ("? {a: b}\n: b", "key", 1, 3),
        ("a: 1\n---\nb: 2", "documents", 2, 1),
        ("", "empty", None, None),
        ("# nothing but words\n", "empty", None, None),
        *[(f"a: {word}", "number", 1, 4) for word in (".inf", "-.Inf", "+.INF", ".nan", ".NaN", ".NAN")],
        ("a: 9223372036854775808", "number", 1, 4),
        ("a: -9223372036854775809", "number", 1, 4),
        ("a: 0x8000000000000000", "number", 1, 4),
        ("a: 0x" + "f" * 5000, "number", 1, 4),
        ("a: " + "9" * 5000, "number", 1, 4),
        ("a: 1e400", "number", 1, 4),
        ("a: 1e-400", "number", 1, 4),
        ("a: 0.1234567890123456789", "number", 1, 4),
        ("a: 9007199254740993.0", "number", 1, 4),
        ("[" * 33 + "]" * 33, "depth", 1, 33),
        ("[" * 100_000, "depth", 1, 33),
        ("{a: " * 33, "depth", 1, 129),
        ('a: "\\0"', "nul", 1, 4),
        ("a: 1\nb: \0", "nul", 2, 4),
        ("a: x\u2028y", "line-end", 1, 5),
        ("# a comment\x85a: 1", "line-end", 1, 12),
        ("a: \x1b[31m", "character", 1, 4),
        ("a: x\ufeff", "character", 1, 5),
        ("a: \ud800", "character", 1, 4),
        (b"\xff\xfea\0", "encoding", None, None),
        (b"a\0:\0 \x001\0", "nul", 1, 2),
        ("ä: 1\nb: ".encode() + b"\xfc", "encoding", 2, 4),
        ("a:\n\t- b", "tab", 2, 1),
        ("a:\n  b: 1\n\tc: 2", "tab", 3, 1),
        ("a: @x", "syntax", 1, 4),
        ("a: [1", "syntax", 2, 1),
        ("a: b: c", "syntax", 1, 5),
        ('a: "\\ud83d\\ude00"', "syntax", 1, 7),
        (b"#" * (MAX_FILE_BYTES + 1), "size", None, None),
        ("#" * (MAX_FILE_BYTES + 1), "size", None, None),
        ("ä" * (MAX_FILE_BYTES // 2 + 1), "size", None, None),
    ],
)
def test_what_is_refused_is_refused_with_its_place(
    text: str | bytes, rule: str, line: int | None, column: int | None
) -> None:
    with pytest.raises(FileRefused) as caught:
        load_yaml(text, name="risk.yaml")
    error = caught.value
    assert (error.rule, error.line, error.column) == (rule, line, column)
    assert error.name == "risk.yaml"
    assert error.remedy
    assert str(error).isprintable()
    assert error.exit_code == 4


def test_nesting_is_taken_to_the_limit() -> None:
    value = load_yaml("[" * 32 + "]" * 32, name="x")
    assert load_yaml(dump_yaml(value), name="x") == value


def test_an_error_reads_as_one_sentence_with_its_remedy() -> None:
    with pytest.raises(FileRefused) as caught:
        load_yaml("risk:\n  1: a\n", name="base/risk.yaml")
    assert str(caught.value) == (
        'base/risk.yaml, line 2, column 3 is refused (key): the key 1 is not a string. Quote it, as in "1":.'
    )
    assert caught.value.to_dict() == {
        "code": "file",
        "what": "base/risk.yaml, line 2, column 3 is refused (key)",
        "why": "the key 1 is not a string",
        "remedy": 'Quote it, as in "1":',
        "file": "base/risk.yaml",
        "rule": "key",
        "line": 2,
        "column": 3,
    }


WRITTEN: list[tuple[Json, str]] = [
    ({"a": {"b": [1, {"c": 2, "d": []}, [3]]}}, "a:\n  b:\n    - 1\n    - c: 2\n      d: []\n    - - 3\n"),
    ([1.0, 1e22, 1e-7, -0.0], "- 1.0\n- 1.0e+22\n- 1.0e-07\n- -0.0\n"),
    (
        ["on", "BTC/USDT", "10:30", "5m", "", "a\u202eb"],
        '- "on"\n- BTC/USDT\n- "10:30"\n- "5m"\n- ""\n- "a\\u202eb"\n',
    ),
    ({"on": True, "1": None}, '"on": true\n"1": null\n'),
]


@pytest.mark.parametrize(("value", "expected"), WRITTEN)
def test_the_text_is_fit_for_people(value: Any, expected: str) -> None:
    assert dump_yaml(value) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**63, {1: 2}, "\0", "\ud800", object(), {"a": {1, 2}}])
def test_what_is_not_json_is_not_written(value: Any) -> None:
    with pytest.raises(ValueRefused):
        dump_yaml(value)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        (b'{"a": 1,\n "b": }', 2, 7),
        (b"", 1, 1),
        (b'{"a": 1, "a": 2}', None, None),
        (b"1e400", None, None),
        (b"1e-400", None, None),
        (b'"\\u0000"', None, None),
        (b"#" * (MAX_FILE_BYTES + 1), None, None),
    ],
)
def test_a_json_file_is_refused_with_its_name(text: bytes, line: int | None, column: int | None) -> None:
    with pytest.raises(FileRefused) as caught:
        load_json(text, name="risk.json")
    assert (caught.value.name, caught.value.line, caught.value.column) == ("risk.json", line, column)
