"""How long an agent with 10,000 items takes from `Agent.connect` to its first view, each time in a fresh process."""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import orjson
import redis

from benchmarks import fixtures, servers
from benchmarks.children import Child, asked_as_child, tell
from benchmarks.report import Row, Section, summarise, to_json

ITEMS = 10_000
KEY = "bench:json"
CLIENTS = ("trimtab.agent", "trimtab.feeds.redis", "trimtab.feeds.postgres", "trimtab.feeds.disk")


def agent(stand: dict[str, str], *, directory: str | None, warm: bool, items: int = ITEMS) -> float:
    """Milliseconds until `connect` gave back an agent that can be read."""
    from trimtab import Agent  # noqa: PLC0415 - what is imported when is measured here

    for name in CLIENTS if warm else ():
        importlib.import_module(name)
    begins = time.perf_counter()
    connected = Agent.connect(
        environment="production",
        labels={"bot": "mm-btc"},
        trust=stand["trust"],
        database_url=stand["database_url"],
        redis_url=stand["redis_url"],
        directory=directory,
    )
    value = connected[fixtures.some_path(items)]
    taken = (time.perf_counter() - begins) * 1000
    if value != 2.5 or len(connected.pinned()) < items:
        raise AssertionError("it does not hold what it should")
    connected.close()
    return taken


def plain(stand: dict[str, str], file: str | None) -> float:
    """Milliseconds to read one JSON text of the same content and parse it."""
    begins = time.perf_counter()
    if file is not None:
        text = Path(file).read_bytes()
    else:
        with contextlib.closing(redis.Redis.from_url(stand["redis_url"])) as client:
            text = cast("bytes", client.get(KEY))
    found: Any = orjson.loads(text)
    value = found["desk"][f"t{ITEMS // 10:06d}"]["field_0"]
    taken = (time.perf_counter() - begins) * 1000
    if value != 2.5:
        raise AssertionError("it does not hold what it should")
    return taken


def measure(kind: str, argument: str | None, stand: servers.Stand, *, down: bool = False) -> float:
    """One fresh process; with `down` it finds no server behind its addresses."""
    places = stand.to_json()
    if down:
        places |= {"database_url": "postgresql://u:p@/n?host=/nowhere", "redis_url": "unix:///nowhere/redis.sock"}
    with Child("boot", kind, argument, places) as child:
        taken: float = child.told()
    return taken


def child(kind: str, argument: str | None, stand: dict[str, str]) -> None:
    """What a fresh process does."""
    if kind == "json":
        tell(plain(stand, argument))
    else:
        tell(agent(stand, directory=argument, warm=kind == "agent"))


def main() -> int:
    arguments = asked_as_child()
    if arguments is not None:
        child(*arguments)
        return 0
    rounds = 3 if fixtures.quick() else 25
    found: dict[str, list[float]] = {}
    with servers.stand() as stand:
        with stand.store() as store:
            stand.fill(store, "production", ITEMS)
        text = orjson.dumps(fixtures.documents(ITEMS))
        assert stand.redis is not None
        with contextlib.closing(stand.redis.client()) as client:
            client.set(KEY, text)
        file, kept = stand.directory / "all.json", str(stand.directory / "agent")
        file.write_bytes(text)
        measure("agent", kept, stand)  # fills the directory
        ways: dict[str, Callable[[], float]] = {
            "redis": lambda: measure("agent", None, stand),
            "disk": lambda: measure("agent", kept, stand, down=True),
            "disk, confirmed": lambda: measure("agent", kept, stand),
            "cold": lambda: measure("cold agent", None, stand),
            "redis json": lambda: measure("json", None, stand),
            "disk json": lambda: measure("json", str(file), stand),
        }
        for _ in range(rounds):
            for name, taken in ways.items():
                found.setdefault(name, []).append(taken())
    sys.stdout.write(to_json([Section("Boot of an agent with 10,000 items, in a fresh process", rows(found))]))
    return 0


def rows(found: dict[str, list[float]]) -> list[Row]:
    """Ours, judged by the median, and what is beside them."""

    def row(name: str, what: str, limit: float | None = None, note: str = "") -> Row:
        made = summarise(what, "ms", found[name], limit=limit, note=note)
        return made if limit is None else summarise(what, "ms", found[name], limit=limit, judged=made.median, note=note)

    return [
        row("redis", "from Redis", 50.0),
        row("disk", "from disk, no server answers", 100.0),
        row("disk, confirmed", "from disk, confirmed by the servers", note="connect waits for their word"),
        row("cold", "from Redis, the import of the client libraries included", note="once per process"),
        row("redis json", "one JSON text from Redis, orjson.loads"),
        row("disk json", "one JSON text from disk, orjson.loads"),
    ]


if __name__ == "__main__":
    sys.exit(main())
