"""The sidecar of `trimtab up`: a real one, started as a user starts it, which the three bots attach to.

If it ends by itself, it is started again; if it keeps ending, we give up and say what it said (`watched`).
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final

from trimtab_store.embedded.directory import Servers
from trimtab_store.embedded.places import SocketDirectory, write_private
from trimtab_store.up.watched import Watched

NODE: Final[Mapping[str, str]] = {"node": "node-1", "region": "ny4"}
"""Where the sidecar is: the labels that every bot attached to it inherits."""
PROGRAM: Final = (sys.executable, "-m", "trimtab_sidecar")
"""Found by its name when it runs: store and sidecar stand beside each other, and neither imports the other."""


class Sidecar(Watched):
    """One sidecar of one environment, in the data directory: its settings, log, snapshots and shared memory.

    `shared` is where bots attach. It is a directory on disk and not on tmpfs, as it is on a real node: so a kill leaves
    nothing behind but the data directory. Only where its path is too long for sockets it is a temporary one.
    """

    def __init__(self, servers: Servers, environment: str) -> None:
        """Write its settings; it is not started yet."""
        home = servers.directory / "sidecar"
        home.mkdir(mode=0o700, exist_ok=True)
        written = home / "sidecar.toml"
        super().__init__("sidecar", [*PROGRAM, "--json", "--file", written], home / "log", "sidecar/log")
        self._place = SocketDirectory(home / "shared")
        settings = {
            "environment": environment,
            "trust": str(servers.trust),
            "database_url": servers.agent_database_url,
            "redis_url": servers.redis_url,
            "keep": str(home / "snapshots"),
            "shared": str(self.shared),
            "labels": ",".join(f"{dimension}={label}" for dimension, label in NODE.items()),
        }
        write_private(written, to_toml(settings).encode())

    @property
    def shared(self) -> Path:
        """The directory that it shares."""
        return self._place.path

    def close(self) -> None:
        """Stop it in order, and remove what it shared: nobody reads that any more."""
        super().close()
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
