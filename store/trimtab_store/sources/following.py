"""`trimtab apply --watch`: the files are applied again whenever they change, and the last good state stays.

watchfiles tells that something moved; what counts is whether the directory looks different from when it was last read,
which is also asked every second: a directory may be reached through a link that is swapped, or lie where nobody is told
of changes. Before it is read it must have rested, so that an editor that removes a file and puts a new one in its place
is not met half-way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import watchfiles

from trimtab.model.errors import ConflictError, TrimtabError, UnavailableError
from trimtab_store.files.tree import Fingerprint, fingerprint

REST_SECONDS: Final = 0.3
LONGEST_SECONDS: Final = 5.0
"""A directory that never rests is read after so long all the same."""
ASK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 5.0


@dataclass(slots=True)
class Follower:
    """Calls `attempt`, which reads and applies everything, and tells what is new: an error once, and when it is over.

    `refused` gets each error that is not the one told last, `mended` is called at the first success after one.
    """

    directory: Path
    attempt: Callable[[], None]
    refused: Callable[[TrimtabError], None]
    mended: Callable[[], None]
    _seen: Fingerprint | None = None
    _told: str = ""
    _again: float | None = None

    def look(self) -> None:
        """Attempt it if the directory moved since the last attempt, or if that failed for want of a server."""
        found = state_of(self.directory)
        if found == self._seen and not (self._again is not None and time.monotonic() >= self._again):
            return
        if found != self._seen:
            found = self._rested(found)
        self._seen, self._again = found, None
        try:
            self.attempt()
        except TrimtabError as error:
            if isinstance(error, UnavailableError | ConflictError):
                self._again = time.monotonic() + RETRY_SECONDS
            if str(error) != self._told:
                self._told = str(error)
                self.refused(error)
        else:
            if self._told:
                self._told = ""
                self.mended()

    def _rested(self, found: Fingerprint) -> Fingerprint:
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            time.sleep(REST_SECONDS)
            now = state_of(self.directory)
            if now == found:
                break
            found = now
        return found


def state_of(directory: Path) -> Fingerprint:
    """What a directory looks like; a directory that is gone looks like an empty one."""
    try:
        return fingerprint(directory)
    except OSError:
        return frozenset()


def moments(directory: Path, seconds: float | None, stop: threading.Event | None = None) -> Iterator[None]:
    """When to look: at once, after each change, and every second; until `stop`, or for so many seconds.

    Raises `UnavailableError` where the system tells nobody of changes.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    yield
    try:
        for _ in watchfiles.watch(
            directory,
            watch_filter=None,
            step=50,
            debounce=round(REST_SECONDS * 1000),
            rust_timeout=round(ASK_SECONDS * 1000),
            yield_on_timeout=True,
            stop_event=stop,
        ):
            yield
            if deadline is not None and time.monotonic() >= deadline:
                return
    except OSError as error:
        why = error.strerror or str(error)
        raise UnavailableError(f"{directory} cannot be watched", why, "Raise fs.inotify.max_user_watches") from error


def follow(follower: Follower, seconds: float | None, stop: threading.Event | None = None) -> None:
    """Look until the time is over or `stop` is set; without either, until somebody interrupts."""
    for _ in moments(follower.directory, seconds, stop):
        follower.look()
