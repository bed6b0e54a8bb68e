"""Processes that note when each value of a propagation arrived: bare pub/sub, bare LISTEN, ours, etcd's watch."""

from __future__ import annotations

import base64
import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import redis

from benchmarks.children import tell, told, told_at_start
from trimtab import Agent, attach

CHANNEL = "bench_peers"
PATH = "bench.value"
Note = Callable[[int], None]


def pubsub(place: dict[str, Any]) -> Iterator[int]:
    """Values as a bare subscriber gets them."""
    client: Any = redis.Redis.from_url(place["redis_url"])
    subscription = client.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(CHANNEL)
    subscription.get_message(timeout=5.0)
    yield 0
    for message in subscription.listen():
        yield int(message["data"])


def listen(place: dict[str, Any]) -> Iterator[int]:
    """Values as LISTEN tells them."""
    connection = psycopg.connect(place["database_url"], autocommit=True)
    connection.execute(f"LISTEN {CHANNEL}".encode())
    yield 0
    for notice in connection.notifies():
        yield int(notice.payload)


def agent(place: dict[str, Any]) -> Iterator[int]:
    """Values as a bot reads them that looks every 50 µs."""
    with Agent.connect(
        environment=place["environment"],
        labels={"bot": "mm-btc"},
        trust=place["trust"],
        database_url=place["database_url"],
        redis_url=place["redis_url"],
        timeout=60.0,
    ) as made:
        yield from _looking(lambda: made[PATH])


def attached(place: dict[str, Any]) -> Iterator[int]:
    """The same, attached to what a sidecar shares."""
    with attach(place["shared"], {"bot": "mm-btc"}) as made:
        yield from _looking(lambda: made[PATH])


def _looking(read: Callable[[], Any]) -> Iterator[int]:
    last = int(read())
    yield 0
    while True:
        value = int(read())
        if value != last:
            last = value
            yield value
        time.sleep(0.000_05)


def etcd(place: dict[str, Any]) -> Iterator[int]:
    """Values as etcd's JSON gateway streams them to a watch."""
    connection = http.client.HTTPConnection("127.0.0.1", place["etcd_port"])
    key = base64.b64encode(CHANNEL.encode()).decode()
    connection.request("POST", "/v3/watch", json.dumps({"create_request": {"key": key}}))
    answer = connection.getresponse()
    answer.readline()  # the watch is made
    yield 0
    while line := answer.readline():
        for event in json.loads(line)["result"].get("events", []):
            yield int(base64.b64decode(event["kv"]["value"]))


KINDS = {"pubsub": pubsub, "listen": listen, "agent": agent, "attached": attached, "etcd": etcd}


def main() -> int:
    """Note arrivals on a thread; told to finish, tell them: value → when, by the clock that all processes share."""
    kind, place = told_at_start()
    seen: dict[int, int] = {}
    ready = threading.Event()

    def note() -> None:
        for value in KINDS[kind](place):
            if value:
                seen[value] = time.perf_counter_ns()
            else:
                ready.set()

    threading.Thread(target=note, daemon=True).start()
    if not ready.wait(60.0):
        raise TimeoutError(f"{kind} does not follow")
    tell("ready")
    told()
    tell(seen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
