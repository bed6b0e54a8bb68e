"""Reading other programs' files: comments in JSON, YAML as PyYAML reads it, and what is refused with its place."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any, cast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_strategies import json_values
from trimtab_store.files import FileRefused
from trimtab_store.foreign import hummingbot, json_comments, yaml_older
from trimtab_store.foreign.homes import same

blanks = st.sampled_from(
    [" ", "\n", "\t", "/* a */", "/**/", "// b\n", '/* " */', "// ', }\n", "/* // */", "/* \n * c */"]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, /* b */ "c": 2}', {"a": 1, "c": 2}),
        ('{"a": 1 // to the end of the line, "b": 2\n}', {"a": 1}),
        ('{"a": [1, 2, ], "b": {"c": 3,\n} ,\n}', {"a": [1, 2], "b": {"c": 3}}),
        ('{"a": "//no comment", "b": "/* nor */", "c": ",]", "d": "\\"//"}',
         {"a": "//no comment", "b": "/* nor */", "c": ",]", "d": '"//'}),
        ('{"a": 1, // one\n /* two */ }', {"a": 1}),
        ("\ufeff{}", {}),
    ],
)  # fmt: skip
def test_comments_and_last_commas_are_passed_over(text: str, expected: object) -> None:
    assert json_comments.load(text.encode(), name="a file") == expected


@given(json_values, st.lists(blanks, min_size=1, max_size=5), st.booleans())
def test_comments_change_no_value(value: Any, between: list[str], last: bool) -> None:  # noqa: FBT001
    pieces = json.JSONEncoder(ensure_ascii=False).iterencode(value)
    text = "".join(f"{one}{between[number % len(between)]}" for number, one in enumerate(pieces))
    text = f'{{"a": {text}{"," if last else ""}}}'
    assert same(json_comments.load(text.encode(), name="a file"), {"a": value})


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ('{"a": 1,\n /* never closed }', "json", 2),
        ('{"a": 1}\n/* never closed', "json", 2),
        ('{"a": 1} /*/', "json", 1),
        ('{"a": 1\n "b": 2}', "json", 2),
        ('{"a": 1, "a": 2}', "json", None),
        ('{"a": NaN}', "json", None),
        ('{"a": Infinity}', "json", None),
        ('{"a": 123456789012345678901234567890}', "json", None),
        ('{"a": "\n"}', "json", 1),
        ("{'a': 1}", "json", 1),
        ("", "json", 1),
    ],
)
def test_what_is_no_such_json_is_refused_where_it_stands(text: str, rule: str, line: int | None) -> None:
    with pytest.raises(FileRefused) as refused:
        json_comments.load(text.encode(), name="a file")
    assert (refused.value.rule, refused.value.line) == (rule, line)


def test_an_error_carries_nothing_of_the_file_along() -> None:
    with pytest.raises(FileRefused) as refused:
        json_comments.load(b'{"key": "s3cr3t-value",\n "b" 1}', name="a file")
    assert "s3cr3t" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_million_quotes_commas_and_slashes_cost_no_more_than_their_length() -> None:
    for hostile in ("/* " * 300_000, '"' * 999_999, ", " * 500_000, "/" * 1_000_000, '"\\' * 500_000):
        with pytest.raises(FileRefused):
            json_comments.load(hostile.encode(), name="a file")


@pytest.mark.parametrize(
    "scalar",
    ["yes", "No", "on", "OFF", "y", "1_000", "0x1F", "0o17", "017", "0b11", "1:30", "16:00:00", "09:30:00", "1e3",
     "1e-5", "1.0e-05", "1.e+3", ".5", "+.5", "-0", "~", "null", "", "Null", "1_0.5", "10:30.5", "True", "tRue",
     "'yes'", '"1_000"', "2026-1-5", "2026-01-05", "2026-01-05T10:00:00+02:00", "2026-01-05 9:30:00.5",
     "00", "08", "1.5e3", "12e03", "!", "a: b"[:1], "0.1.2", "1,000"],
)  # fmt: skip
def test_a_scalar_is_what_hummingbot_reads(scalar: str) -> None:
    text = f"a: {scalar}\nb: [{scalar}]\n" if scalar not in {"!", ""} else f"a: {scalar!r}\n"
    expected = yaml.safe_load(text)
    assert same(yaml_older.load(text.encode(), name="a file"), _plain(expected))


def _plain(value: object) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[object]", value)]
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, date | datetime) else value


@given(st.dictionaries(st.text("abcxyz_", min_size=1, max_size=5), json_values, max_size=4))
def test_what_pyyaml_writes_is_read_as_pyyaml_reads_it(value: dict[str, Any]) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    if any(mark in text for mark in ("? ", "&id", "!!", "\x7f")):  # long keys, shared lists, tags
        return
    assert same(yaml_older.load(text.encode(), name="a file"), yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("a: &x 1\nb: *x\n", "anchor", 1),
        ("a: !!python/object/apply:os.system ['true']\n", "tag", 1),
        ("a: {b: 1}\nb: {<<: {c: 2}}\n", "merge", 2),
        ("a: 1\na: 2\n", "duplicate-key", 2),
        ("a: 1\non: 2\n", "key", 2),
        ("a: 2026-13-45\n", "timestamp", 1),
        ("b: 1\na: 1" + ":59" * 40 + "\n", "number", 2),
        ("b: .inf\n", "number", 1),
        ("a: 1_" + "0" * 30 + "\n", None, None),
        ("\ta: 1\n", "tab", 1),
        ("a: 1\n---\nb: 2\n", "documents", 2),
    ],
)
def test_what_no_bot_should_read_is_refused_where_it_stands(text: str, rule: str | None, line: int | None) -> None:
    if rule is None:
        assert yaml_older.load(text.encode(), name="a file") == {"a": 10**30}  # bounds of numbers are the importer's
        return
    with pytest.raises(FileRefused) as refused:
        yaml_older.load(text.encode(), name="a file")
    assert (refused.value.rule, refused.value.line) == (rule, line)


def test_a_file_with_a_template_version_is_read_by_yaml_1_2() -> None:
    assert hummingbot.read(b"template_version: 3\nclock: 16:00:00\nnumber: 010\nflag: yes\n", "a file") == {
        "template_version": 3,
        "clock": "16:00:00",
        "number": 10,
        "flag": "yes",
    }
