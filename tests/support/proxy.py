"""A proxy between a client and a server that misbehaves on demand: late, silent, cut at any byte, refusing."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

Direction = Literal["up", "down", "both"]  # up: from the client to the server; down: the replies
Address = Path | tuple[str, int]
Then = Literal["reset", "silence"]
Result = TypeVar("Result")

CHUNK = 64 * 1024
PATIENCE = 10.0
FLUSH = 1.0


@dataclasses.dataclass(slots=True)
class Counters:
    """What passed since the proxy started."""

    connections: int = 0
    refused: int = 0  # connections that could not be made upstream
    resets: int = 0
    dropped_replies: int = 0
    held_requests: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


@dataclasses.dataclass(slots=True)
class Rules:
    """What is wrong at the moment; changed and read in the loop's thread only."""

    delay_up: float = 0.0  # seconds
    delay_down: float = 0.0
    held: frozenset[str] = frozenset()  # directions that nothing passes in
    reset_after: dict[str, int] = dataclasses.field(default_factory=dict[str, int])  # direction → bytes still to pass
    drop: bytes = b""
    drop_then: Then = "reset"
    hold: bytes = b""

    def delay(self, direction: str) -> float:
        """Seconds that a piece waits before it is passed on."""
        return self.delay_up if direction == "up" else self.delay_down


class Connection:
    """One client's connection with its twin to the server."""

    def __init__(self, proxy: Proxy, client: Streams, server: Streams) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.reset = False
        self.silent = False
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Pass bytes both ways until either side, or the proxy, ends it."""
        work = (
            asyncio.create_task(self.pump(self.client, self.server, "up")),
            asyncio.create_task(self.pump(self.server, self.client, "down")),
            asyncio.create_task(self.ended.wait()),
        )
        await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        for streams in (self.client, self.server):
            await streams.close(abort=self.reset)

    async def pump(self, source: Streams, target: Streams, direction: str) -> None:
        """Pass one direction on, as the rules of the moment want it."""
        tail = b""
        with contextlib.suppress(OSError):
            while piece := await source.reader.read(CHUNK):
                rules = self.proxy.rules
                if delay := rules.delay(direction):
                    await asyncio.sleep(delay)
                if direction == "up":
                    self.proxy.look_for_hold(piece)
                await self.proxy.passable(direction)
                if direction == "down":
                    self.look_for_drop(tail + piece)
                    tail = (tail + piece)[-len(rules.drop) :] if rules.drop else b""
                piece = b"" if self.silent and direction == "down" else self.cut(piece, direction)
                if piece:
                    self.proxy.count_bytes(direction, len(piece))
                    target.writer.write(piece)
                    await target.writer.drain()
                if self.reset:
                    return

    def look_for_drop(self, recent: bytes) -> None:
        """Drop this reply, and whatever follows, if it is the one that is to be lost."""
        rules = self.proxy.rules
        if rules.drop and rules.drop in recent:
            rules.drop = b""
            self.proxy.counters.dropped_replies += 1
            self.silent = True
            if rules.drop_then == "reset":
                self.end_by_reset()

    def cut(self, piece: bytes, direction: str) -> bytes:
        """What may still pass of a piece; the connection is reset when the agreed number of bytes is through."""
        left = self.proxy.rules.reset_after.get(direction)
        if self.reset:
            return b""
        if left is None or left > len(piece):
            if left is not None:
                self.proxy.rules.reset_after[direction] = left - len(piece)
            return piece
        del self.proxy.rules.reset_after[direction]
        self.end_by_reset()
        return piece[:left]

    def end_by_reset(self) -> None:
        """Have the connection end by a reset."""
        self.reset = True
        self.proxy.counters.resets += 1


@dataclasses.dataclass(slots=True)
class Streams:
    """Both ends of one socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def close(self, *, abort: bool) -> None:
        """Close; with `abort` so that the peer sees a reset (on a unix socket: an end in the middle)."""
        if abort:
            with contextlib.suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.writer.transport.abort()
        else:
            self.writer.close()
        with contextlib.suppress(OSError):
            try:
                await asyncio.wait_for(asyncio.shield(self.writer.wait_closed()), FLUSH)
            except TimeoutError:  # the peer does not read what it was sent
                self.writer.transport.abort()
                await self.writer.wait_closed()


class Proxy:
    """Listens on a unix socket (`listen`) or a free port of 127.0.0.1, in a thread of its own; see `address`.

    Every control may be called from any thread and holds when it returns. `resume` ends all misbehaviour; what was
    held back is then delivered, as TCP would.
    """

    def __init__(self, upstream: Address, *, listen: Path | None = None) -> None:
        self.upstream = upstream
        self.listen = listen
        self.port = 0
        self.rules = Rules()
        self.counters = Counters()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._free = asyncio.Event()  # set whenever the rules change
        self._closing = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # one for each accepted client
        self._connections: dict[asyncio.Task[None], Connection] = {}  # those that reach the server

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
        if self.listen is not None:
            self.listen.unlink(missing_ok=True)

    @property
    def address(self) -> Address:
        """Where clients connect."""
        return self.listen or ("127.0.0.1", self.port)

    @property
    def active(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    def delay(self, milliseconds: float, direction: Direction = "both") -> None:
        """Pass every piece on this much later."""
        seconds = milliseconds / 1000
        self._change(lambda rules: dataclasses.replace(
            rules,
            delay_up=rules.delay_up if direction == "down" else seconds,
            delay_down=rules.delay_down if direction == "up" else seconds,
        ))  # fmt: skip

    def blackhole(self, direction: Direction = "both") -> None:
        """Pass nothing on in this direction; nobody is told."""
        held = frozenset({"up", "down"} if direction == "both" else {direction})
        self._change(lambda rules: dataclasses.replace(rules, held=rules.held | held))

    def reset_after(self, count: int, direction: Direction = "down") -> None:
        """Pass exactly `count` more bytes, then reset the connection that they went through. Happens once."""
        directions = ("up", "down") if direction == "both" else (direction,)
        self._change(lambda rules: dataclasses.replace(rules, reset_after=dict.fromkeys(directions, count)))

    def drop_replies_matching(self, pattern: bytes, then: Then = "reset") -> None:
        """Lose the next reply that contains `pattern` and all after it, by a reset or in silence. Happens once."""
        self._change(lambda rules: dataclasses.replace(rules, drop=pattern, drop_then=then))

    def hold_requests_matching(self, pattern: bytes) -> None:
        """Hold back the next piece from a client that contains `pattern`, and all that clients send after it."""
        self._change(lambda rules: dataclasses.replace(rules, hold=pattern))

    def refuse(self) -> None:
        """Refuse new connections; those there are go on."""
        self._do(self._close_listener())

    def reset_all(self) -> None:
        """Reset every connection that is open now."""
        self._do(self._reset_all())

    def resume(self) -> None:
        """Behave: the rules are gone, held bytes are delivered, new connections are accepted."""
        self._change(lambda _: Rules())
        self._do(self._open())

    def count_bytes(self, direction: str, count: int) -> None:
        """Add to the counters."""
        if direction == "up":
            self.counters.bytes_up += count
        else:
            self.counters.bytes_down += count

    def look_for_hold(self, piece: bytes) -> None:
        """Close the way to the server if this is the request that is to be held."""
        if self.rules.hold and self.rules.hold in piece:
            self.rules = dataclasses.replace(self.rules, hold=b"", held=self.rules.held | {"up"})
            self.counters.held_requests += 1

    async def passable(self, direction: str) -> None:
        """Wait until this direction is open."""
        while direction in self.rules.held:
            self._free.clear()
            await self._free.wait()

    def _change(self, change: Callable[[Rules], Rules]) -> None:
        async def apply() -> None:
            self.rules = change(self.rules)
            self._free.set()

        self._do(apply())

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _open(self) -> None:
        if self._server is not None:
            return
        if self.listen is not None:
            self.listen.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._accept, self.listen)
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close_listener(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        for listening in server.sockets:
            self._loop.remove_reader(listening.fileno())
        await asyncio.sleep(0)  # whoever was accepted a moment ago is handed over first: asyncio would leak his socket
        server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(task, Streams(reader, writer))
        finally:
            self._tasks.discard(task)
            self._connections.pop(task, None)

    async def _serve(self, task: asyncio.Task[None], client: Streams) -> None:
        try:
            server = Streams(*await self._connect())
        except OSError:
            self.counters.refused += 1
            await client.close(abort=True)
            return
        self.counters.connections += 1
        connection = self._connections[task] = Connection(self, client, server)
        if self._closing:
            connection.ended.set()
        await connection.run()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, Path):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection(*self.upstream)

    # No task that serves a client is ever cancelled: each would have to close its sockets all the same.

    async def _reset_all(self) -> None:
        for connection in self._connections.values():
            connection.end_by_reset()
            connection.ended.set()
        await self._wait_for(list(self._connections))

    async def _shut(self) -> None:
        self._closing = True
        await self._close_listener()
        for connection in self._connections.values():
            connection.reset = True
            connection.ended.set()
        await self._wait_for(list(self._tasks))

    async def _wait_for(self, tasks: list[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks)
