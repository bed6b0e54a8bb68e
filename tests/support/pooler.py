"""A transaction-mode pooler for PostgreSQL: many clients share a few server connections, a transaction at a time.

A client gets whichever server connection has been free for longest at the first message of a transaction, and loses it
where the server says that it is idle and has answered everything. `DISCARD ALL` is sent at once, so whatever a session
would have kept is gone: who relies on it fails, or reads something else. The pooler answers the login of a client
itself, whoever it says it is; server connections are those of the address that it was given.

Not here: cancelling (the request is passed over), a limit on waiting, and coming back after the server was away.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Final, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.support.proxy import Streams

PATIENCE: Final = 10.0
IDLE: Final = b"I"
NAME: Final = "tests-pooler"

_CANCEL, _SSL, _GSS = 80877102, 80877103, 80877104
_ESTABLISHED: Final = 1
_LENGTH: Final = struct.Struct("!I")
_TOLD: Final = ("server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes")


def message(kind: bytes, content: bytes = b"") -> bytes:
    """A message of the protocol: its letter, its length, its content."""
    return kind + _LENGTH.pack(4 + len(content)) + content


async def read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The letter of the next message, and all of its bytes."""
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(_LENGTH.unpack(head[1:])[0] - 4)


@dataclasses.dataclass(slots=True, eq=False)
class Server:
    """A server connection. libpq logs in; from then on its socket is used without it."""

    login: psycopg.AsyncConnection[Any]
    streams: Streams

    @classmethod
    async def connect(cls, conninfo: str) -> Self:
        """Log in; `conninfo` must lead to a connection without encryption."""
        login = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
        twin = socket.socket(fileno=os.dup(login.fileno()))
        twin.setblocking(False)  # noqa: FBT003 - the name of the method says it
        return cls(login, Streams(*await asyncio.open_connection(sock=twin)))

    async def forget(self) -> None:
        """Drop everything that the session holds."""
        self.streams.writer.write(message(b"Q", b"DISCARD ALL\0"))
        kind = b""
        while kind != b"Z":
            kind, content = await read_message(self.streams.reader)
            if kind == b"E":
                raise ConnectionError(content.decode(errors="replace"))

    async def close(self) -> None:
        """End the session, whatever it is doing."""
        await self.login.close()
        await self.streams.close(abort=True)


class Client:
    """One client's connection, with the server connection that it has at the moment."""

    def __init__(self, pooler: Pooler, streams: Streams) -> None:
        self._pooler = pooler
        self._streams = streams
        self._server: Server | None = None
        self._pump: asyncio.Task[None] | None = None
        self._unanswered = 0  # messages that the server answers with a ReadyForQuery, which it has not sent yet
        self._unfinished = False  # the client has sent something that its Sync is still to follow

    async def run(self) -> None:
        """Serve until the client leaves or a connection is lost."""
        try:
            with contextlib.suppress(OSError, EOFError):  # it left without a word
                if await self._greeted():
                    await self._serve()
        finally:
            await self._end()

    async def _end(self) -> None:
        if self._pump is not None:
            if self._server is not None:
                self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        if self._server is not None:
            await self._pooler.replace(self._server)
        await self._streams.close(abort=False)

    async def _greeted(self) -> bool:
        """Answer the start of a connection; False if it is only there to cancel a statement of another one."""
        reader, writer = self._streams.reader, self._streams.writer
        while True:
            length, code = struct.unpack("!II", await reader.readexactly(8))
            await reader.readexactly(length - 8)
            if code not in {_SSL, _GSS}:
                break
            writer.write(b"N")
        if code == _CANCEL:
            return False
        told = b"".join(message(b"S", f"{name}\0{value}\0".encode()) for name, value in self._pooler.told.items())
        key = message(b"K", struct.pack("!II", os.getpid(), 0))
        writer.write(message(b"R", bytes(4)) + told + key + message(b"Z", IDLE))
        return True

    async def _serve(self) -> None:
        while True:
            kind, content = await read_message(self._streams.reader)
            if kind == b"X":
                return
            server = self._server or await self._get_server()
            if kind in b"QSF":
                self._unanswered += 1
                self._unfinished = self._unfinished and kind != b"S"
            elif kind not in b"dcf":  # what is copied belongs to a query that is counted already
                self._unfinished = True
            server.streams.writer.write(content)
            await server.streams.writer.drain()

    async def _get_server(self) -> Server:
        if self._pump is not None:
            await self._pump
        server = await self._pooler.free.get()
        if self._has_left():
            self._pooler.free.put_nowait(server)
            raise EOFError
        self._server = server
        self._pump = asyncio.create_task(self._pass_answers(server))
        return server

    def _has_left(self) -> bool:
        """Whether the client gave up meanwhile: its statement gets no turn, or a crowd that asks too much starves."""
        connection = self._streams.writer.get_extra_info("socket")
        return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED)

    async def _pass_answers(self, server: Server) -> None:
        """Pass on what the server says, to the end of the transaction; then give the server connection back."""
        try:
            while self._server is server:
                kind, content = await read_message(server.streams.reader)
                self._streams.writer.write(content)
                self._unanswered -= kind == b"Z"
                if kind == b"Z" and content[5:] == IDLE and not self._unanswered and not self._unfinished:
                    self._server = None
                else:
                    await self._streams.writer.drain()
            if self._pooler.forgets:
                await server.forget()
        except (OSError, EOFError):
            self._streams.writer.close()  # so the client learns it, and `run` ends
            if self._server is None:
                await self._pooler.replace(server)
        else:
            self._pooler.free.put_nowait(server)


class Pooler:
    """Listens on a free port of 127.0.0.1 in a thread of its own; `url` is the address for clients.

    Leaving the block ends every connection, and raises what went wrong inside, if anything did.
    """

    def __init__(self, server_url: str, size: int, *, forgets: bool = True) -> None:
        """`forgets`: nothing of a session outlives a transaction; poolers in use leave that to their clients."""
        self.forgets = forgets
        self._conninfo = make_conninfo(server_url, sslmode="disable", gssencmode="disable", application_name=NAME)
        self._size = size
        self._port = 0
        self.clients = 0
        self.replaced = 0  # server connections that were lost, or left by a client in the middle of something
        self.told: dict[str, str] = {}
        self.free: asyncio.Queue[Server] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pooler", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._servers: set[Server] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
        if self._failures:
            raise self._failures[0]

    @property
    def url(self) -> str:
        """The address for clients; whatever user they name gets in."""
        name = conninfo_to_dict(self._conninfo)["dbname"]
        return f"postgresql://anybody@127.0.0.1:{self._port}/{name}?sslmode=disable&gssencmode=disable"

    async def replace(self, server: Server) -> None:
        """End a server connection that is in an unknown state, and have another one instead of it."""
        self.replaced += 1
        self._servers.discard(server)
        await server.close()
        self._spawn(self._add())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failures.append(failure)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _open(self) -> None:
        for _ in range(self._size):
            await self._add()
        self.told = {name: one.login.info.parameter_status(name) or "" for one in self._servers for name in _TOLD}
        listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = listener.sockets[0].getsockname()[1]
        self._stop_listening = listener.close

    async def _add(self) -> None:
        """Put one more server connection in the pool."""
        server = await Server.connect(self._conninfo)
        self._servers.add(server)
        self.free.put_nowait(server)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients += 1
        self._spawn(Client(self, Streams(reader, writer)).run())

    async def _shut(self) -> None:
        self._stop_listening()
        while self._tasks:  # those that end may leave another behind
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        for server in self._servers:
            await server.close()
