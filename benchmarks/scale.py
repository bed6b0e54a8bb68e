"""What one change costs as more items are held: in an agent, and in the store. Both should be flat."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import psycopg

from benchmarks import fixtures, servers
from benchmarks.report import Row, Section, percentile, summarise, to_json
from trimtab.model import views
from trimtab.model.canonical import Json
from trimtab.model.links import Position
from trimtab.replica.line import Line
from trimtab_store.store import Store

SIZES = (1_000, 10_000, 100_000, 1_000_000)
STORED = (1_000, 10_000, 100_000, 1_000_000)
LIMIT = 1.5
"""How much dearer the dearest size may be than the cheapest: flat, with room for caches that no longer fit."""
_WITHOUT_DISK = "ALTER DATABASE postgres SET synchronous_commit = off"
"""To wait for the disk takes the same few milliseconds at every size, and would hide what grows."""


def changes(size: int, rounds: int) -> Iterator[float]:
    """Microseconds from a message's bytes to a view: verified, applied, resolved."""
    line = fixtures.SignedLine(fixtures.state(size))
    path = fixtures.some_path(size)
    line.put(path, 0)
    follower = Line(fixtures.ENVIRONMENT, line.key.trust())
    for step in follower.offer_snapshot(*line.snapshot()):
        del step
    assert follower.snapshot is not None
    view = views.build(follower.snapshot.state, {"bot": "mm-btc"})
    for number in range(rounds):
        message = line.put(path, number + 1)
        begins = time.perf_counter()
        judgement = follower.offer(message)
        view, differences = views.advance(view, follower.snapshot.state, [path])
        yield (time.perf_counter() - begins) * 1e6
        assert path in differences, judgement
    assert follower.position == Position(1, rounds + 1)


def copies(size: int, rounds: int) -> Iterator[float]:
    """Microseconds for a copy of a flat dict with one key changed."""
    flat: dict[str, Json] = {item.path: 1 for item in fixtures.items(size)}
    path = fixtures.some_path(size)
    for number in range(rounds):
        begins = time.perf_counter()
        flat = {**flat, path: number}
        yield (time.perf_counter() - begins) * 1e6


def commits(store: Store, rounds: int) -> Iterator[float]:
    """Milliseconds for a commit of one path."""
    for number in range(rounds):
        begins = time.perf_counter()
        with store.edit("production", author="bench", reason="measured") as edit:
            edit.set("desk.t000001.field_0", number + 0.5)
        yield (time.perf_counter() - begins) * 1e3


def stuff(stand: servers.Stand, size: int) -> None:
    """Bring the table of current items to a size, past the commit: only the tables' sizes matter here."""
    with psycopg.connect(stand.database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE trimtab.configuration_current")
        with (
            connection.cursor() as cursor,
            cursor.copy(
                "COPY trimtab.configuration_current (environment, layer, path, content, revision, value) FROM STDIN"
            ) as copy,
        ):
            for item in fixtures.items(size):
                copy.write_row((item.environment, item.layer, item.path, item.content, 1, item.content.decode()))
        connection.execute("VACUUM ANALYZE trimtab.configuration_current")
        connection.execute("CHECKPOINT")


def flat(ours: dict[int, list[float]], unit: str, what: str) -> list[Row]:
    """A row for each size, judged by its distance from the cheapest."""
    cheapest = min(percentile(values, 0.5) for values in ours.values())
    made: list[Row] = []
    for size, values in ours.items():
        ratio = percentile(values, 0.5) / cheapest
        made.append(
            summarise(
                f"{what}, {size:,} items", unit, values, ratio=ratio, against="cheapest", judged=ratio, limit=LIMIT
            )
        )
    return made


def stored(sizes: tuple[int, ...], rounds: int) -> dict[int, list[float]]:
    """Commits with so many items stored, the sizes one after the other over one server, not waiting for the disk."""
    found: dict[int, list[float]] = {}
    with servers.stand(redis=False) as stand:
        with stand.store() as store:
            store.create_environment("production", author="bench", reason="measured")
        with psycopg.connect(stand.database_url, autocommit=True) as connection:
            connection.execute(_WITHOUT_DISK)
        for size in sizes:
            stuff(stand, size)
            with stand.store() as store:
                store._aftercare.snapshots = None  # noqa: SLF001 - what was put in past the commits does not add up
                list(commits(store, 20))
                found[size] = list(commits(store, rounds))
    return found


def main() -> int:
    sizes, rounds = (SIZES[:3], 100) if fixtures.quick() else (SIZES, 500)
    ours = {size: list(changes(size, rounds)) for size in sizes}
    rows = flat(ours, "µs", "verified message to view")
    for size in sizes:
        copied = list(copies(size, 30))
        rows.append(summarise(f"flat dict copied, {size:,} items", "µs", copied))
    committed = stored(STORED[:2] if fixtures.quick() else STORED, rounds)
    sys.stdout.write(
        to_json(
            [
                Section("One change in an agent: verify, apply, resolve", rows),
                Section(
                    "One commit with so many items stored, without the wait for the disk",
                    flat(committed, "ms", "commit of one path"),
                ),
            ]
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
