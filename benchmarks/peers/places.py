"""Where the readers find their content: files, a database, Redis, an HTTP agent, a directory of shared memory."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import redis

from benchmarks import servers
from benchmarks.peers import content, flags
from benchmarks.peers.reading import ROOT, Place
from benchmarks.servers import Stand
from trimtab_store.embedded.places import free_port
from trimtab_store.embedded.redis import RedisServer

START_SECONDS = 30.0


@dataclass(frozen=True)
class Servers:
    """All servers of a run. `redis` is the peers' own: ours has the other."""

    stand: Stand
    redis: RedisServer
    directory: Path

    def place(self, items: int) -> Place:
        """Everything for readers of so many items, filled once."""
        prefix, environment = f"{items}:", f"size{items}"
        place = {
            "items": items,
            **{style: written(self.directory, items, content.FIRST, style) for style in FORMATS},
            **self.stand.to_json(),
            "environment": environment,
            "redis_tcp_url": self.redis.tcp_url,
            "prefix": prefix,
            "table": f"items_{items}",
        }
        with self.stand.store() as store:
            self.stand.fill(store, environment, items)
        values = content.flat(items)
        with contextlib.closing(self.redis.client()) as client:
            fill_redis(client, prefix, values)
        with psycopg.connect(self.stand.database_url) as connection:
            connection.execute(f"CREATE TABLE {place['table']} (path text PRIMARY KEY, value jsonb NOT NULL)".encode())
            with connection.cursor().copy(f"COPY {place['table']} FROM STDIN".encode()) as copy:
                for path, value in values.items():
                    copy.write_row((path, json.dumps(value)))
        return place

    def of_peer(self, place: Place, key: str, more: Mapping[str, object]) -> Place:
        """The same for one peer: the peers' Redis is another server than ours."""
        return {**place, **more, **({"redis_url": self.redis.url} if key.startswith("redis") else {})}


def fill_redis(client: redis.Redis, prefix: str, values: Mapping[str, object]) -> None:
    """A key for each item, in one pipeline."""
    pipeline = client.pipeline(transaction=False)
    for path, value in values.items():
        pipeline.set(f"{prefix}{path}", json.dumps(value))
    pipeline.execute()


FORMATS: Final[Mapping[str, Callable[[int, float], object]]] = {
    "file": content.nested,
    "values": content.flat,
    "launchdarkly": lambda items, value: flags.flags_of_launchdarkly(content.flat(items, value)),
    "unleash": lambda items, value: flags.features(content.flat(items, value)),
}


def written(directory: Path, items: int, value: float, style: str) -> str:
    """A file of the content in one format, with this value at the path that is read."""
    file = directory / f"{style}-{items}-{value}.json"
    file.write_text(json.dumps(FORMATS[style](items, value)))
    return str(file)


@contextlib.contextmanager
def running() -> Generator[Servers]:
    """Start the servers; they are stopped at the end."""
    with contextlib.ExitStack() as closing:
        stand = closing.enter_context(servers.stand())
        peers = closing.enter_context(RedisServer(stand.directory / "q", tcp=True))
        yield Servers(stand, peers, stand.directory)


@contextlib.contextmanager
def http_agent(items: int) -> Generator[int]:
    """An agent that answers over HTTP on localhost; its port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.peers.http_agent:application", "--port", str(port),
               "--log-level", "error", "--no-access-log"]  # fmt: skip
    environment = {"BENCH_ITEMS": str(items), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        _answers(port, items, process)
        yield port
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _answers(port: int, items: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until it answers."""
    ends = time.monotonic() + START_SECONDS
    address = f"http://127.0.0.1:{port}/{content.path(items)}"
    while True:
        try:
            with urllib.request.urlopen(address, timeout=1.0) as found:
                found.read()
                return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"the HTTP agent does not answer: {error}") from error
            time.sleep(0.05)
