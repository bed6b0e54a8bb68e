"""The relay of `trimtab up`: a real one, started as a user starts it, with a relay's rights and no others."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Final

from trimtab_store.embedded.directory import Servers
from trimtab_store.up.watched import Watched

PROGRAM: Final = (sys.executable, "-m", "trimtab_store", "relay")


@contextlib.contextmanager
def started(servers: Servers) -> Generator[Watched]:
    """A relay on these servers, until the block ends."""
    command: list[str | Path] = [*PROGRAM, "--directory", servers.directory]
    made = Watched("relay", command, servers.directory / "relay.log", "relay.log")
    try:
        made.start()
        yield made
    finally:
        made.close()
