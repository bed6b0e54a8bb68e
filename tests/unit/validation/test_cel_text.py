"""What an expression is known to ask for before it runs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_store.validation import cel_text
from trimtab_store.validation.cel_process import EVALUATOR


@pytest.mark.parametrize(
    ("text", "labels", "reads"),
    [
        ("doc.a > 1", set[str](), ()),
        ("labels.region == 'ny4' && labels[\"mode\"] == 'live'", {"region", "mode"}, ()),
        ("has(labels.node)", {"node"}, ()),
        ("doc.labels.x == 1 && doc.at == 2", set[str](), ()),
        ("at('risk.global').max > at(\"a.b\")", set[str](), ("risk.global", "a.b")),
        ("'labels.no at(\"x\")' == doc.s // labels.no", set[str](), ()),
        (r'r"\" == doc.s && labels.x == 1', {"x"}, ()),
        ('"""labels""" == doc.s', set[str](), ()),
        ("""at('data."a.b"') == 1""", set[str](), ('data."a.b"',)),
    ],
)
def test_labels_and_paths_are_known(text: str, labels: set[str], reads: tuple[str, ...]) -> None:
    found = cel_text.read(text)
    assert (set(found.labels), found.reads, found.faults) == (labels, reads, ())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("dox.a > 1", "at 1:1: there is no variable dox"),
        ("doc.a >\n  y", "at 2:3: there is no variable y"),
        ("doc.l.all(x, x > y)", "at 1:18: there is no variable y"),
        ("siez(doc) > 1", "at 1:1: there is no function siez"),
        ("doc.s.upper() == 'A'", "at 1:7: there is no function upper"),
        ("labels == {}", "at 1:1: labels are asked for by name"),
        ("labels[doc.a] == 'x'", "at 1:1: labels are asked for by name"),
        ("at(doc.a) == 1", "at 1:1: at() takes one path, in quotes"),
        ("at('a' + 'b') == 1", "at 1:1: at() takes one path, in quotes"),
        ("at('a..b') == 1", "at 1:1: The path 'a..b' is refused"),
        ("at('\"a\".b') == 1", "at 1:1: '\"a\".b' is not canonical"),
        ("1" * 5000, "it is longer than 4096 characters"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(text: str, fault: str) -> None:
    assert cel_text.read(text).faults[0][0].startswith(fault)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("doc.a * 2 <= 1", "doc.a * 2.0 <= 1.0"),
        ("doc.l[0] + 1 // 2 of 3", "doc.l[0] + 1.0 // 2 of 3"),
        ("'1' + \"2\" + r'\\3'", "'1' + \"2\" + r'\\3'"),
        ("1.5 + 2e3 + .5 + 0x1F + 3u + a1", "1.5 + 2e3 + .5 + 0x1F + 3u + a1"),
        ("[1, 2].map(x, x - 1)", "[1.0, 2.0].map(x, x - 1.0)"),
    ],
)
def test_written_numbers_become_doubles_and_indexes_do_not(text: str, expected: str) -> None:
    assert cel_text.read(text).in_doubles == expected


@pytest.mark.parametrize("piece", ["'''\\", '"\\', "'", '"""', "//", "0x", "1.", "r'", "'\\'", "\\"])
def test_a_text_that_means_harm_is_read_at_once(piece: str) -> None:
    began = time.monotonic()
    cel_text.read((piece * 4096)[: cel_text.MAX_LENGTH])
    assert time.monotonic() - began < 2


@given(st.text(max_size=80))
def test_any_text_is_read(text: str) -> None:
    cel_text.read(text)


CALLS = {
    "at": "at('a') == 1", "bytes": "bytes('a') == b'a'", "contains": "'ab'.contains('a')", "double": "double(1) == 1.0",
    "duration": "duration('1h') > duration('1m')", "dyn": "dyn(1) == 1", "endsWith": "'ab'.endsWith('b')",
    "int": "int('1') == 1", "matches": "'ab'.matches('^a')", "size": "size([1]) == 1",
    "startsWith": "'a'.startsWith('a')", "string": "string(1) == '1'",
    "timestamp": "timestamp('2026-01-05T00:00:00Z') > timestamp('2025-01-05T00:00:00Z')",
    "type": "type(1) == int", "uint": "uint(1) == 1u",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(cel_text.FUNCTIONS))
def test_every_function_that_is_known_is_there(name: str) -> None:
    text = CALLS.get(name, f"timestamp('2026-01-05T00:00:00Z').{name}() >= 0")
    assert cel_text.read(text).faults == ()
    asked = {"do": "judge", "cel": text, "variables": {}, "at": {"a": 1}}
    assert EVALUATOR.ask(asked)["value"] is True
