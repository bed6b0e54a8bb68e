"""Commits a second, ours beside a bare transaction that updates one head row and inserts three rows.

All run on the same real PostgreSQL with durability on, each writer in a process of its own, in turn. What is judged
changes a parameter of a built-in document, a strategy: its model and rules look at it, its exchange and global limits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg

from benchmarks import fixtures, servers
from benchmarks.children import Child, asked_as_child, tell, told
from benchmarks.report import Row, Section, percentile, to_json
from trimtab_store.store import Store

LIMIT = 0.5
"""Ours must reach at least this share of the bare rate."""
WRITERS = (1, 16)
BARE, PIPELINED = "bare transaction", "the same in one round trip"
OURS, PLAIN = "ours, a parameter of a strategy", "ours, a path of no built-in document"
_STRATEGY = {
    "name": "measured",
    "version": "1.0.0",
    "enabled": True,
    "exchange": "hyperliquid",
    "symbols": ["BTC-USD"],
    "parameters": {
        "lookback_period": 20,
        "leverage": 2.0,
        "position_size": 0.02,
        "max_positions": 3,
        "timeframe": "5m",
    },
}
_PERIODS = 1_000
"""A writer goes through so many values, one after the other."""
_HEAD = "UPDATE bare_head SET revision = revision + 1 RETURNING revision"
_ROWS = tuple(f"INSERT INTO {table} VALUES (%s, %s)" for table in ("bare_version", "bare_item", "bare_audit"))  # noqa: S608 - three constants


def bare(url: str, writer: int, _key: Path) -> Callable[[int], None]:
    """What most programs write: a statement after the other, prepared after a while, COMMIT."""
    connection = psycopg.connect(url)

    def commit(_number: int) -> None:
        connection.execute(_HEAD)
        for row in _ROWS:
            connection.execute(row.encode(), (writer, "x" * 200))
        connection.commit()

    return commit


def pipelined(url: str, writer: int, _key: Path) -> Callable[[int], None]:
    """The least that a transaction can be: everything sent at once."""
    connection = psycopg.connect(url)

    def commit(_number: int) -> None:
        with connection.pipeline():
            connection.execute(_HEAD)
            for row in _ROWS:
                connection.execute(row.encode(), (writer, "x" * 200))
            connection.commit()

    return commit


def ours(url: str, writer: int, key: Path) -> Callable[[int], None]:
    """`store.edit`, as the command line does it: one parameter of a strategy of its own."""
    return editing(url, key, f"strategy.writer_{writer}.parameters.lookback_period")


def plain(url: str, writer: int, key: Path) -> Callable[[int], None]:
    """The same where no category is built in."""
    return editing(url, key, f"bench.writer_{writer}.value")


def editing(url: str, key: Path, path: str) -> Callable[[int], None]:
    """What commits another value of a path each time."""
    store = Store.connect(url, signing_key=key, pool_size=1)

    def commit(number: int) -> None:
        with store.edit("production", author="bench", reason="measured") as edit:
            edit.set(path, 1 + number % _PERIODS)
        if not edit.committed.created:
            raise RuntimeError("nothing was committed: the value is the one before")

    return commit


KINDS: dict[str, Callable[[str, int, Path], Callable[[int], None]]] = {
    BARE: bare,
    PIPELINED: pipelined,
    OURS: ours,
    PLAIN: plain,
}


def child(kind: str, url: str, writer: int, key: str) -> None:
    """Connect, say so, and commit in the span that the parent names."""
    commit = KINDS[kind](url, writer, Path(key))
    for number in range(20):
        commit(-number)
    tell("ready")
    begin, stop = told()
    time.sleep(max(0.0, begin - time.monotonic()))
    taken: list[float] = []
    salt = int(begin * 1000) % 10**9 * 1000
    while (begins := time.monotonic()) < stop:
        commit(salt + len(taken))
        taken.append((time.monotonic() - begins) * 1000)
    tell(taken)


def measure(kind: str, url: str, writers: int, seconds: float, key: Path) -> tuple[float, list[float]]:
    """Commits a second, and what each took in milliseconds."""
    with ExitStack() as closing:
        children = [closing.enter_context(Child("commits", kind, url, writer, str(key))) for writer in range(writers)]
        for one in children:
            one.told()
        begin = time.monotonic() + 0.3
        for one in children:
            one.tell((begin, begin + seconds))
        taken = [each for one in children for each in one.told()]
    return len(taken) / seconds, taken


def prepare(stand: servers.Stand) -> None:
    """The bare tables, and environments as a fleet has them: strategies, an exchange, global limits."""
    with psycopg.connect(stand.database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare_head (revision bigint)")
        connection.execute("INSERT INTO bare_head VALUES (0)")
        connection.execute("CREATE TABLE bare_version (writer int, content text)")
        connection.execute("CREATE TABLE bare_item (writer int, content text)")
        connection.execute("CREATE TABLE bare_audit (writer int, content text)")
    with stand.store() as store:
        store.create_environment("base", author="bench", reason="measured")
        store.create_environment("production", parent="base", author="bench", reason="measured")
        with store.edit("base", author="bench", reason="measured") as edit:
            edit.set("exchange.hyperliquid.testnet", value=False)
            edit.set("risk.global", {"max_leverage": 3.0, "max_position_size": 0.1})
        with store.edit("production", author="bench", reason="measured") as edit:
            for writer in range(max(WRITERS)):
                edit.set(f"strategy.writer_{writer}", _STRATEGY)


def rows_for(run: Callable[[str, int], tuple[float, list[float]]], writers: int, rounds: int) -> list[Row]:
    """Every kind in turn; ours is judged against the plain bare transaction."""
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind in KINDS:
            rate, found = run(kind, writers)
            rates[kind].append(rate)
            taken[kind] += found
    made: list[Row] = []
    for kind, values in rates.items():
        ratio = percentile(values, 0.5) / percentile(rates[BARE], 0.5)
        judged = kind == OURS
        made.append(
            Row(
                what=f"{kind}, {writers} writer{'s' * (writers > 1)}",
                unit="/s",
                median=percentile(values, 0.5),
                ratio=ratio,
                against=BARE,
                judged=ratio if judged else None,
                limit=LIMIT if judged else None,
                at_least=judged,
                note=f"each {percentile(taken[kind], 0.5):.2f} ms, p99 {percentile(taken[kind], 0.99):.2f} ms",
            )
        )
    return made


def main() -> int:
    arguments = asked_as_child()
    if arguments is not None:
        child(*arguments)
        return 0
    seconds, rounds = (1.5, 1) if fixtures.quick() else (3.0, 5)
    with servers.stand(redis=False) as stand:
        prepare(stand)

        def run(kind: str, writers: int) -> tuple[float, list[float]]:
            return measure(kind, stand.database_url, writers, seconds, stand.key_file)

        rows = [row for writers in WRITERS for row in rows_for(run, writers, rounds)]
    sys.stdout.write(to_json([Section("Commits: single path, validated, audited, signed, durable", rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
