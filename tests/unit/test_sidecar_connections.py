"""Connections to the sidecar's HTTP: who asks nothing, asks for ever, or takes no answer costs little, and not long.

The bounds of these tests are short; the times that they wait are only there to end a test that fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.sidecar import IDENTITY, client, running, until
from tests.support.world import World
from trimtab_sidecar.http.connection import Bounds
from trimtab_sidecar.http.guard import Guard
from trimtab_sidecar.http.server import Server
from trimtab_sidecar.node import Node

GET = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"
LONG = 3_600.0
"""A bound that a test is not about."""
BODY = b"x" * 40_000
"""More than the small buffers of a socket here, and less than a transport waits for."""


@dataclass
class Counted:
    """What a server said of its connections and answers."""

    opened: int = 0
    closed: int = 0
    cut: Counter[str] = field(default_factory=Counter[str])
    answers: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def connection_opened(self) -> None:
        self.opened += 1

    def connection_closed(self) -> None:
        self.closed += 1

    def connection_cut(self, why: str) -> None:
        self.cut[why] += 1


@dataclass
class Served:
    """A running server with three resources: a small answer, one that waits for `let`, and one that is hard to take."""

    path: Path
    server: Server
    counted: Counted
    let: asyncio.Event

    async def connect(self, content: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        writer.write(content)
        return reader, writer

    async def crowd(self, stack: contextlib.AsyncExitStack, count: int, content: bytes = b"") -> None:
        """So many more connections, each of which sends this; they stay until the end of the stack."""
        wanted = self.counted.opened + count
        for _ in range(count):
            _, writer = await self.connect(content)
            stack.callback(writer.close)
        await until(lambda: self.counted.opened == wanted)

    async def in_use(self, stack: contextlib.AsyncExitStack, count: int) -> None:
        """So many more connections whose requests are being answered."""
        wanted = self.counted.answers.count(("waiting", 0)) + count
        await self.crowd(stack, count, GET.replace(b"small", b"waiting"))
        await until(lambda: self.counted.answers.count(("waiting", 0)) == wanted)


@contextlib.asynccontextmanager
async def served(directory: Path, **bounds: Any) -> AsyncGenerator[Served]:
    """A server with these bounds, all others being out of reach; every connection is gone when it has ended."""
    others: dict[str, Any] = {f"{name}_seconds": LONG for name in ("request", "idle", "write", "give_way")}
    counted, let = Counted(), asyncio.Event()

    async def small(_request: web.Request) -> web.Response:
        return web.Response(body=b"{}")

    async def waiting(_request: web.Request) -> web.Response:
        counted.answers.append(("waiting", 0))
        await let.wait()
        return web.Response(body=b"{}")

    async def large(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        return web.Response(body=BODY)

    guard = Guard(Node("production", IDENTITY), lambda kind, status: counted.answers.append((kind, status)))
    routes = [("/small", small), ("/waiting", waiting), ("/large", large)]
    server = Server(guard, routes, counted, Bounds(**{**others, **bounds}))
    await server.start([f"unix:{directory / 'http.sock'}"])
    try:
        yield Served(directory / "http.sock", server, counted, let)
    finally:
        let.set()
        await server.close()
    await until(lambda: server.connections == 0)
    assert counted.opened == counted.closed


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side closes."""
    async with asyncio.timeout(10):
        return await reader.read()


def problem(answer: bytes, status: int) -> dict[str, Any]:
    """The problem that an answer holds."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {status} ")
    assert {"Connection: close", f"Content-Length: {len(body)}", "Trimtab-Environment: production"} <= set(lines)
    assert "Content-Type: application/problem+json" in lines
    told: dict[str, Any] = json.loads(body)
    assert told["status"] == status
    return told


async def test_who_says_nothing_is_closed_without_a_word(short_directory: Path) -> None:
    async with served(short_directory, request_seconds=0.1) as made:
        reader, writer = await made.connect()
        assert await rest(reader) == b""
        writer.close()
        await until(lambda: made.server.connections == 0)
        assert (made.counted.cut, made.counted.answers) == ({"late": 1}, [])


@pytest.mark.parametrize("part", [b"G", GET[:20], GET[:-2]])
async def test_part_of_a_request_is_told_that_it_took_too_long(short_directory: Path, part: bytes) -> None:
    async with served(short_directory, request_seconds=0.1) as made:
        reader, writer = await made.connect(part)
        told = problem(await rest(reader), 408)
        assert (told["detail"], told["remedy"]) == ("it took too long to arrive", "Send a whole request at once")
        writer.close()
        assert (made.counted.cut, made.counted.answers) == ({"late": 1}, [("connection", 408)])


async def trickle(path: Path, before: bytes) -> bytes:
    """Ask, if that, then send a header byte by byte until it is closed; all that was answered."""
    loop = asyncio.get_running_loop()
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.setblocking(False)  # noqa: FBT003 - its only argument
        await loop.sock_connect(one, str(path))
        await loop.sock_sendall(one, before)
        while before and not answer.endswith(b"{}"):
            answer += await loop.sock_recv(one, 4_096)
        with contextlib.suppress(BrokenPipeError):
            await loop.sock_sendall(one, b"GET /small HTTP/1.1\r\nA: ")
            while True:
                await loop.sock_sendall(one, b"x")
                await asyncio.sleep(0.02)
        answer = b""
        with contextlib.suppress(ConnectionResetError):  # a byte of ours was not read
            while part := await loop.sock_recv(one, 4_096):
                answer += part
    return answer


@pytest.mark.parametrize("before", [b"", GET], ids=["at first", "after an answer"])
async def test_a_byte_now_and_then_buys_no_time(short_directory: Path, before: bytes) -> None:
    async with served(short_directory, request_seconds=0.2) as made:
        async with asyncio.timeout(10):
            problem(await trickle(made.path, before), 408)
        assert made.counted.cut == {"late": 1}


async def test_a_body_that_never_comes_is_not_waited_for_longer_than_a_request(short_directory: Path) -> None:
    async with served(short_directory, request_seconds=0.1) as made:
        reader, writer = await made.connect(GET[:-2] + b"Content-Length: 1000\r\n\r\nx")
        assert (await rest(reader)).startswith(b"HTTP/1.1 413 ")
        writer.close()
        await until(lambda: made.server.connections == 0)


async def test_a_connection_may_be_used_again_for_a_while(short_directory: Path) -> None:
    async with served(short_directory, idle_seconds=0.3) as made:
        reader, writer = await made.connect()
        for _ in range(3):
            writer.write(GET)
            await reader.readuntil(b"{}")
        assert await rest(reader) == b""
        writer.close()
        assert (made.counted.opened, made.counted.cut) == (1, {"idle": 1})


@pytest.mark.parametrize(
    "asked",
    [GET.replace(b"small", b"large"), b"GET /large HTTP/1.0\r\nHost: localhost\r\n\r\n"],
    ids=["kept open", "closed with the answer"],
)
async def test_what_is_left_of_an_answer_lies_here_for_a_while_only(short_directory: Path, asked: bytes) -> None:
    async with served(short_directory, write_seconds=0.2) as made:
        _, taken = await made.connect(asked)
        taken.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: made.counted.answers == [("/large", 200)])
        await until(lambda: made.server.connections == 0)
        assert made.counted.cut == {"unread": 1}
        taken.close()


async def test_who_takes_his_answer_slowly_gets_all_of_it(short_directory: Path) -> None:
    async with served(short_directory, write_seconds=0.1, idle_seconds=1.0) as made:
        reader, writer = await made.connect(GET.replace(b"small", b"large"))
        answer = await rest(reader)
        assert (answer.partition(b"\r\n\r\n")[2], made.counted.cut) == (BODY, {"idle": 1})
        writer.close()


async def test_one_more_than_there_may_be_is_told_so_and_gets_in_when_another_ends(short_directory: Path) -> None:
    async with served(short_directory, connections=2) as made, contextlib.AsyncExitStack() as stack:
        await made.in_use(stack, 2)
        for content in (b"", GET):
            reader, writer = await made.connect(content)
            told = problem(await rest(reader), 503)
            said = ("This connection is refused", "2 are open, and none can give way", "Try again soon")
            assert (told["title"], told["detail"], told["remedy"]) == said
            writer.close()
        assert (made.server.connections, made.counted.cut) == (2, {"refused": 2})
        made.let.set()
        await until(lambda: made.counted.answers.count(("/waiting", 200)) == 2)
        reader, writer = await made.connect(GET)
        assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


async def test_who_has_his_answer_gives_way_and_who_is_being_answered_does_not(short_directory: Path) -> None:
    async with served(short_directory, connections=3) as made, contextlib.AsyncExitStack() as stack:
        await made.in_use(stack, 1)
        idle: list[asyncio.StreamReader] = []
        for _ in range(2):
            reader, writer = await made.connect(GET)
            stack.callback(writer.close)
            await reader.readuntil(b"{}")
            idle.append(reader)
        await made.crowd(stack, 1, b"G")
        assert await rest(idle[0]) == b""
        await made.crowd(stack, 1, b"G")
        assert await rest(idle[1]) == b""
        assert (made.server.connections, made.counted.cut) == (3, {"displaced": 2})
        assert made.counted.answers.count(("connection", 408)) == 0


async def test_who_is_still_taking_his_answer_does_not_give_way(short_directory: Path) -> None:
    async with served(short_directory, connections=1, give_way_seconds=0.0) as made:
        reader, taken = await made.connect(GET.replace(b"small", b"large"))
        taken.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: made.counted.answers == [("/large", 200)])
        late, other = await made.connect(GET)
        problem(await rest(late), 503)
        other.close()
        taken.transport.resume_reading()  # type: ignore[attr-defined]
        assert (await reader.readexactly(len(BODY)))[:15] == b"HTTP/1.1 200 OK"
        taken.close()


async def test_a_probe_is_answered_while_a_crowd_that_never_asks_comes_again_and_again(short_directory: Path) -> None:
    async with (
        served(short_directory, connections=8, give_way_seconds=0.05) as made,
        contextlib.AsyncExitStack() as all_,
    ):
        await made.crowd(all_, 8, GET[:10])
        asked = refused = 0
        ends = time.monotonic() + 30
        while asked < 10:
            assert time.monotonic() < ends
            reader, writer = await made.connect(GET)
            answer = await reader.readuntil(b"}")
            asked += answer.startswith(b"HTTP/1.1 200 ")
            refused += answer.startswith(b"HTTP/1.1 503 ")
            writer.close()
            all_.callback((await made.connect(GET[:10]))[1].close)
            await asyncio.sleep(0.01)
        assert made.server.connections <= 8
        assert (made.counted.cut["late"], made.counted.cut["displaced"] > 0) == (0, True), refused


async def test_a_displaced_request_is_told_why(short_directory: Path) -> None:
    async with served(short_directory, connections=1, give_way_seconds=0.0) as made:
        first, one = await made.connect(b"G")
        await until(lambda: made.counted.opened == 1)
        await asyncio.sleep(0.01)  # until its byte is there
        second, other = await made.connect(GET)
        assert problem(await rest(first), 408)["detail"] == "others wait for its connection"
        assert (await second.readuntil(b"{}")).startswith(b"HTTP/1.1 200 OK\r\n")
        one.close()
        other.close()


async def test_a_server_that_closes_waits_for_nobody(short_directory: Path) -> None:
    async with served(short_directory, connections=3) as made, contextlib.AsyncExitStack() as stack:
        await made.crowd(stack, 1)
        await made.crowd(stack, 1, b"G")
        _, taken = await made.connect(GET.replace(b"small", b"large"))
        taken.transport.pause_reading()  # type: ignore[attr-defined]
        stack.callback(taken.close)
        await until(lambda: ("/large", 200) in made.counted.answers)
        async with asyncio.timeout(10):
            await made.server.close()
        assert made.server.connections == 0


async def test_a_scrape_tells_how_many_there_are_and_how_many_were_cut(made: World, short_directory: Path) -> None:
    async with running(made, short_directory) as sidecar, client(sidecar) as ask:
        sidecar.metrics.connection_cut("refused")
        async with ask.get("/metrics") as answer:
            text = await answer.text()
        assert "\ntrimtab_http_connections 1.0\n" in text
        assert '\ntrimtab_http_connections_cut_total{why="refused"} 1.0\n' in text
    assert sidecar.metrics.registry.get_sample_value("trimtab_http_connections") == 0
