"""From Postgres acknowledging COMMIT, before publishing, to the first read that shows it, in other processes.

The writer is the same on both sides: a store that commits 20 changes a second, and a publisher that notes the time when
it is called, which is right after COMMIT. Ours then publishes, and bots with an agent each, nothing shared, read the
value in a callback. The bare side sends the same bytes by PUBLISH to subscribers that verify the same signature and
parse the same JSON, each on a thread and a connection of its own. The sides take turns; only one lives at a time.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import orjson
import redis

from benchmarks import fixtures, servers
from benchmarks.children import Child, asked_as_child, tell, told
from benchmarks.report import Row, Section, percentile, summarise, to_json
from trimtab import Agent
from trimtab.model.statements import Trust
from trimtab_store.publish import Publisher
from trimtab_store.store import Store

PATH = "bench.value"
ITEMS = 1_000
CHANNEL = "bench:bare"
RATE = 20
Seen = dict[int, int]
"""Value → when it was first read, in nanoseconds."""


# -- the writer ------------------------------------------------------------------------------------------------------


class Noting:
    """A publisher that notes when it was called, and then lets `send` publish."""

    def __init__(self, send: Callable[[Iterable[str], float, Sequence[bytes]], object]) -> None:
        self._send = send
        self.called: list[int] = []

    def publish(self, environments: Iterable[str], deadline: float = 1.0, messages: Sequence[bytes] = ()) -> object:
        self.called.append(time.perf_counter_ns())
        return self._send(environments, deadline, messages)


def writer(side: str, stand: dict[str, Any]) -> None:
    """Commits so many changes at the rate; tells which value was acknowledged when."""
    send, close = sender(side, stand)
    noting = Noting(send)
    with Store.connect(stand["database_url"], signing_key=stand["key"], publisher=noting) as store:
        tell("ready")
        while (asked := told()) is not None:
            first, count = asked
            acknowledged: dict[int, int] = {}
            due = time.perf_counter()
            for value in range(first, first + count):
                due = max(due + 1 / RATE, time.perf_counter())
                time.sleep(max(0.0, due - time.perf_counter()))
                noting.called.clear()
                with store.edit("production", author="bench", reason="measured") as edit:
                    edit.set(PATH, value)
                acknowledged[value] = noting.called[0]
            tell(acknowledged)
    close()


def sender(
    side: str, stand: dict[str, Any]
) -> tuple[Callable[[Iterable[str], float, Sequence[bytes]], object], Callable[[], None]]:
    """What publishes on a side, and how to end it."""
    if side == "without redis":
        return (lambda _names, _deadline, _messages: None), lambda: None
    if side == "ours":
        publisher = Publisher.connect(stand["database_url"], stand["redis_url"])
        return publisher.publish, publisher.close
    client = redis.Redis.from_url(stand["redis_url"])
    return (lambda _names, _deadline, messages: client.publish(CHANNEL, messages[0])), client.close


# -- who reads -------------------------------------------------------------------------------------------------------


def reader(side: str, stand: dict[str, Any], count: int) -> None:
    """A process with so many readers; at the end it tells what each saw when."""
    with ExitStack() as closing:
        make = bare if side == "bare" else agent
        seen = [make(stand, number, closing) for number in range(count)]
        tell("ready")
        told()
        tell(seen)


def agent(stand: dict[str, Any], number: int, closing: ExitStack) -> Seen:
    """One bot: when it is told of a change it reads, and notes what it read and when."""
    seen: Seen = {}
    followed = closing.enter_context(
        Agent.connect(
            environment="production",
            labels={"bot": f"bot-{number}"},
            trust=stand["trust"],
            database_url=stand["database_url"],
            redis_url=stand["redis_url"],
            timeout=60.0,
        )
    )

    def read(_event: object) -> None:
        value = followed[PATH]
        seen.setdefault(cast("int", value), time.perf_counter_ns())

    followed.on_change(PATH, read)
    return seen


def bare(stand: dict[str, Any], _number: int, closing: ExitStack) -> Seen:
    """One bare subscriber: it verifies the signature, parses, and notes."""
    seen: Seen = {}
    trust = Trust.from_bytes(Path(stand["trust"]).read_bytes())
    client = redis.Redis.from_url(stand["redis_url"])
    subscription: Any = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    subscription.subscribe(CHANNEL)
    subscription.get_message(timeout=2.0)

    def listen() -> None:
        while not stop.is_set():
            message = subscription.get_message(timeout=0.5)
            if message is None:
                continue
            header, _, change = message["data"].partition(b"\n")
            link = orjson.loads(header)
            signature = bytes.fromhex(link.pop("signature"))
            trust.verify("link", link, link["key_id"], signature)
            value = orjson.loads(change)["edits"][0]["put"]
            seen[value] = time.perf_counter_ns()

    stop = threading.Event()
    thread = threading.Thread(target=listen)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()
        client.close()

    closing.callback(end)
    return seen


# -- the measurement -------------------------------------------------------------------------------------------------


def measure(side: str, stand: dict[str, Any], agents: int, processes: int, first: int, count: int) -> list[float]:
    """Milliseconds from COMMIT to the first read, for every change and reader; raises if one was never seen."""
    with ExitStack() as closing:
        writing = closing.enter_context(Child("propagation", "writer", side, stand))
        writing.told()
        reading = [
            closing.enter_context(Child("propagation", "reader", side, stand, agents // processes))
            for _ in range(processes)
        ]
        for one in reading:
            one.told()
        time.sleep(2.0)
        writing.tell((first, count))
        acknowledged = {int(value): at for value, at in writing.told().items()}
        time.sleep(6.0 if side == "without redis" else 2.0)
        for one in reading:
            one.tell("finish")
        return [taken for one in reading for seen in one.told() for taken in delays(acknowledged, seen)]


def delays(acknowledged: dict[int, int], seen: dict[str, int]) -> list[float]:
    """Milliseconds until the first read that shows each change, or a newer one; raises if there is none."""
    found: list[float] = []
    shown = {int(value): at for value, at in seen.items()}
    first = float("inf")
    for value, at in sorted(acknowledged.items(), reverse=True):
        first = min(first, shown.get(value, first))
        found.append((first - at) / 1e6)
    if float("inf") in found:
        raise RuntimeError("the last change was never read")
    return found


def turns(stand: dict[str, Any], agents: int, processes: int, rounds: int, count: int) -> dict[str, list[float]]:
    """Both sides in turn."""
    found: dict[str, list[float]] = {"bare": [], "ours": []}
    first = agents * 1_000_000
    for _ in range(rounds):
        for side in found:
            first += count
            found[side] += measure(side, stand, agents, processes, first, count)
    return found


def one_agent(found: dict[str, list[float]]) -> Section:
    bare_p99, our_p99 = (percentile(found[side], 0.99) for side in ("bare", "ours"))
    limit = 1.5 * bare_p99 + 2.0
    return Section(
        "From COMMIT acknowledged to the first read, 1 agent, Redis up",
        [
            summarise("bare PUBLISH → receive, verify, parse", "ms", found["bare"]),
            summarise("ours", "ms", found["ours"], judged=our_p99, limit=limit, ratio=our_p99 / bare_p99,
                      against="bare p99", note="p99; the limit is 1.5 times bare p99 + 2 ms"),
        ],
    )  # fmt: skip


def many_agents(found: dict[str, list[float]], agents: int, processes: int) -> Section:
    rows: list[Row] = [summarise("bare subscribers that verify and parse", "ms", found["bare"])]
    for name, share in (("median", 0.5), ("p99", 0.99)):
        ratio = percentile(found["ours"], share) / percentile(found["bare"], share)
        rows.append(
            summarise("ours", "ms", found["ours"], ratio=ratio, against=f"bare {name}", judged=ratio, limit=1.5)
        )
    return Section(f"The same, {agents} agents in {processes} processes, nothing shared", rows)


def main() -> int:
    arguments = asked_as_child()
    if arguments is not None:
        role: Callable[..., None] = writer if arguments[0] == "writer" else reader
        role(*arguments[1:])
        return 0
    rounds, count = (1, 60) if fixtures.quick() else (3, 300)
    agents, processes = 100, 10
    with servers.stand() as stand:
        with stand.store() as store:
            stand.fill(store, "production", ITEMS, {"bench": {"value": 0}})
        single = turns(stand.to_json(), 1, 1, rounds, count)
        many = turns(stand.to_json(), agents, processes, rounds, count)
    sections = [
        one_agent(single),
        many_agents(many, agents, processes),
        Section("etcd put → watch", skipped="etcd is not installed here"),
    ]
    sys.stdout.write(to_json(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
