"""Relay processes that are killed and frozen: the others carry on, and nothing that comes late does harm."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from importlib.resources import files
from pathlib import Path

from tests.acceptance.test_writers import writer
from tests.support import ground_truth
from tests.support.fleet import Stand
from tests.support.load import load
from tests.support.proxied import redis_url
from tests.support.proxy import Proxy
from tests.support.published import head_text, texts_in_stream
from tests.support.waiting import settles
from trimtab_store.embedded.process import stat_fields, wait_until
from trimtab_store.embedded.redis import RedisServer

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
SOME = 25
APPEND = hashlib.sha1((files("trimtab_store") / "lua" / "append.lua").read_bytes()).hexdigest().encode()  # noqa: S324
"""How a publisher names the script that appends one change."""


@contextlib.contextmanager
def relay(stand: Stand, name: str, redis: str | None = None) -> Generator[subprocess.Popen[bytes]]:
    """`trimtab relay` as it is run in production. One that is still there at the end must end in order."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    given = {"TRIMTAB_DATABASE_URL": stand.writer_url, "TRIMTAB_REDIS_URL": redis or stand.redis_url or ""}
    log = stand.directory / f"relay-{name}.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "trimtab_store", "relay"], cwd=ROOT, env=kept | given, stderr=errors
        ) as process,
    ):
        try:
            yield process
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE) == 0, log.read_text()
        finally:
            process.kill()


def freeze(process: subprocess.Popen[bytes]) -> None:
    """Stop a process where it is, and see that it stands."""
    process.send_signal(signal.SIGSTOP)
    assert wait_until(lambda: stat_fields(process.pid)[:1] == ["T"], PATIENCE)


def published(stand: Stand) -> int:
    """The revision that Redis has of the line that every writer extends."""
    assert stand.watch is not None
    with contextlib.closing(stand.watch()) as client:
        return int(head_text(client, "production").split()[1])


def everything(stand: Stand) -> list[tuple[str, list[bytes]]]:
    """What Redis says of each line: its head and its stream."""
    assert stand.watch is not None
    with contextlib.closing(stand.watch()) as client:
        return [(head_text(client, name), texts_in_stream(client, name)) for name in ("base", "production", "testing")]


def carried(stand: Stand) -> None:
    """Wait until Redis has what Postgres has now."""
    wanted = ground_truth.read(stand.truth_url).lines["production"][0].revision

    def reached() -> None:
        assert published(stand) >= wanted

    settles(reached)


def test_one_relay_is_killed_another_frozen_and_a_third_takes_over(stand: Stand) -> None:
    stand.populate()
    silent = stand.store(publishing=False)  # so that what it writes reaches Redis by a relay only
    with relay(stand, "first") as first, relay(stand, "second") as second, contextlib.ExitStack() as later:
        stand.fleet()
        with load([silent]) as writes:
            writes.wait_for(SOME)
            carried(stand)
            first.kill()
            assert first.wait(PATIENCE) == -signal.SIGKILL
            writes.wait_for(SOME)
            carried(stand)  # by the second alone
            freeze(second)
            with writer(stand, "committed") as doomed:  # publishes all but its last commit
                assert doomed.wait(PATIENCE) == -signal.SIGKILL
            left = published(stand)
            writes.wait_for(SOME)
            assert published(stand) == left
            third = later.enter_context(relay(stand, "third"))
            carried(stand)
            second.send_signal(signal.SIGCONT)
            writes.wait_for(SOME)
            freeze(third)
            carried(stand)  # the second is as good as it was
            third.send_signal(signal.SIGCONT)
        stand.settle(writes)


def test_what_a_frozen_relay_had_sent_comes_after_another_went_on(stand: Stand, redis_server: RedisServer) -> None:
    stand.populate()
    silent = stand.store(publishing=False)
    with (
        Proxy(redis_server.socket) as proxy,
        relay(stand, "late", redis_url(redis_server, proxy)) as late,
        contextlib.ExitStack() as later,
    ):
        stand.fleet()
        with load([silent]) as writes:
            writes.wait_for(SOME)
            carried(stand)
            proxy.hold_requests_matching(APPEND)
            assert wait_until(lambda: proxy.counters.held_requests > 0, PATIENCE)
            freeze(late)
            left = published(stand)
            writes.wait_for(SOME)
            assert published(stand) == left
            other = later.enter_context(relay(stand, "other"))
            carried(stand)
            freeze(other)  # nobody but the late request may change anything now
            time.sleep(0.2)
            before, passed = everything(stand), proxy.counters.bytes_up
            proxy.resume()
            assert wait_until(lambda: proxy.counters.bytes_up > passed, PATIENCE)
            time.sleep(0.5)
            assert everything(stand) == before
            other.send_signal(signal.SIGCONT)
            late.send_signal(signal.SIGCONT)
            writes.wait_for(SOME)
            carried(stand)
        stand.settle(writes)
