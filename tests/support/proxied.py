"""Addresses that lead through a proxy."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from tests.support.proxy import Proxy
from trimtab_store.embedded.postgres import SOCKET_PORT, PostgresServer
from trimtab_store.embedded.redis import RedisServer


def postgres_url(url: str, proxy: Proxy) -> str:
    """The same database and login through a proxy that listens on TCP."""
    parts = urlsplit(url)
    user = f"{quote(parts.username or '', safe='')}:{parts.password or ''}"
    return urlunsplit(
        (parts.scheme, f"{user}@127.0.0.1:{proxy.port}", parts.path, "sslmode=disable&gssencmode=disable", "")
    )


def redis_url(server: RedisServer, proxy: Proxy) -> str:
    """The same server through a proxy that listens on TCP."""
    return f"redis://:{quote(server.password, safe='')}@127.0.0.1:{proxy.port}/0"


def port_of(server: PostgresServer | RedisServer) -> tuple[str, int]:
    """Where a server listens on TCP: through a proxy to there, both ends see real resets."""
    assert server.port is not None
    return ("127.0.0.1", server.port)


def socket_of(server: PostgresServer) -> Path:
    """The unix socket of a PostgreSQL server: where a proxy leads to."""
    return server.socket_directory / f".s.PGSQL.{server.port or SOCKET_PORT}"
