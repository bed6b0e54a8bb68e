"""The runner of the peers' benchmark, with processes that are only played."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from typing import Any

import pytest

from benchmarks.peers import child, content, gaps, measuring, sections
from benchmarks.peers.asking import NotRun, Talking, missing
from benchmarks.peers.catalog import ALL, ONE, PEERS
from benchmarks.peers.reading import Peer, Place, Reading

MS = 1_000_000
PLAIN = Peer(key="plain", name="dict", family="inprocess")
OTHER = Peer(key="other", name="another", family="inprocess")
ABSENT = Peer(key="absent", name="an absent one", family="flags", packages=("no-such-package-anywhere",))
BROKEN = Peer(key="broken", name="one that fails", family="flags")
PLACES: dict[str, Place] = {key: {} for key in ("plain", "other", "absent", "broken")}


class Played:
    """A reader's process: a read takes as long as is said; `asked` is what all of them were asked, in order."""

    def __init__(self, key: str, nanoseconds: float, asked: list[tuple[str, str]]) -> None:
        self._key, self._nanoseconds, self._asked = key, nanoseconds, asked
        self._answers: deque[Any] = deque([{"version": f"{key} 1.0"}])

    def told(self) -> Any:
        return self._answers.popleft()

    def tell(self, said: Any) -> None:
        what, count, *_ = said
        self._asked.append((self._key, what))
        if what == "threads":
            self._answers.append({"found": (count * 1e6, self._nanoseconds)})
        else:
            self._answers.append({"found": [self._nanoseconds] * count})


class Failed:
    def told(self) -> Any:
        return {"failed": "ValueError: it does not like it here"}

    def tell(self, said: Any) -> None:
        raise AssertionError(said)


class Stage:
    """Starts played processes."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def start(self, _closing: ExitStack, _role: str, peer: Peer, _place: Place) -> Talking:
        return Failed() if peer is BROKEN else Played(peer.key, 10.0 if peer is PLAIN else 25.0, self.asked)


def test_a_peer_that_is_missing_or_fails_is_listed_with_its_reason() -> None:
    rows = sections.reads([PLAIN, ABSENT, BROKEN], PLACES, Stage().start, rounds=1, singles=20)
    assert {row.key: row.not_run for row in rows} == {
        "plain": "",
        "absent": "no-such-package-anywhere is not installed here",
        "broken": "ValueError: it does not like it here",
    }


def test_readers_take_turns_in_each_round_and_their_ratio_is_to_the_dict() -> None:
    stage = Stage()
    rows = sections.reads([PLAIN, OTHER], PLACES, stage.start, rounds=2, singles=20)
    assert [key for key, what in stage.asked if what == "batches"] == ["plain", "other", "plain", "other"]
    assert [(row.version, row.figures["ratio"], row.figures["p999_ns"]) for row in rows] == [
        ("plain 1.0", 1.0, 10.0),
        ("other 1.0", 2.5, 25.0),
    ]


def test_crowds_are_added_up_over_processes() -> None:
    [row] = sections.crowds([OTHER], PLACES, Stage().start, 0.1)
    assert row.figures["threads_4_per_s"] == 4e6
    assert row.figures["processes_4_per_s"] == 4e6
    assert row.figures["processes_2_ns"] == 25.0


def test_the_longest_gap_of_each_window_counts_also_one_that_began_before_it() -> None:
    windows: gaps.Windows = [(False, 0, 10 * MS), (True, 10 * MS, 20 * MS), (False, 20 * MS, 30 * MS)]
    found = [(1 * MS, 1 * MS), (9 * MS, 4 * MS), (12 * MS, 2 * MS), (40 * MS, 9 * MS)]
    assert gaps.longest(found, windows) == {"median": 4.0, "worst": 4.0, "floor": 0.0, "floor_worst": 4.0}


def test_who_takes_no_such_change_in_is_listed_with_the_reason(tmp_path: Any) -> None:
    one = Peer(key="plain", name="dict", family="inprocess", changed={ALL: "swapped"})
    asking = Peer(key="select", name="asks", family="remote", slow=True)
    reasons = [gaps.measure(ONE, PLACES, tmp_path, 1, [peer])[0].not_run for peer in (one, asking)]
    assert reasons == ["it knows no smaller step than the whole", "nothing is held: each read asks the server"]


def test_what_is_timed_is_the_expression_and_a_wrong_value_is_refused() -> None:
    asked: list[str] = []

    class Noting(dict[str, float]):
        def __getitem__(self, key: str) -> float:
            asked.append(key)
            return super().__getitem__(key)

    values = Noting(k=content.FIRST)
    reading = Reading(read=lambda: values["k"], expression="o[k]", names={"o": values, "k": "k"})
    assert measuring.batches(reading)(20) >= 0.0
    assert len(asked) == 20
    assert len(measuring.singles(reading, 7)) == 7
    assert len(asked) == 27
    child.check(reading, content.FIRST)
    with pytest.raises(AssertionError, match=r"it reads 2\.5, not 3\.5"):
        child.check(reading, 3.5)


def test_every_peer_is_one_row_and_ours_needs_nothing_that_is_not_here() -> None:
    assert len({peer.key for peer in PEERS}) == len(PEERS)
    assert [missing(peer) for peer in PEERS if peer.ours] == ["", ""]


def test_a_process_that_ends_is_a_reason_too() -> None:
    class Ended:
        def told(self) -> Any:
            raise RuntimeError("the process ended with code 1")

        def tell(self, said: Any) -> None:
            del said

    from benchmarks.peers.asking import ask  # noqa: PLC0415 - beside its only use

    with pytest.raises(NotRun, match="ended with code 1"):
        ask(Ended(), "batches", 1)
