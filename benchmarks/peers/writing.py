"""The process that makes changes from outside of a reader's: a store that commits, a publisher of shared memory, Redis.

Told (sort, value, where): where is "here" or "elsewhere", which nobody follows; it answers when it began and, where
there is one, which revision it made.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import Any

import redis

from benchmarks.children import tell, told, told_at_start
from benchmarks.peers import content, places
from benchmarks.shared import shared
from trimtab_store.store import Store

Change = Callable[[str, float, bool], int]
"""(sort, value, whether where it is followed) → the revision."""
ELSEWHERE = "elsewhere"


def store(place: dict[str, Any], closing: contextlib.ExitStack) -> Change:
    """Commits to Postgres: one key, or the structure, upon which every agent takes the whole snapshot."""
    opened = closing.enter_context(Store.connect(place["database_url"], place["redis_url"], signing_key=place["key"]))
    made = {True: 0, False: 0}

    def change(sort: str, value: float, here: bool) -> int:  # noqa: FBT001 - told as JSON
        environment = place["environment"] if here else f"{place['environment']}-{ELSEWHERE}"
        if sort == "one key":
            with opened.edit(environment, author="bench", reason="measured") as edit:
                edit.set(content.path(place["items"]), value)
            return edit.committed.revision
        made[here] += 1
        extra = ["desk"] if made[here] % 2 else []
        return opened.declare_dimensions(
            environment, ["region", "mode", "node", "bot", *extra], author="bench"
        ).revision

    tell("ready")
    return change


def memory(place: dict[str, Any], closing: contextlib.ExitStack) -> Change:
    """Publishes in two directories of shared memory."""
    lines = {here: closing.enter_context(shared(place["items"])) for here in (True, False)}
    tell(lines[True].place)

    def change(sort: str, value: float, here: bool) -> int:  # noqa: FBT001 - told as JSON
        line = lines[here]
        return line.resync() if sort == "resync" else line.put([content.path(place["items"])], value)

    return change


def keys(place: dict[str, Any], closing: contextlib.ExitStack) -> Change:
    """Sets keys in Redis."""
    client = redis.Redis.from_url(place["redis_url"])
    closing.callback(client.close)
    values = content.flat(place["items"])
    path = content.path(place["items"])

    def change(sort: str, value: float, here: bool) -> int:  # noqa: FBT001 - told as JSON
        prefix = place["prefix"] if here else f"{ELSEWHERE}:"
        changed: dict[str, object] = {path: value} if sort == "one key" else {**values, path: value}
        places.fill_redis(client, prefix, changed)
        return 0

    tell("ready")
    return change


ROLES = {"store": store, "shared": memory, "redis": keys}


def main() -> int:
    """Make changes until nothing more is asked."""
    role, place = told_at_start()
    with contextlib.ExitStack() as closing:
        change = ROLES[role](place, closing)
        while (asked := told()) is not None:
            sort, value, here = asked
            begin = time.perf_counter_ns()
            tell((begin, change(sort, value, here)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
