"""Readers that ask a server at each read: Redis, Redis with client-side caching, Postgres, HTTP on localhost."""

from __future__ import annotations

import http.client
import importlib
import json
from typing import Any, cast

from benchmarks.peers import content
from benchmarks.peers.reading import Place, Reading


def redis_get(place: Place) -> Reading:
    """A key for each item."""
    library: Any = importlib.import_module("redis")
    client: Any = library.Redis.from_url(place["redis_url"])
    return _redis(client, place)


def redis_cached(place: Place) -> Reading:
    """The same with client-side caching, which needs RESP 3."""
    library: Any = importlib.import_module("redis")
    caching: Any = importlib.import_module("redis.cache")
    connection: Any = importlib.import_module("redis.connection")
    # It accepts servers that call themselves redis only, of 7.4 or later; Valkey has the same commands.
    connection.CacheProxyConnection.DEFAULT_SERVER_NAME = "valkey"
    config = caching.CacheConfig(max_size=100_000)
    client: Any = library.Redis.from_url(place["redis_tcp_url"], protocol=3, cache_config=config)
    return _redis(client, place)


def _redis(client: Any, place: Place) -> Reading:
    key = f"{place['prefix']}{content.path(place['items'])}"
    return Reading(
        read=lambda: float(client.get(key)),
        expression="float(o.get(k))",
        names={"o": client, "k": key},
        close=client.close,
    )


def select(place: Place) -> Reading:
    """A row for each item, of jsonb."""
    library: Any = importlib.import_module("psycopg")
    connection: Any = library.connect(place["database_url"], autocommit=True)
    key = [content.path(place["items"])]
    query = f"SELECT value FROM {place['table']} WHERE path = %s"  # noqa: S608 - the table is one of ours
    return Reading(
        read=lambda: connection.execute(query, key).fetchone()[0],
        expression="o.execute(q, k).fetchone()[0]",
        names={"o": connection, "q": query, "k": key},
        close=connection.close,
    )


class Asking:
    """A client of an HTTP agent, of the standard library's connection, which it keeps."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port)

    def get(self, path: str) -> Any:
        """The value at a path."""
        self.connection.request("GET", f"/{path}")
        return json.loads(self.connection.getresponse().read())


def http_agent(place: Place) -> Reading:
    """One GET for each read."""
    asking = Asking(cast("int", place["port"]))
    key = content.path(place["items"])
    return Reading(
        read=lambda: asking.get(key),
        expression="o.get(k)",
        names={"o": asking, "k": key},
        close=asking.connection.close,
    )
