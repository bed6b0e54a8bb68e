"""Words of the command line that stand for something else, and what a terminal gets to see."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model.errors import SettingError, UsageError
from trimtab_store.cli.arguments import format_of, moment, read_file, seconds, write_file
from trimtab_store.cli.options import Changing, Committing, Place, Reading
from trimtab_store.cli.output import harmless, shown
from trimtab_store.cli.rows import cell, content, resolved


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2s", 2.0), ("500ms", 0.5), ("1m", 60.0), ("3", 3.0), ("0", 0.0), ("1.5s", 1.5), ("2 s", 2.0), ("86400", 86400)],
)
def test_a_duration_has_a_unit_or_is_in_seconds(text: str, expected: float) -> None:
    assert seconds(text, "--wait") == expected


@pytest.mark.parametrize("text", ["", "s", "-1s", "1h", "nan", "inf", "1_0", "2days", "86401", "٣s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingError):
        seconds(text, "--wait")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("41", 41),
        ("0", 0),
        ("2026-01-05T14:03:07Z", datetime(2026, 1, 5, 14, 3, 7, tzinfo=UTC)),
        ("2026-01-05T15:03:07+01:00", datetime(2026, 1, 5, 14, 3, 7, tzinfo=UTC)),
        ("2026-01-05 14:03:07.5Z", datetime(2026, 1, 5, 14, 3, 7, 500_000, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_revision_or_a_time(text: str | None, expected: object) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "now", "2026-01-05", "2026-01-05T14:03:07", "99999999999999999999", "٤١", "²",
             "0001-01-01T00:00:00+14:00"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        moment(text)


@pytest.mark.parametrize(
    ("named", "file", "expected"),
    [
        ("", None, "json"),
        ("", "a.yaml", "yaml"),
        ("", "a.YML", "yaml"),
        ("", "a.txt", "json"),
        ("json", "a.yml", "json"),
        ("yaml", "-", "yaml"),
    ],
)
def test_a_format_is_named_or_told_by_the_file(named: str, file: str | None, expected: str) -> None:
    assert format_of(named, None if file is None else Path(file)) == expected


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing cannot be read: No such file or directory"):
        read_file(tmp_path / "missing")
    with pytest.raises(UsageError, match="cannot be written: Is a directory"):
        write_file(tmp_path, b"")


def test_no_environment_is_a_default() -> None:
    with pytest.raises(SettingError, match="No environment is named"):
        _ = Place().where


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_production_requires_a_reason_and_nothing_else_does(reason: str) -> None:
    assert Committing(reason=reason).why("staging") == reason
    with pytest.raises(SettingError, match="changes to production need one"):
        Committing(reason=reason).why("production")


def test_layers_and_labels_are_joined() -> None:
    assert Changing(layer=["mode=live", "region=ny4"]).overlay == "mode=live,region=ny4"
    assert (Changing(layer=["common"]).overlay, Changing().overlay) == ("", "")
    assert Reading(label=["bot=mm-btc", "node=a,region=ny4"]).labels == {"bot": "mm-btc", "node": "a", "region": "ny4"}


def test_the_user_of_the_system_is_the_author(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    assert (Committing().who, Committing(author="ada").who) == ("grace", "ada")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, ordinary text: 5 %", "plain, ordinary text: 5 %"),
        ("größer → 日本", "größer → 日本"),
        ("\x1b[31mred\x1b[0m", "\\u001b[31mred\\u001b[0m"),
        ("\x9b31m", "\\u009b31m"),
        ("a\nb\tc\rd\x07", "a\\u000ab\\u0009c\\u000dd\\u0007"),
        ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb", "a\\u200bb"),
        ("a\u2028b", "a\\u2028b"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_nothing_that_steers_a_terminal_is_shown_raw(text: str, expected: str) -> None:
    assert harmless(text) == expected


@given(st.text(st.characters()))
def test_what_is_shown_is_one_line_of_letters(text: str) -> None:
    found = harmless(text)
    assert not {unicodedata.category(character) for character in found} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(found.splitlines()) <= 1


@given(st.text(st.characters(codec="utf-8")))
def test_a_value_is_shown_as_json(text: str) -> None:
    assert json.loads(shown({"a": [text, 1, 1.0, None]})) == {"a": [text, 1, 1.0, None]}


def test_a_resolved_document_is_one_row_for_each_leaf() -> None:
    assert resolved({"a": {"b.c": [1]}, "d": {}}, "") == [
        {"path": 'a."b.c"', "value": [1]},
        {"path": "d", "value": {}},
    ]
    assert resolved(5, "a.b") == [{"path": "a.b", "value": 5}]
    assert resolved({}, "a.b") == resolved({}, "") == []


def test_what_hides_and_what_is_absent_is_told_from_every_value() -> None:
    assert [content(one) for one in (None, b"", b"{}", b"null")] == [{"absent": True}, {"hidden": True}, {}, None]
    row = {"old": content(None), "new": content(b"")}
    assert [cell(row, name) for name in ("old", "new")] == ["-", "(hidden)"]
