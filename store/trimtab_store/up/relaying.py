"""The relay of `trimtab up`: `trimtab relay` that ends with the process that started it.

python -m trimtab_store.up.relaying DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

from trimtab_store import log_lines
from trimtab_store.embedded import directory as data_directory
from trimtab_store.relay import Relay
from trimtab_store.up.companion import end_with_parent


def main(arguments: list[str]) -> None:
    """Run until SIGTERM, or until the parent is gone."""
    stop = end_with_parent()
    servers = data_directory.find(Path(arguments[0]))
    log_lines.to_stderr()
    Relay(servers.database_url, servers.redis_url).run(stop)


if __name__ == "__main__":
    main(sys.argv[1:])
