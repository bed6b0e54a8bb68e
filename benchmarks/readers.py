"""Processes that read what is committed, with many readers each: agents, bare subscribers, bare pollers.

A reader notes when it first saw each value, by the clock that all processes share.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import orjson
import psycopg
import redis

from benchmarks.children import tell, told, told_at_start
from trimtab import Agent
from trimtab.model.statements import Trust

PATH: Final = "bench.value"
ENVIRONMENT: Final = "production"
CHANNEL: Final = "bench:bare"
CONNECT_SECONDS: Final = 120.0
_VALUE: Final = b"SELECT value FROM trimtab.configuration_current WHERE environment = %s AND layer = '' AND path = %s"
Seen: TypeAlias = dict[int, int]
"""Value → when it was first read, in nanoseconds."""
Place: TypeAlias = dict[str, Any]
"""What `Stand.to_json` tells."""


def agent(stand: Place, number: int, closing: ExitStack) -> Seen:
    """One bot: when it is told of a change it reads, and notes what it read and when."""
    seen: Seen = {}
    followed = closing.enter_context(
        Agent.connect(
            environment=ENVIRONMENT,
            labels={"bot": f"bot-{number}"},
            trust=stand["trust"],
            database_url=stand["database_url"],
            redis_url=stand["redis_url"],
            timeout=CONNECT_SECONDS,
        )
    )

    def read(_event: object) -> None:
        value = followed[PATH]
        seen.setdefault(cast("int", value), time.perf_counter_ns())

    followed.on_change(PATH, read)
    return seen


def receiver(stand: Place, _number: int, closing: ExitStack) -> Seen:
    """One bare subscriber: it notes the moment at which it has the bytes, and only then looks at them."""

    def read(content: bytes) -> tuple[int, int]:
        at = time.perf_counter_ns()
        return value_of(content.partition(b"\n")[2]), at

    return subscriber(stand, closing, read)


def verifier(stand: Place, _number: int, closing: ExitStack) -> Seen:
    """One bare subscriber that verifies the signature and parses what it got before it notes the moment."""
    trust = Trust.from_bytes(Path(stand["trust"]).read_bytes())

    def read(content: bytes) -> tuple[int, int]:
        header, _, change = content.partition(b"\n")
        link = orjson.loads(header)
        signature = bytes.fromhex(link.pop("signature"))
        trust.verify("link", link, link["key_id"], signature)
        return value_of(change), time.perf_counter_ns()

    return subscriber(stand, closing, read)


def value_of(change: bytes) -> int:
    """The value that a change of the writer's puts."""
    return cast("int", orjson.loads(change)["edits"][0]["put"])


def subscriber(stand: Place, closing: ExitStack, read: Callable[[bytes], tuple[int, int]]) -> Seen:
    """A thread and a connection of its own that hand every message to `read`."""
    seen: Seen = {}
    client = redis.Redis.from_url(stand["redis_url"])
    closing.callback(client.close)
    subscription: Any = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    subscription.subscribe(CHANNEL)
    subscription.get_message(timeout=2.0)

    def listen(stop: threading.Event) -> None:
        while not stop.is_set():
            if (message := subscription.get_message(timeout=0.5)) is not None:
                value, at = read(message["data"])
                seen[value] = at

    background(listen, closing)
    return seen


def poller(stand: Place, _number: int, closing: ExitStack) -> Seen:
    """One bare poller: a thread and a connection of its own that select the value, as often as an agent asks."""
    seen: Seen = {}
    interval = stand["poll_ms"] / 1000
    connection = closing.enter_context(
        psycopg.connect(stand["database_url"], autocommit=True, prepare_threshold=None, connect_timeout=60)
    )

    def ask(stop: threading.Event) -> None:
        while not stop.wait(interval * random.uniform(0.75, 1.25)):
            found = connection.execute(_VALUE, [ENVIRONMENT, PATH]).fetchone()
            assert found is not None
            seen.setdefault(int(found[0]), time.perf_counter_ns())

    background(ask, closing)
    return seen


def background(work: Callable[[threading.Event], None], closing: ExitStack) -> None:
    """Run work on a thread until the stack is closed."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=[stop])
    thread.start()
    closing.callback(thread.join)
    closing.callback(stop.set)


KINDS: Final = {"agents": agent, "receivers": receiver, "verifiers": verifier, "pollers": poller}


def main() -> int:
    """So many readers of one kind; at the end they tell what each saw when."""
    kind, stand, count = told_at_start()
    with ExitStack() as closing:
        seen = [KINDS[kind](stand, number, closing) for number in range(count)]
        tell("ready")
        told()
        tell(seen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
