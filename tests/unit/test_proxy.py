from __future__ import annotations

import contextlib
import queue
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.proxy import Proxy

PATIENCE = 10.0
SHORT = 0.2  # long enough to see that nothing comes


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, EchoServer)
        try:
            while piece := self.request.recv(65536):
                self.request.sendall(piece)
        except OSError as error:
            self.server.ends.put(type(error))
        else:
            self.server.ends.put(None)


class EchoServer(socketserver.ThreadingTCPServer):
    """`ends` tells how each connection ended: None in order, else the error."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.ends: queue.Queue[type[OSError] | None] = queue.Queue()


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    with EchoServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def upstream(echo: EchoServer) -> tuple[str, int]:
    return ("127.0.0.1", echo.socket.getsockname()[1])


@pytest.fixture(params=["tcp", "unix"])
def proxy(request: pytest.FixtureRequest, upstream: tuple[str, int], short_directory: Path) -> Iterator[Proxy]:
    listen = short_directory / "s" if request.param == "unix" else None
    with Proxy(upstream, listen=listen) as made:
        yield made


def connect(proxy: Proxy) -> socket.socket:
    if isinstance(proxy.address, Path):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        try:
            client.connect(str(proxy.address))
        except OSError:
            client.close()
            raise
        return client
    return socket.create_connection(proxy.address, PATIENCE)


def receive(client: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count and (piece := client.recv(count - len(got))):
        got += piece
    return got


def receive_all(client: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            got += piece
    return got


def test_a_proxy_without_rules_passes_everything_and_counts_it(proxy: Proxy) -> None:
    sent = bytes(range(256)) * 1000
    with connect(proxy) as client:
        writer = threading.Thread(target=client.sendall, args=(sent,))
        writer.start()
        assert receive(client, len(sent)) == sent
        writer.join()
    assert (proxy.counters.connections, proxy.counters.bytes_up, proxy.counters.bytes_down) == (
        1,
        len(sent),
        len(sent),
    )


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_blackhole_holds_bytes_back_until_it_ends(proxy: Proxy, direction: str) -> None:
    with connect(proxy) as client:
        client.sendall(b"one")
        assert receive(client, 3) == b"one"
        proxy.blackhole("up" if direction == "up" else "down")
        client.sendall(b"two")
        client.settimeout(SHORT)
        with pytest.raises(TimeoutError):
            client.recv(3)
        client.settimeout(PATIENCE)
        proxy.resume()
        assert receive(client, 3) == b"two"


def test_a_blackhole_upwards_keeps_the_server_from_hearing(proxy: Proxy) -> None:
    proxy.blackhole("up")
    with connect(proxy) as client:
        client.sendall(b"hello")
        client.settimeout(SHORT)
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert proxy.counters.bytes_up == 0


@pytest.mark.parametrize("count", [0, 1, 5, 9])
def test_a_reset_comes_after_exactly_so_many_bytes(proxy: Proxy, count: int) -> None:
    with connect(proxy) as client:
        client.sendall(b"ready")
        assert receive(client, 5) == b"ready"
        proxy.reset_after(count, "down")
        client.sendall(b"0123456789")
        got = receive_all(client)
    assert b"0123456789"[:count].startswith(got)  # a reset may overtake bytes that nobody has read yet
    assert (proxy.counters.resets, proxy.counters.bytes_down) == (1, 5 + count)
    with connect(proxy) as client:  # it happens once
        client.sendall(b"0123456789")
        assert receive(client, 10) == b"0123456789"


def test_the_reply_that_matches_is_lost_after_the_server_has_worked(proxy: Proxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"begin ")
        assert receive(client, 6) == b"begin "
        proxy.drop_replies_matching(b"COMMIT")
        client.sendall(b"COMMIT")
        assert receive_all(client) == b""
    assert (proxy.counters.dropped_replies, proxy.counters.bytes_up) == (1, len(b"begin COMMIT"))


def test_a_reply_may_be_lost_in_silence(proxy: Proxy) -> None:
    proxy.drop_replies_matching(b"lost", then="silence")
    with connect(proxy) as client:
        client.sendall(b"lost")
        client.settimeout(SHORT)
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert proxy.counters.dropped_replies == 1


def test_a_refusing_proxy_accepts_again_after_resume_at_the_same_address(proxy: Proxy) -> None:
    address = proxy.address
    proxy.refuse()
    with pytest.raises(OSError, match=r"refused|No such file"):
        connect(proxy)
    proxy.resume()
    assert proxy.address == address
    with connect(proxy) as client:
        client.sendall(b"again")
        assert receive(client, 5) == b"again"


def test_reset_all_ends_every_open_connection(proxy: Proxy) -> None:
    with connect(proxy) as first, connect(proxy) as second:
        for client in (first, second):
            client.sendall(b"x")
            assert receive(client, 1) == b"x"
        proxy.reset_all()
        assert [receive_all(first), receive_all(second)] == [b"", b""]
    assert (proxy.counters.resets, proxy.active) == (2, 0)


@pytest.mark.parametrize("how", ["after some bytes", "all at once"])
def test_on_tcp_a_reset_is_a_real_one_for_both_ends(echo: EchoServer, upstream: tuple[str, int], how: str) -> None:
    with Proxy(upstream) as proxy, connect(proxy) as client:
        client.sendall(b"x")
        assert receive(client, 1) == b"x"
        if how == "all at once":
            proxy.reset_all()
        else:
            proxy.reset_after(0, "up")
            client.sendall(b"y")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert echo.ends.get(timeout=PATIENCE) is ConnectionResetError


def test_a_delay_passes_everything_on_in_order(proxy: Proxy) -> None:
    proxy.delay(20, "down")
    with connect(proxy) as client:
        client.sendall(b"abc" * 1000)
        assert receive(client, 3000) == b"abc" * 1000


def test_a_server_that_is_not_there_is_counted(short_directory: Path) -> None:
    with Proxy(short_directory / "nobody") as proxy:
        with contextlib.suppress(ConnectionResetError), connect(proxy) as client:  # the reset may end connect already
            assert receive_all(client) == b""
        assert proxy.counters.refused == 1


def test_a_request_that_matches_is_held_back_and_comes_late(proxy: Proxy) -> None:
    proxy.hold_requests_matching(b"APPEND")
    with connect(proxy) as client:
        client.sendall(b"one")
        assert receive(client, 3) == b"one"
        client.sendall(b"APPEND")
        client.settimeout(SHORT)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert (proxy.counters.held_requests, proxy.counters.bytes_up) == (1, 3)
        client.settimeout(PATIENCE)
        proxy.resume()
        assert receive(client, 6) == b"APPEND"
