"""A bot that dies again and again of what it serves goes back to what was proven, until something newer comes.

Starting it again in order changes neither: it stays with what was proven until then, and with the newest afterwards.
"""

from __future__ import annotations

import contextlib
import signal

from tests.acceptance.bots import PATIENCE, Bot, bot, check_bot
from tests.support import ground_truth
from tests.support.fleet import Stand
from tests.support.waiting import settles
from trimtab.model.published import Names
from trimtab_store.embedded.process import wait_until
from trimtab_store.store import Store

POSITIONS = "risk.global.position_timeout"


def commit(store: Store, path: str, value: int) -> int:
    with store.edit("base", author="test") as edit:
        edit.set(path, value)
    return edit.committed.revision


def check_serves(one: Bot, revision: int, positions: int, *, quarantined: bool) -> None:
    state = one.ask("state")
    assert (state["revision"], state["leaves"][POSITIONS]) == (revision, positions)
    assert ("quarantined" in state["alarms"]) is quarantined


def test_three_kills_within_five_minutes_bring_back_what_was_proven_until_a_newer_revision(one_stand: Stand) -> None:
    stand = one_stand
    store = stand.populate()
    stand.relay()
    with bot(stand, "looping") as one:
        proven = one.hear()["revision"]
    with bot(stand, "looping", proven_seconds=0.5) as one:  # serves from its first moment what the disk holds
        assert one.hear()["revision"] == proven
        assert wait_until((stand.directory / "looping" / "proven").exists, PATIENCE)
    harmful = commit(store, POSITIONS, 9)
    for _ in range(3):
        with bot(stand, "looping") as one:
            one.hear()
            settles(lambda: check_serves(one, harmful, 9, quarantined=False))
            one.process.kill()
            assert one.process.wait(PATIENCE) == -signal.SIGKILL
    with bot(stand, "looping") as one:
        one.hear()
        check_serves(one, proven, 5, quarantined=True)
        settles(lambda: check_reported(stand))
        check_serves(one, proven, 5, quarantined=True)
    with bot(stand, "looping") as one:  # it was stopped in order: that does not make it harmless
        one.hear()
        check_serves(one, proven, 5, quarantined=True)
        newer = commit(store, "desk.size", 1)
        settles(lambda: check_serves(one, newer, 9, quarantined=False))
        truth = ground_truth.read(stand.truth_url)
        settles(lambda: check_bot(one.ask("state"), truth))
    with bot(stand, "looping") as one:  # and the kills before something newer came are no reason to go back
        assert one.hear()["revision"] == newer
        check_serves(one, newer, 9, quarantined=False)
        check_bot(one.ask("state"), truth)
    stand.fleet()
    stand.settle()


def check_reported(stand: Stand) -> None:
    """The fleet is told."""
    assert stand.watch is not None
    with contextlib.closing(stand.watch()) as client:
        reports: dict[bytes, bytes] = client.hgetall(Names("production").fleet)  # type: ignore[assignment]
    assert any(b"quarantined" in text for text in reports.values()), reports
