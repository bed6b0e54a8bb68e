"""A program of `trimtab up` that should never end: started again if it does, given up where it keeps ending.

So whatever supervises it elsewhere would do. It dies with us as the servers do, whatever we die of.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.process import LOG_LINES_SHOWN, Child

MOST_STARTS: Final = 3
WITHIN_SECONDS: Final = 30.0
"""More than `MOST_STARTS` starts in such a time are no accident."""
STOP_SECONDS: Final = 15.0


class Watched:
    """One program, by its name; `log` is written by all its runs, and `shown` is how people are told of it."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path, shown: str) -> None:
        self.log: Final = log
        self.restarts = 0
        self._name, self._command, self._shown = name, command, shown
        self._child: Child | None = None
        self._started: list[float] = []
        self._said_before = 0

    def start(self) -> None:
        """Start it; in the main thread, so that it dies with us. It is ready some time later."""
        self._started.append(time.monotonic())
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        self._child = Child(self._command, log=self.log)

    def check(self) -> None:
        """Raise UnavailableError, with what it said last, if it ended by itself."""
        if self._child is None or self._child.running:
            return
        why, remedy = last_words(self.log.read_bytes()[self._said_before :])
        what = f"The {self._name} ended with code {self._child.code}"
        raise UnavailableError(what, why, f"{remedy}Its log is {self.log}")

    def tend(self, tell: Callable[[str], None]) -> None:
        """Start it again if it ended by itself, and tell so. Raises UnavailableError if that keeps happening."""
        if self._child is None or self._child.running:
            return
        recent = [at for at in self._started if time.monotonic() - at < WITHIN_SECONDS]
        if len(recent) >= MOST_STARTS:
            self.check()
        tell(f"the {self._name} ended with code {self._child.code}; starting it again (see {self._shown})")
        self.restarts += 1
        self.start()

    def close(self) -> None:
        """Stop it in order."""
        if self._child is not None:
            self._child.stop(signal.SIGTERM, patience=STOP_SECONDS)


def last_words(said: bytes) -> tuple[str, str]:
    """Why it ended and what to do: from the one object that a refused start writes, else the last that it said."""
    lines = said.decode(errors="replace").splitlines()
    with contextlib.suppress(ValueError, LookupError, TypeError):  # no such object: it ended in another way
        refused: Mapping[str, Any] = json.loads(lines[-1])["error"]
        return f"{refused['what']}: {refused['why']}", f"{refused['remedy']}. "
    return " / ".join(lines[-LOG_LINES_SHOWN:]) or "it said nothing", ""
