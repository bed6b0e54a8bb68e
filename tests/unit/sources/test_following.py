"""Following a directory: what is attempted when, and what is told."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import watchfiles

from trimtab.model.errors import TrimtabError, UnavailableError, ValueRefused
from trimtab_store.files.tree import Fingerprint
from trimtab_store.sources import following
from trimtab_store.sources.following import Follower


class Told:
    """A follower over a directory, an outcome that a test sets, and all that was said."""

    def __init__(self, directory: Path) -> None:
        self.said: list[str] = []
        self.outcome: TrimtabError | None = None
        self.follower = Follower(directory, self._attempt, self._refused, lambda: self.said.append("mended"))

    def look(self) -> list[str]:
        """What one look says."""
        before = len(self.said)
        self.follower.look()
        return self.said[before:]

    def _attempt(self) -> None:
        self.said.append("attempt")
        if self.outcome:
            raise self.outcome

    def _refused(self, error: TrimtabError) -> None:
        self.said.append(f"refused {error.what}")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr(following, "REST_SECONDS", 0.01)
    (tmp_path / "a.yaml").write_text("a: 1\n")
    return Told(tmp_path)


def test_a_directory_that_rests_is_attempted_once(told: Told) -> None:
    assert [told.look(), told.look(), told.look()] == [["attempt"], [], []]


def test_a_refusal_is_told_once_and_again_when_it_is_another_or_over(told: Told, tmp_path: Path) -> None:
    told.outcome = ValueRefused("one")
    assert told.look() == ["attempt", "refused one"]
    (tmp_path / "a.yaml").write_text("a: 22\n")
    assert told.look() == ["attempt"]
    told.outcome = ValueRefused("two")
    (tmp_path / "a.yaml").write_text("a: 333\n")
    assert told.look() == ["attempt", "refused two"]
    assert told.look() == [], "nothing moved"
    told.outcome = None
    (tmp_path / "b.yaml").write_text("b: 1\n")
    assert told.look() == ["attempt", "mended"]
    (tmp_path / "b.yaml").unlink()
    assert told.look() == ["attempt"]


def test_a_server_that_is_away_is_asked_again_though_no_file_moves(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    told.outcome = UnavailableError("no Postgres")
    assert told.look() == ["attempt", "refused no Postgres"]
    assert told.look() == []
    now += following.RETRY_SECONDS
    assert told.look() == ["attempt"]
    told.outcome = None
    now += following.RETRY_SECONDS
    assert told.look() == ["attempt", "mended"]
    now += following.RETRY_SECONDS
    assert told.look() == []


def test_an_error_of_ours_ends_it(told: Told) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    told.follower.attempt = broken
    with pytest.raises(ZeroDivisionError):
        told.follower.look()


def test_a_directory_is_attempted_only_once_it_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at it finds it changed, until it has been changed three times."""
    monkeypatch.setattr(following, "REST_SECONDS", 0.001)
    states = iter([frozenset({(str(n), n, n, n)}) for n in (1, 2, 3, 3)])

    def state_of(_: Path) -> Fingerprint:
        return next(states)

    monkeypatch.setattr(following, "state_of", state_of)
    told = Told(tmp_path)
    assert told.look() == ["attempt"]
    assert next(states, None) is None


def test_a_directory_that_is_gone_and_comes_back_is_attempted_both_times(told: Told, tmp_path: Path) -> None:
    told.look()
    (tmp_path / "a.yaml").unlink()
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-gone")
    tmp_path.rename(elsewhere)
    assert told.look() == ["attempt"]
    elsewhere.rename(tmp_path)
    (tmp_path / "a.yaml").write_text("a: 1\n")
    assert told.look() == ["attempt"]


def test_moments_end_with_the_time_or_when_they_are_stopped(tmp_path: Path) -> None:
    assert len(list(following.moments(tmp_path, 0))) >= 1
    stop = threading.Event()
    stop.set()
    assert len(list(following.moments(tmp_path, None, stop))) == 1


def test_a_directory_that_cannot_be_watched_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watchfiles, "watch", full)
    with pytest.raises(UnavailableError, match="cannot be watched: No space left"):
        list(following.moments(tmp_path, None))
