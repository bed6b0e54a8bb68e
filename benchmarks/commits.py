"""Commits a second, ours beside a bare transaction that updates one head row and inserts three rows.

Both run on the same real PostgreSQL with durability on, in processes of their own, in turn.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from benchmarks import fixtures
from benchmarks.report import Row, Section, percentile, to_json
from trimtab.model.statements import SigningKey
from trimtab_store import migrate
from trimtab_store.embedded.places import write_private
from trimtab_store.embedded.postgres import PostgresServer
from trimtab_store.store import Store

LIMIT = 0.5
"""Ours must reach at least this share of the bare rate."""


def bare(url: str, writer: int) -> Callable[[int], None]:
    connection = psycopg.connect(url)

    def commit(_number: int) -> None:
        connection.execute("UPDATE bare_head SET revision = revision + 1 RETURNING revision")
        for table in ("bare_version", "bare_item", "bare_audit"):
            connection.execute(f"INSERT INTO {table} VALUES (%s, %s)", (writer, "x" * 200))  # noqa: S608 - three constants
        connection.commit()

    return commit


def ours(url: str, writer: int, key: Path) -> Callable[[int], None]:
    store = Store.connect(url, signing_key=key, pool_size=1)

    def commit(number: int) -> None:
        with store.edit("production", author="bench", reason="measured") as edit:
            edit.set(f"bench.writer_{writer}.value", number)

    return commit


def child(arguments: list[str]) -> int:
    """Connect, say so, and commit in the span that the parent names."""
    kind, url, writer, key = arguments
    commit = bare(url, int(writer)) if kind == "bare" else ours(url, int(writer), Path(key))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    begin, stop = map(float, sys.stdin.readline().split())
    time.sleep(max(0.0, begin - time.monotonic()))
    taken: list[float] = []
    salt = int(begin * 1000) % 10**9 * 1000
    while (begins := time.monotonic()) < stop:
        commit(salt + len(taken))
        taken.append((time.monotonic() - begins) * 1000)
    sys.stdout.write(json.dumps(taken))
    return 0


def measure(kind: str, url: str, writers: int, seconds: float, key: Path) -> tuple[float, list[float]]:
    """Commits a second, and what each took in milliseconds."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.commits", "--child", kind, url, str(writer), str(key)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for writer in range(writers)
    ]
    for process in children:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", f"a {kind} writer did not start"
    begin = time.monotonic() + 0.2
    taken: list[float] = []
    for process in children:
        assert process.stdin is not None
        process.stdin.write(f"{begin} {begin + seconds}\n")
        process.stdin.flush()
    for process in children:
        output, _ = process.communicate(timeout=seconds + 120)
        if process.returncode != 0:
            raise RuntimeError(f"a {kind} writer ended with code {process.returncode}")
        taken += json.loads(output)
    return len(taken) / seconds, taken


def prepare(server: PostgresServer, key: SigningKey) -> None:
    migrate.upgrade(server.url())
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE bare_head (revision bigint); INSERT INTO bare_head VALUES (0)")
        for table in ("bare_version", "bare_item", "bare_audit"):
            connection.execute(f"CREATE TABLE {table} (writer int, content text)")
    with Store.connect(server.url(), signing_key=key) as store:
        store.create_environment("base", author="bench", reason="measured")
        store.create_environment("production", parent="base", author="bench", reason="measured")


def rows_for(run: Callable[[str, int], tuple[float, list[float]]], writers: int, rounds: int) -> list[Row]:
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    taken: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(rounds):
        for kind in rates:
            rate, found = run(kind, writers)
            rates[kind].append(rate)
            taken[kind] += found
    ratio = percentile(rates["ours"], 0.5) / percentile(rates["bare"], 0.5)
    note = {kind: f"median {percentile(values, 0.5):.2f} ms, p99 {percentile(values, 0.99):.2f} ms each" for kind, values in taken.items()}
    return [
        Row(f"bare transaction, {writers} writers", "/s", percentile(rates["bare"], 0.5), note=note["bare"]),
        Row(f"ours, {writers} writers", "/s", percentile(rates["ours"], 0.5), ratio=ratio, against="bare",
            judged=1 / ratio, limit=1 / LIMIT, note=note["ours"] + "; judged as bare ÷ ours"),
    ]  # fmt: skip


def main() -> int:
    if "--child" in sys.argv:
        return child(sys.argv[sys.argv.index("--child") + 1 :])
    seconds, rounds = (1.5, 1) if fixtures.quick() else (4.0, 3)
    with tempfile.TemporaryDirectory(prefix="tt-", dir="/tmp") as place, PostgresServer(Path(place) / "p") as server:  # noqa: S108
        signing = SigningKey.generate()
        key = Path(place) / "key.json"
        write_private(key, signing.to_bytes())
        prepare(server, signing)

        def run(kind: str, writers: int) -> tuple[float, list[float]]:
            return measure(kind, server.url(), writers, seconds, key)

        rows = [row for writers in (1, 16) for row in rows_for(run, writers, rounds)]
    sys.stdout.write(to_json([Section("Commits: single path, validated, audited, signed, durable", rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
