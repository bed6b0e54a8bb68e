"""One bot of `trimtab up`: a process that attaches to the sidecar, says what it reads and keeps a journal.

    python -m trimtab_store.up.bot CONFIGURATION.json

It knows no server and holds no key: a directory of shared memory and its own name are all that it is given.

It writes a line of JSON to its journal for every view that it sees, and at its end all that it reads. Times are seconds
of CLOCK_MONOTONIC, which all processes of one machine share, and of the wall clock. SIGTERM ends it in order, and so
does the end of the process that started it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from pydantic import BaseModel, ConfigDict

from trimtab import attach
from trimtab.model.canonical import Json
from trimtab.model.errors import TrimtabError, UnavailableError
from trimtab.model.reports import Status
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.values import Document, Value, thaw
from trimtab.reader import Pin
from trimtab.reading import Reading
from trimtab_store.up.companion import end_with_parent

LOOK_SECONDS: Final = 0.0005
"""How long the bot sleeps between two looks: a bot with a market to watch would not sleep at all."""
STATUS_SECONDS: Final = 0.02
"""How often it asks how far to trust what it reads, which takes longer than reading."""
ATTACH_SECONDS: Final = 30.0
_ATTEMPT_SECONDS: Final = 0.2


class BotConfiguration(BaseModel):
    """What a bot is started with. `drop` is for a test: the number of the change that it must lose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shared: Path
    environment: str
    labels: dict[str, str]
    journal: Path
    reads: tuple[str, ...]
    drop: int | None = None


def main(arguments: list[str]) -> None:
    """Run one bot until it is asked to end."""
    stop = end_with_parent()
    configuration = BotConfiguration.model_validate_json(Path(arguments[0]).read_bytes())
    if configuration.drop is not None:
        from trimtab_store.up.dropping import drop_change  # noqa: PLC0415 - only for the test that wants it

        drop_change(configuration.drop)
    with configuration.journal.open("a", encoding="utf-8") as journal:
        config = _attach(configuration, stop)
        if config is not None:
            with config:
                Watcher(config, configuration.reads, journal).run(stop)


def _attach(configuration: BotConfiguration, stop: threading.Event) -> Reading | None:
    """Attach, once the sidecar has something to serve; None if we are to end before that."""
    deadline = time.monotonic() + ATTACH_SECONDS
    while not stop.is_set():
        try:
            return attach(
                configuration.shared,
                configuration.labels,
                environment=configuration.environment,
                timeout=_ATTEMPT_SECONDS,
            )
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
    return None


class Watcher:
    """Looks at the configuration again and again, as a trading bot does, and writes down every view that is new."""

    def __init__(self, config: Reading, reads: tuple[str, ...], journal: IO[str]) -> None:
        self._config, self._reads, self._journal = config, reads, journal
        self._seen = -1
        self._status: Status | None = None
        self._ask_at = 0.0
        self._shown: dict[str, Json] = {}

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set, then write down all that is read."""
        while not stop.is_set():
            if not self._look():
                time.sleep(LOOK_SECONDS)
        self._look()
        pin = self._config.pinned()
        with pin as view:
            final = {path: readable(value) for path, value in view.items() if is_leaf(value)}
        _write(self._journal, {"final": final, **_position(pin)})

    def _look(self) -> bool:
        """Whether there was anything new."""
        now, wall = time.monotonic(), time.time()
        if fresh := self._config.revision != self._seen:
            pin = self._config.pinned()
            with pin as view:
                self._shown = {path: readable(view.get(path, ABSENT)) for path in self._reads}
            now, wall = time.monotonic(), time.time()
            self._seen = pin.revision
            _write(self._journal, {**_position(pin), "at": now, "wall": wall, "reads": self._shown})
        elif now < self._ask_at:
            return False
        self._ask_at = now + STATUS_SECONDS
        before, self._status = self._status, self._config.status
        if fresh or self._status is not before:
            self._say(wall)
        return fresh

    def _say(self, wall: float) -> None:
        """Tell the process that started us what we read now."""
        labels: dict[str, Json] = dict(self._config.labels)
        status = None if self._status is None else self._status.value
        record: dict[str, Json] = {"labels": labels, "revision": self._seen, "status": status, "wall": wall}
        _write(sys.stdout, {**record, "reads": self._shown})


def is_leaf(value: Value) -> bool:
    """Whether a value of a view is a leaf: a scalar, an array or an empty object."""
    return not isinstance(value, Document) or not value


def readable(value: Value | Absent) -> Json:
    """A value as JSON; null where nothing resolves."""
    return None if isinstance(value, Absent) else thaw(value)


def _position(pin: Pin) -> dict[str, Json]:
    return {"seen": [pin.epoch, pin.revision]}


def _write(stream: IO[str], record: Mapping[str, Json]) -> None:
    stream.write(json.dumps(record) + "\n")
    stream.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except TrimtabError as refused:
        sys.exit(f"trimtab: {refused}")
