"""Hostile strings through every entrance of the command line: kept exactly, shown harmlessly."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from tests.support.console import Console, Said

HOSTILE = [
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "\x9b31m\x90q\x9c",
    "line\r\nrevision  2  root  production",
    "photo\u202egpj.exe\u2066\u2069",
    "'; DROP TABLE trimtab.configuration_current; --",
    '"); redis.call("FLUSHALL") --[[',
    "{{7*7}}${HOME}%s%(x)s\\u0041",
    "[bold red]markup[/] :smile:",
    "--environment=production",
    "\U000e0041\u200b\ufeff\u2028",
]
PRODUCTION = ("-e", "production")
IDS = [ascii(text)[:24] for text in HOSTILE]


def harmless(said: Said) -> Said:
    """What reached the terminal holds no control but the ends of lines."""
    for character in said.out + said.err:
        assert character == "\n" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}, said
    return said


@pytest.mark.parametrize("text", HOSTILE, ids=IDS)
def test_a_hostile_value_reason_and_author_are_kept_exactly_and_shown_harmlessly(console: Console, text: str) -> None:
    done = harmless(console("set", "a.b", f"--reason={text}", f"--author={text}", "--string", *PRODUCTION, "--", text))
    assert done.code == 0, done
    assert console.done("get", "a.b", *PRODUCTION)["value"] == text
    assert [one["value"] for one in console.done("list", "--prefix", "a", *PRODUCTION)["items"]] == [text]
    (entry,) = console.done("history", "a.b", *PRODUCTION)
    assert (entry["author"], entry["reason"], entry["new"]) == (text, text, text)
    assert [one["value"] for one in console.done("explain", "a.b", *PRODUCTION)["candidates"]] == [text]
    assert console.done("diff", str(entry["revision"] - 1), *PRODUCTION)[0]["new"] == text
    for command in (
        ("get", "a.b"), ("list", "--prefix", "a"), ("list", "--stored"), ("history",), ("history", "a.b"),
        ("explain", "a.b"), ("diff", str(entry["revision"] - 1)), ("status",),
    ):  # fmt: skip
        said = harmless(console(*command, *PRODUCTION))
        assert (said.code, said.err) == (0, ""), said
    assert len(console("history", "a.b", *PRODUCTION).out.splitlines()) == 2


@pytest.mark.parametrize("text", HOSTILE, ids=IDS)
def test_a_hostile_value_survives_export_and_import(console: Console, tmp_path: Path, text: str) -> None:
    console.done("set", "a.b", "--string", "-e", "staging", "--", text)
    for name in ("s.json", "s.yaml"):
        assert console("export", "-e", "staging", "-o", name).code == 0
        console.done("unset", "a.b", "-e", "staging")
        console.done("import", name, "-e", "staging")
        assert console.done("get", "a.b", "-e", "staging")["value"] == text
    assert (tmp_path / "s.yaml").exists()


@pytest.mark.parametrize("text", HOSTILE, ids=IDS)
def test_hostile_words_are_refused_harmlessly_where_they_have_no_place(console: Console, text: str) -> None:
    for arguments, codes in (
        (("get", "--", text), {2, 3}),
        (("get", "a.b", "--label", f"bot={text}"), {2}),
        (("set", "a.b", "1", "--layer", f"bot={text}"), {2}),
        (("get", "a.b", "--as-of", text), {2}),
        (("list", "--limit", text), {2}),
        (("watch", "--seconds", "0", "--", text), {0, 2}),
        ((text,), {2}),
        (("export", "--format", text), {2}),
        (("import", text), {2}),
    ):
        said = harmless(console(*arguments[:1], *(() if arguments == (text,) else PRODUCTION), *arguments[1:]))
        assert said.code in codes, (arguments, said)
    said = harmless(console("get", "a.b", f"--environment={text}"))
    assert said.code == 3, said
    assert harmless(console("env", "create", "--", text)).code in {2, 4}


@pytest.mark.parametrize("text", [r"\u0000", r"\ud800", "\ud800"])
def test_what_no_store_can_hold_is_refused_in_words_too(console: Console, text: str) -> None:
    written = text.replace(r"\u0000", "\0")
    if "\\" not in written:
        said = harmless(console("set", "a.b", "1", "--reason", written, *PRODUCTION))
        assert said.code == 4, said
    said = harmless(console("set", "a.b", f'"{text}"', *PRODUCTION, "--reason", "r"))
    assert said.code in {2, 4}, said
