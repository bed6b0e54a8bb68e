"""When a shorter journal is asked for."""

from __future__ import annotations

from functools import partial

from trimtab.model.links import Position
from trimtab.replica.keeping import COMPACT_BYTES, Keeping

MESSAGE = b"x" * 1024


def changes_until_compaction(keeping: Keeping, most: int = 10_000) -> int | None:
    for number in range(1, most + 1):
        keeping.change(Position(1, number), MESSAGE)
        if keeping.wants_compaction(0.0):
            return number
    return None


def test_a_journal_is_renewed_before_a_boot_from_it_grows_slow() -> None:
    assert changes_until_compaction(Keeping()) == COMPACT_BYTES // len(MESSAGE) + 1


def test_agents_that_follow_the_same_changes_do_not_ask_at_the_same_one() -> None:
    asked = {changes_until_compaction(Keeping(partial(float, share / 10))) for share in range(10)}
    assert len(asked) == 10
    assert max(filter(None, asked)) <= 2 * COMPACT_BYTES // len(MESSAGE)


def test_an_agent_without_a_directory_asks_for_nothing() -> None:
    assert changes_until_compaction(Keeping(keeps=False)) is None


def test_a_large_snapshot_is_not_fetched_for_a_journal_that_is_small_beside_it() -> None:
    keeping = Keeping()
    keeping.snapshot(Position(1, 1), b"", b"x" * 8 * COMPACT_BYTES)
    assert changes_until_compaction(keeping) == 2 * COMPACT_BYTES // len(MESSAGE) + 1
