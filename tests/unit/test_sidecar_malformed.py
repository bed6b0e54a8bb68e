"""What is no HTTP on the sidecar's socket: closed, counted, said now and then, and nobody else's trouble."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import socket
from pathlib import Path

import pytest

from tests.support.sidecar import client, running, told, until
from tests.support.world import World
from trimtab_sidecar.http import malformed

TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2
SECRET = b"s3cr3t-in-a-request"


async def send(place: Path, content: bytes, *, end: bool = False) -> bytes:
    """All that is answered until the other side closes."""
    reader, writer = await asyncio.open_unix_connection(str(place))
    try:
        writer.write(content)
        if end:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:  # closed with something of ours unread
        return b""
    finally:
        writer.close()


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - of the system


async def test_what_is_no_http_is_closed_counted_and_told_without_a_word_of_it(
    made: World, short_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(5)
    nonsense = [TLS, b"\0" * 10_000, b"\r\n\r\n" + SECRET + b"\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\nno colon\n\n"]
    nonsense += [b"\xff" + rng.randbytes(rng.randrange(1, 3_000)) for _ in range(30)]
    async with running(made, short_directory) as sidecar:
        await send(short_directory / "http.sock", TLS)
        before = descriptors()
        for content in nonsense:
            answer = await send(short_directory / "http.sock", content, end=True)
            assert answer == b"" or answer.startswith((b"HTTP/1.0 400 Bad Request", b"HTTP/1.1 400 Bad Request"))
        await until(lambda: sidecar.server.connections == 0)
        assert descriptors() <= before + 2
        async with client(sidecar) as ask, ask.get("/metrics") as answered:
            assert 'trimtab_http_requests_total{kind="malformed",status="400"} 3' in await answered.text()
    assert [one["count"] for one in told(caplog, "malformed_requests")] == [1]
    assert (SECRET.decode() in caplog.text, told(caplog, "connection_failed")) == (False, [])


async def test_the_log_is_told_again_after_a_pause(
    made: World, short_directory: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(made, short_directory):
        for _ in range(3):
            await send(short_directory / "http.sock", TLS)
        monkeypatch.setattr(malformed, "PAUSE_SECONDS", 0.0)
        await send(short_directory / "http.sock", TLS)
    assert [one["count"] for one in told(caplog, "malformed_requests")] == [1, 3]


async def test_who_closes_without_a_word_or_in_the_middle_of_one_leaves_nothing(
    made: World, short_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(made, short_directory) as sidecar:
        before = descriptors()
        for content in (
            b"",
            b"GET /v1/vi",
            b"GET /v1/view HTTP/1.1\r\nHost: x\r\n",
            b"GET /v1/view HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            for _ in range(20):
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                    one.connect(str(short_directory / "http.sock"))
                    one.sendall(content)
        await until(lambda: sidecar.server.connections == 0)
        assert descriptors() <= before + 2
        async with client(sidecar) as ask, ask.get("/healthz") as answer:
            assert answer.status == 200
    assert told(caplog, "connection_failed") == []
