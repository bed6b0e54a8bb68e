"""The sidecar of `trimtab up`: a real one, started as a user starts it, which the three bots attach to.

It dies with us as the servers do, whatever we die of. If it ends by itself, it is started again, as whatever
supervises it elsewhere would; if it keeps ending, we give up and say what it said.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final

from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.directory import Servers
from trimtab_store.embedded.places import SocketDirectory, write_private
from trimtab_store.embedded.process import LOG_LINES_SHOWN, Child

NODE: Final[Mapping[str, str]] = {"node": "node-1", "region": "ny4"}
"""Where the sidecar is: the labels that every bot attached to it inherits."""
PROGRAM: Final = (sys.executable, "-m", "trimtab_sidecar")
"""Found by its name when it runs: store and sidecar stand beside each other, and neither imports the other."""
MOST_STARTS: Final = 3
WITHIN_SECONDS: Final = 30.0
"""More than `MOST_STARTS` starts in such a time are no accident."""
STOP_SECONDS: Final = 15.0


class Sidecar:
    """One sidecar of one environment, in the data directory: its settings, log, snapshots and shared memory.

    `shared` is where bots attach. It is a directory on disk and not on tmpfs, as it is on a real node: so a kill leaves
    nothing behind but the data directory. Only where its path is too long for sockets it is a temporary one.
    """

    def __init__(self, servers: Servers, environment: str) -> None:
        """Write its settings; it is not started yet."""
        home = servers.directory / "sidecar"
        home.mkdir(mode=0o700, exist_ok=True)
        self.log = home / "log"
        self._settings = home / "sidecar.toml"
        self._place = SocketDirectory(home / "shared")
        self._child: Child | None = None
        self._started: list[float] = []
        self._said_before = 0
        settings = {
            "environment": environment,
            "trust": str(servers.trust),
            "database_url": servers.agent_database_url,
            "redis_url": servers.redis_url,
            "keep": str(home / "snapshots"),
            "shared": str(self.shared),
            "labels": ",".join(f"{dimension}={label}" for dimension, label in NODE.items()),
        }
        write_private(self._settings, to_toml(settings).encode())

    @property
    def shared(self) -> Path:
        """The directory that it shares."""
        return self._place.path

    def start(self) -> None:
        """Start it; in the main thread, so that it dies with us. It is ready some time later: bots wait for it."""
        self._started.append(time.monotonic())
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        self._child = Child([*PROGRAM, "--json", "--file", self._settings], log=self.log)

    def check(self) -> None:
        """Raise UnavailableError, with what it said last, if it ended by itself."""
        if self._child is None or self._child.running:
            return
        why, remedy = last_words(self.log.read_bytes()[self._said_before :])
        raise UnavailableError(f"The sidecar ended with code {self._child.code}", why, f"{remedy}Its log is {self.log}")

    def tend(self, tell: Callable[[str], None]) -> None:
        """Start it again if it ended by itself, and tell so. Raises UnavailableError if that keeps happening."""
        if self._child is None or self._child.running:
            return
        recent = [at for at in self._started if time.monotonic() - at < WITHIN_SECONDS]
        if len(recent) >= MOST_STARTS:
            self.check()
        tell(f"the sidecar ended with code {self._child.code}; starting it again (see sidecar/log)")
        self.start()

    def close(self) -> None:
        """Stop it in order, and remove what it shared: nobody reads that any more."""
        if self._child is not None:
            self._child.stop(signal.SIGTERM, patience=STOP_SECONDS)
        self._place.close()


@contextlib.contextmanager
def started(servers: Servers, environment: str) -> Generator[Sidecar]:
    """A sidecar, until the block ends."""
    made = Sidecar(servers, environment)
    try:
        made.start()
        yield made
    finally:
        made.close()


def to_toml(settings: Mapping[str, str]) -> str:
    """Texts by name as TOML, whose basic strings are written as JSON writes them, but for one character."""
    lines = (f"{name} = {json.dumps(text, ensure_ascii=False)}\n" for name, text in settings.items())
    return "".join(lines).replace("\x7f", "\\u007F")


def last_words(said: bytes) -> tuple[str, str]:
    """Why it ended and what to do: from the one object that a refused start writes, else the last that it said."""
    lines = said.decode(errors="replace").splitlines()
    with contextlib.suppress(ValueError, LookupError, TypeError):  # no such object: it ended in another way
        refused: Mapping[str, Any] = json.loads(lines[-1])["error"]
        return f"{refused['what']}: {refused['why']}", f"{refused['remedy']}. "
    return " / ".join(lines[-LOG_LINES_SHOWN:]) or "it said nothing", ""
