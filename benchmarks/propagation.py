"""From Postgres acknowledging COMMIT, before publishing, to the first read that shows it, in other processes.

The writer is the same on all sides: a store that commits at a steady rate, and a publisher that notes the time when it
is called, which is right after COMMIT. Ours then publishes, and bots with an agent each, nothing shared, read the value
in a callback. The bare sides send the same bytes by PUBLISH to subscribers, each on a thread and a connection of its
own: for one agent they do nothing but receive, for many they verify the same signature and parse the same bytes. The
sides take turns; only one lives at a time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import redis

from benchmarks import fixtures, servers
from benchmarks.children import Child, asked_as_child, tell, told
from benchmarks.readers import CHANNEL, ENVIRONMENT, PATH
from benchmarks.report import Row, Section, percentile, summarise, to_json
from trimtab_store.publish import Publisher
from trimtab_store.store import Store

ITEMS = 1_000
RATE = 20.0
Send = Callable[[Iterable[str], float, Sequence[bytes]], object]


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many readers in so many processes; so many changes at so many a second; seconds to wait for the last one."""

    readers: int
    processes: int
    changes: int
    rate: float = RATE
    settle: float = 2.0


@dataclass(frozen=True, slots=True)
class Side:
    """How the writer's changes travel, and to which kind of readers."""

    sender: str
    readers: str


OURS = Side("publisher", "agents")
RECEIVED, VERIFIED = Side("bare", "receivers"), Side("bare", "verifiers")


# -- the writer ------------------------------------------------------------------------------------------------------


class Noting:
    """A publisher that notes when it was called, and then lets `send` publish."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.called: list[int] = []

    def publish(self, environments: Iterable[str], deadline: float = 1.0, messages: Sequence[bytes] = ()) -> object:
        self.called.append(time.perf_counter_ns())
        return self._send(environments, deadline, messages)


def writer(sender: str, stand: dict[str, Any], rate: float) -> None:
    """Commits so many changes at the rate; tells which value was acknowledged when."""
    with ExitStack() as closing:
        noting = Noting(sending(sender, stand, closing))
        store = Store.connect(stand["database_url"], signing_key=stand["key"], publisher=noting)
        closing.enter_context(store)
        tell("ready")
        while (asked := told()) is not None:
            first, count = asked
            acknowledged: dict[int, int] = {}
            due = time.perf_counter()
            for value in range(first, first + count):
                due = max(due + 1 / rate, time.perf_counter())
                time.sleep(max(0.0, due - time.perf_counter()))
                noting.called.clear()
                with store.edit(ENVIRONMENT, author="bench", reason="measured") as edit:
                    edit.set(PATH, value)
                acknowledged[value] = noting.called[0]
            tell(acknowledged)


def sending(sender: str, stand: dict[str, Any], closing: ExitStack) -> Send:
    """What publishes on a side."""
    if sender == "nobody":
        return lambda _names, _deadline, _messages: None
    if sender == "publisher":
        publisher = Publisher.connect(stand["database_url"], stand["redis_url"])
        closing.callback(publisher.close)
        return publisher.publish
    client = redis.Redis.from_url(stand["redis_url"])
    closing.callback(client.close)
    return lambda _names, _deadline, messages: client.publish(CHANNEL, messages[0])


# -- the measurement -------------------------------------------------------------------------------------------------


def nothing() -> None:
    """Look at nothing."""


def measure(
    side: Side, stand: Mapping[str, Any], fleet: Fleet, first: int = 1, look: Callable[[], None] = nothing
) -> list[float]:
    """Milliseconds from COMMIT to the first read, for every change and reader; raises if one was never seen.

    `look` is called when all are connected.
    """
    with ExitStack() as closing:
        writing = closing.enter_context(Child("propagation", side.sender, stand, fleet.rate))
        writing.told()
        each = fleet.readers // fleet.processes
        reading = [closing.enter_context(Child("readers", side.readers, stand, each)) for _ in range(fleet.processes)]
        for one in reading:
            one.told()
        time.sleep(2.0)
        look()
        writing.tell((first, fleet.changes))
        acknowledged = {int(value): at for value, at in writing.told().items()}
        time.sleep(fleet.settle)
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


def turns(stand: Mapping[str, Any], fleet: Fleet, rounds: int, bare: Side) -> tuple[list[float], list[float]]:
    """The bare side and ours in turn."""
    found: dict[Side, list[float]] = {bare: [], OURS: []}
    first = fleet.readers * 1_000_000
    for _ in range(rounds):
        for side in found:
            first += fleet.changes
            found[side] += measure(side, stand, fleet, first)
    return found[bare], found[OURS]


def one_agent(bare: list[float], ours: list[float]) -> Section:
    bare_p99, our_p99 = percentile(bare, 0.99), percentile(ours, 0.99)
    limit = 1.5 * bare_p99 + 2.0
    return Section(
        "From COMMIT acknowledged to the first read, 1 agent, Redis up",
        [
            summarise("bare PUBLISH → receive", "ms", bare, note="neither verified nor parsed"),
            summarise("ours", "ms", ours, judged=our_p99, limit=limit, ratio=our_p99 / bare_p99,
                      against="bare p99", note="p99; the limit is 1.5 times bare p99 + 2 ms"),
        ],
    )  # fmt: skip


def many_agents(bare: list[float], ours: list[float], fleet: Fleet) -> Section:
    rows: list[Row] = [summarise("bare subscribers that verify and parse", "ms", bare)]
    for name, share in (("median", 0.5), ("p99", 0.99)):
        ratio = percentile(ours, share) / percentile(bare, share)
        rows.append(summarise("ours", "ms", ours, ratio=ratio, against=f"bare {name}", judged=ratio, limit=1.5))
    shape = f"{fleet.readers} agents in {fleet.processes} processes, nothing shared, {fleet.rate:g} changes/s"
    return Section(f"The same, {shape}", rows)


def main() -> int:
    arguments = asked_as_child()
    if arguments is not None:
        writer(*arguments)
        return 0
    rounds, changes = (1, 60) if fixtures.quick() else (3, 300)
    one, many = Fleet(1, 1, changes), Fleet(100, 10, changes // 2, rate=RATE / 2)
    with servers.stand() as stand:
        with stand.store() as store:
            stand.fill(store, ENVIRONMENT, ITEMS, {"bench": {"value": 0}})
        single = turns(stand.to_json(), one, rounds, RECEIVED)
        crowd = turns(stand.to_json(), many, rounds, VERIFIED)
    sections = [
        one_agent(*single),
        many_agents(*crowd, many),
        Section("etcd put → watch", skipped="etcd is not installed here"),
    ]
    sys.stdout.write(to_json(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
