"""Publishing in a cluster: every script stays in the slot of its keys."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from tests.conftest import FLAVOURS
from tests.support.line import Line
from tests.support.published import check_equals, heard
from trimtab.feeds.scripts import REPORT
from trimtab.model.published import Names
from trimtab_store.channel import Channel
from trimtab_store.embedded.process import Child
from trimtab_store.embedded.redis_programs import Flavour, find_program
from trimtab_store.publish import Outcome, Publisher


@pytest.fixture(params=FLAVOURS)
def cluster(request: pytest.FixtureRequest, short_directory: Path) -> Iterator[redis.Redis]:
    """A cluster of one node that holds all slots: it refuses what would not work in a larger one."""
    program, port = find_program(cast("Flavour", request.param)), low_port()
    options = {"port": port, "bind": "127.0.0.1", "cluster-enabled": "yes", "dir": short_directory, "save": ""}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    child = Child([*program.command, *arguments], log=short_directory / "log", directory=short_directory)
    with contextlib.ExitStack() as stack:
        stack.callback(child.stop, signal.SIGTERM)
        client = stack.enter_context(redis.Redis(port=port))
        child.wait_ready(lambda: answers(client), seconds=10, what="a cluster node")
        ask(client, "CLUSTER ADDSLOTS", *range(16_384))
        ends = time.monotonic() + 30
        while ask(client, "CLUSTER INFO")["cluster_state"] != "ok":
            assert time.monotonic() < ends
            time.sleep(0.05)
        yield client


def low_port() -> int:
    """A free port whose neighbour 10,000 above, where the nodes of a cluster talk, is one too."""
    for port in range(21_000 + os.getpid() % 9_000, 45_000):
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", port))
            two.bind(("127.0.0.1", port + 10_000))
            return port
    pytest.fail("no free port")


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def ask(client: redis.Redis, command: str, *arguments: str | int) -> Any:
    return cast("Any", client).execute_command(command, *arguments)


def test_every_script_works_in_a_cluster(cluster: redis.Redis) -> None:
    line = Line()
    line.commits(3)
    line.snapshot()
    publisher = Publisher(line, channel := Channel(cluster, stream_bytes=2_000))
    with heard(cluster) as announcements:
        for step in range(4):
            if step == 2:
                line.declare()
            messages = line.commits(4)
            if step != 1:
                line.snapshot()
            publisher.publish(["production"], 30, [messages[-1].encode()])
            (published,) = publisher.publish(["production"], 30)
            assert published.outcome is Outcome.PUBLISHED
            check_equals(cluster, line)
        assert len(announcements()) == 1 + 4 + 5 + 4  # the start by name, then each change
    names = Names("production")
    cluster.eval(REPORT, 1, names.fleet, "a", "{}")
    assert channel.prune("production", channel.fleet("production")) == 1


def test_all_names_of_an_environment_are_in_one_slot(cluster: redis.Redis) -> None:
    names = Names("production")
    every = (names.head, names.stream, names.snapshot, names.size, names.fleet, names.staged("x"))
    assert len({int(ask(cluster, "CLUSTER KEYSLOT", name)) for name in every}) == 1
