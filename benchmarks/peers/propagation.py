"""From the beginning of a write to the first sight of it in another process, 20 changes a second, one reader."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import psycopg
import redis

from benchmarks.children import Child
from benchmarks.peers.arrivals import CHANNEL, PATH
from benchmarks.peers.places import Servers
from benchmarks.peers.reading import ROOT, Place, version_of
from benchmarks.peers.sections import Measured
from benchmarks.propagation import delays
from benchmarks.report import percentile
from trimtab import attach
from trimtab.model.errors import TrimtabError
from trimtab_store.embedded.places import free_port

RATE = 20.0
ENVIRONMENT = "propagated"
START_SECONDS = 30.0
Write = Callable[[int], object]


def milliseconds(kind: str, place: Place, write: Write, changes: int) -> list[float]:
    """Milliseconds of each change."""
    with Child("peers.arrivals", kind, place) as reading:
        reading.told()
        begun: dict[int, int] = {}
        due = time.perf_counter()
        for value in range(1, changes + 1):
            due = max(due + 1 / RATE, time.perf_counter())
            time.sleep(max(0.0, due - time.perf_counter()))
            begun[value] = time.perf_counter_ns()
            write(value)
        time.sleep(0.5)
        reading.tell("finish")
        return delays(begun, reading.told())


def measure(servers: Servers, changes: int) -> list[Measured]:
    """A row for each way; a way that cannot be run is listed with the reason."""
    ways = {
        "pubsub": ("Redis PUBLISH → subscriber, bare, not durable", "redis", _pubsub),
        "listen": ("Postgres NOTIFY → LISTEN, bare", "psycopg", _listen),
        "agent": ("Trimtab: edit, commit, publish → agent", "trimtab", _agent),
        "attached": ("Trimtab: the same → sidecar → attached bot", "trimtab", _attached),
        "etcd": ("etcd put → watch, JSON gateway", "", _etcd),
    }
    servers.stand.set_poll(1000)
    with servers.stand.store() as store:
        servers.stand.fill(store, ENVIRONMENT, 1_000, {"bench": {"value": 1_000_000_000}})
    rows: list[Measured] = []
    for kind, (name, package, way) in ways.items():
        try:
            with way(servers) as (place, write, version):
                found = milliseconds(kind, place, write, changes)
        except (RuntimeError, OSError, TrimtabError) as error:
            rows.append(Measured(key=kind, name=name, not_run=str(error).splitlines()[0]))
            continue
        figures = {"median_ms": percentile(found, 0.5), "p99_ms": percentile(found, 0.99)}
        rows.append(Measured(key=kind, name=name, version=version or version_of(package), figures=figures))
    return rows


Way = Generator[tuple[Place, Write, str]]


@contextlib.contextmanager
def _pubsub(servers: Servers) -> Way:
    with contextlib.closing(redis.Redis.from_url(servers.redis.url)) as client:
        yield {"redis_url": servers.redis.url}, lambda value: client.publish(CHANNEL, value), ""


@contextlib.contextmanager
def _listen(servers: Servers) -> Way:
    with psycopg.connect(servers.stand.database_url, autocommit=True) as connection:
        notify = b"SELECT pg_notify(%s, %s)"
        place = {"database_url": servers.stand.database_url}
        yield place, lambda value: connection.execute(notify, [CHANNEL, str(value)]), ""


def _ours(servers: Servers) -> tuple[Place, Any]:
    return {**servers.stand.to_json(), "environment": ENVIRONMENT}, servers.stand.store()


@contextlib.contextmanager
def _agent(servers: Servers) -> Way:
    place, opened = _ours(servers)
    with opened as store:

        def write(value: int) -> None:
            with store.edit(ENVIRONMENT, author="bench", reason="measured") as edit:
                edit.set(PATH, value)

        yield place, write, ""


@contextlib.contextmanager
def _attached(servers: Servers) -> Way:
    with _agent(servers) as (place, write, _), tempfile.TemporaryDirectory(prefix="tt-", dir="/dev/shm") as base:
        directory = Path(base) / "shared"
        variables = {
            "TRIMTAB_DATABASE_URL": place["database_url"], "TRIMTAB_REDIS_URL": place["redis_url"] or "",
            "TRIMTAB_TRUST": place["trust"],
        }  # fmt: skip
        command = [sys.executable, "-m", "trimtab_sidecar", "-e", ENVIRONMENT, "--shared", str(directory),
                   "--label", "node=n1", "--log-level", "error"]  # fmt: skip
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.DEVNULL)
        with _ended(process):
            _until(process, lambda: attach(directory, {"bot": "mm-btc"}).close(), "the sidecar")
            yield {**place, "shared": str(directory)}, write, ""


@contextlib.contextmanager
def _etcd(_servers: Servers) -> Way:
    program = shutil.which("etcd")
    if program is None:
        raise RuntimeError("etcd is not installed here")
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    version = re.search(r"etcd Version: (\S+)", said)
    client, peer = (f"http://127.0.0.1:{port}" for port in (free_port(), free_port()))
    with tempfile.TemporaryDirectory(prefix="tt-etcd-") as directory:
        command = [program, "--data-dir", directory, "--listen-client-urls", client, "--advertise-client-urls", client,
                   "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                   "--initial-cluster", f"default={peer}"]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with _ended(process):
            port = int(client.rpartition(":")[2])
            connection = http.client.HTTPConnection("127.0.0.1", port)

            def put(value: int) -> None:
                key, text = (base64.b64encode(one.encode()).decode() for one in (CHANNEL, str(value)))
                connection.request("POST", "/v3/kv/put", json.dumps({"key": key, "value": text}))
                answer = connection.getresponse()
                if answer.status != 200:
                    raise RuntimeError(f"etcd answers {answer.status}: {answer.read().decode()}")
                answer.read()

            _until(process, lambda: socket.create_connection(("127.0.0.1", port)).close(), "etcd")
            put(1_000_000_000)
            yield {"etcd_port": port}, put, f"etcd {version[1] if version else ''}"


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Generator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _until(process: subprocess.Popen[bytes], attempt: Callable[[], object], what: str) -> None:
    """Attempt until it works; raises RuntimeError with the last reason."""
    ends = time.monotonic() + START_SECONDS
    while True:
        try:
            attempt()
        except (OSError, RuntimeError, http.client.HTTPException, TrimtabError) as error:
            if process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"{what} does not start: {error}") from error
            time.sleep(0.1)
        else:
            return
