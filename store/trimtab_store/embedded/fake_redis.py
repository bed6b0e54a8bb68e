"""A last resort for `trimtab up` where no real server is installed: fakeredis on 127.0.0.1. `fake_redis.py PORT`.

It keeps no password, no memory limit and no promise about speed. Never used by tests of ours or in production.
"""

from __future__ import annotations

import sys

from fakeredis import TcpFakeServer


def main(port: int) -> None:
    """Serve until a signal ends the process."""
    server = TcpFakeServer(("127.0.0.1", port), server_type="valkey")
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
