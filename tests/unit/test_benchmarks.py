"""What the benchmarks judge, and against what."""

from __future__ import annotations

import pytest

from benchmarks import gaps, propagation
from benchmarks.children import Child
from benchmarks.report import Row

MS = 1_000_000
WINDOWS: gaps.Windows = [(gaps.UNFOLLOWED, 0, 100 * MS), (gaps.FOLLOWED, 100 * MS, 200 * MS)]
FOUND = [(50 * MS, 2 * MS, 0), (150 * MS, 9 * MS, 1 * MS), (160 * MS, 3 * MS, 0), (250 * MS, 99 * MS, 0)]
"""Gaps: when they began, how long they were, how long other threads of the process worked in them."""


def judged(rows: list[Row]) -> list[tuple[float, float, str]]:
    return [(row.judged, row.limit, row.verdict) for row in rows if row.judged is not None and row.limit is not None]


def test_the_whole_gap_above_the_noise_floor_is_judged() -> None:
    assert judged(gaps.rows("one key", "ours", (FOUND, WINDOWS))) == [(7.0, 1.0, "MISSED")]
    assert judged(gaps.rows("resync", "ours", (FOUND, WINDOWS))) == [(7.0, 5.0, "MISSED")]
    assert judged(gaps.rows("many keys", "ours", (FOUND, WINDOWS))) == []


def test_a_change_is_seen_with_the_first_value_that_is_not_older() -> None:
    assert propagation.delays({1: 0, 2: 10 * MS, 3: 20 * MS}, {"1": 5 * MS, "3": 26 * MS}) == [6.0, 16.0, 5.0]
    with pytest.raises(RuntimeError, match="never read"):
        propagation.delays({1: 0, 2: 10 * MS}, {"1": 5 * MS})


def test_a_bot_without_us_imports_nothing_of_ours(capfd: pytest.CaptureFixture[str]) -> None:
    with Child("bare_bot", [], 3) as bot:
        assert len(bot.told()) == 3
    with Child("bare_bot", ["trimtab"], 3) as bot, pytest.raises(RuntimeError, match="ended with code"):
        bot.told()
    assert "this is no bot without us" in capfd.readouterr().err
