"""What holding 50,000 items adds to a full collection of the garbage collector in a bot.

The bot without us is a process of its own that imports nothing but a few modules of the standard library. Three steps
lead from there to an agent that holds everything: the client libraries that an agent stands on (redis, psycopg,
pydantic and others, which a bot may well have already), our own modules with an agent of ten items, and the items.
What has to be reached is judged over all steps, and once more over a bot that has those libraries itself; each step is
shown by itself.
"""

from __future__ import annotations

import importlib
import sys

from benchmarks import fixtures
from benchmarks.bare_bot import collections
from benchmarks.children import Child, asked_as_child, tell
from benchmarks.report import Row, Section, percentile, to_json

ITEMS, FEW = 50_000, 10
LIMIT_MS = 1.0
FEEDS = ("trimtab.feeds.redis.feed", "trimtab.feeds.postgres.feed")
LIBRARIES = ("redis.asyncio", "psycopg", "pydantic_settings", "orjson", "tenacity",
             "cryptography.hazmat.primitives.asymmetric.ed25519")  # fmt: skip
BARE, WITH_LIBRARIES, FEW_ITEMS, HELD, READ, DOCUMENTS = (
    "a bot without us",
    "the same, with the client libraries of an agent",
    "with an agent of 10 items",
    "with an agent of 50,000 items",
    "the same, and the bot has read every path and subtree",
    "for scale: our benchmark's modules and the same content as plain dicts",
)
OVER_LIBRARIES = "what 50,000 items add to a bot that has the client libraries anyway"
ABOVE = {WITH_LIBRARIES: BARE, FEW_ITEMS: WITH_LIBRARIES, HELD: FEW_ITEMS, READ: HELD}


def child(kind: str, rounds: int) -> None:
    """A fresh process that holds one kind of thing, and collects."""
    if kind == DOCUMENTS:
        held = fixtures.documents(ITEMS)
        tell(collections(rounds))
        del held
        return
    for name in FEEDS:  # this agent's feeds are in memory: a real one has loaded these
        importlib.import_module(name)
    with fixtures.agent(FEW if kind == FEW_ITEMS else ITEMS) as agent:
        if kind == READ:
            for path in list(agent.pinned()):
                agent[path]
        tell(collections(rounds))


def start(kind: str, rounds: int) -> Child:
    """The process for a kind."""
    if kind in {BARE, WITH_LIBRARIES}:
        return Child("bare_bot", LIBRARIES if kind == WITH_LIBRARIES else (), rounds)
    return Child("collector", kind, rounds)


def rows(found: dict[str, list[float]]) -> list[Row]:
    """A row for each kind: what it adds to the one before it, and where it is limited, to the bot without us."""
    medians = {kind: percentile(values, 0.5) for kind, values in found.items()}
    made: list[Row] = []
    for kind, values in found.items():
        before = ABOVE.get(kind)
        judged = kind in {HELD, READ}
        made.append(
            Row(
                what=kind,
                unit="ms",
                median=medians[kind],
                p99=percentile(values, 0.99),
                judged=medians[kind] - medians[BARE] if judged else None,
                limit=LIMIT_MS if judged else None,
                note="" if before is None else f"{medians[kind] - medians[before]:+.2f} ms by this step",
            )
        )
    ours = medians[HELD] - medians[WITH_LIBRARIES]
    made.append(Row(what=OVER_LIBRARIES, unit="ms", median=ours, judged=ours, limit=LIMIT_MS))
    return made


def main() -> int:
    arguments = asked_as_child()
    if arguments is not None:
        child(*arguments)
        return 0
    rounds, repetitions = (10, 2) if fixtures.quick() else (50, 7)
    found: dict[str, list[float]] = {kind: [] for kind in (BARE, *ABOVE, DOCUMENTS)}
    for _ in range(repetitions):
        for kind in found:
            with start(kind, rounds) as measured:
                found[kind] += measured.told()
    sys.stdout.write(to_json([Section("A full garbage collection, 50,000 items held", rows(found))]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
