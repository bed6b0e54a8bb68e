"""One connection to Redis: commands and their replies within a deadline, every failure in our words.

redis-py's own pool and `PubSub` reconnect, retry and resubscribe silently (even with no retries left, `PubSub` connects
again before it raises). Here a connection is used as it is: what breaks is dropped, and whoever asks next dials again.
RESP 2, because then a subscribed connection speaks in arrays only and no push can slip between two replies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Protocol, TypeAlias, cast

from redis.asyncio.connection import Connection as Dialled
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as Broken

from trimtab.feeds import descriptors
from trimtab.model.errors import FeedDenied, FeedUnavailable, SettingError, UnavailableError

Command: TypeAlias = "tuple[str | bytes | int, ...]"
_DENIED: Final = (AuthenticationError, AuthorizationError, NoPermissionError)


class Raw(Protocol):
    """What we use of redis-py's connection."""

    @property
    def is_connected(self) -> bool:
        """Whether a socket is open, as far as we know."""
        ...

    async def connect(self) -> None:
        """Dial and log in, unless connected."""
        ...

    async def disconnect(self, nowait: bool = False) -> None:  # noqa: FBT001, FBT002 - redis-py's signature
        """Close the socket."""
        ...

    async def send_command(self, *command: str | bytes | int, check_health: bool = True) -> None:
        """Write one command."""
        ...

    async def read_response(self, *, timeout: float | None = None, disconnect_on_error: bool = True) -> object:  # noqa: ASYNC109 - redis-py's signature
        """Read one reply; with a timeout, None if none came whole, and the next call goes on where this one was."""
        ...


def abandon(connection: Raw) -> None:
    """Silence an inherited connection in a forked child, where its event loop must not be touched either."""
    writer = cast("asyncio.StreamWriter | None", getattr(connection, "_writer", None))
    if writer is not None:
        inherited = writer.get_extra_info("socket")
        if inherited is not None and inherited.fileno() >= 0:
            descriptors.silence(inherited.fileno())
    descriptors.keep(connection)


class Server:
    """Where Redis is: makes connections, and names it in messages without the password."""

    def __init__(self, url: str) -> None:
        try:
            options = cast("dict[str, object]", parse_url(url))
        except ValueError as error:
            raise SettingError(
                "This Redis URL is refused", str(error), "Use redis://HOST:PORT/0 or unix://PATH"
            ) from error
        self._class = cast("type[Dialled]", options.pop("connection_class", Dialled))
        self._options = options
        host, port = options.get("host", "localhost"), options.get("port", 6379)
        self.place = f"Redis at {options.get('path') or f'{host}:{port}'}"

    def connection(self) -> Raw:
        """A connection that is not open yet."""
        ours: dict[str, object] = {
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": None,
            "socket_connect_timeout": None,
            "health_check_interval": 0,
            "decode_responses": False,
        }
        if "path" not in self._options:
            ours["socket_keepalive"] = True
        return cast("Raw", self._class(**cast("dict[str, object]", {**self._options, **ours})))  # type: ignore[arg-type]

    @contextmanager
    def failures(self, seconds: float) -> Generator[None]:
        """Turn what redis-py raises into the errors of a feed; `seconds` is the deadline that a timeout exceeded."""
        try:
            yield
        except UnavailableError:
            raise
        except TimeoutError as error:
            raise self.unavailable(f"no answer within {seconds:g} s") from error
        except _DENIED as error:
            raise FeedDenied(f"{self.place} refuses us", str(error), "Check user, password and rights") from error
        except (RedisError, OSError, ValueError, EOFError) as error:
            raise self.unavailable(str(error) or type(error).__name__) from error

    def unavailable(self, why: str) -> FeedUnavailable:
        """The error that says so."""
        return FeedUnavailable(f"{self.place} does not answer", why, "It is tried again")


class Wire:
    """One kept connection for commands, one exchange at a time."""

    def __init__(self, server: Server, seconds: float) -> None:
        self._server, self._seconds = server, seconds
        self._connection = server.connection()
        self._lock = asyncio.Lock()
        self._closed = False

    async def ask(self, *commands: Command) -> list[object]:
        """Send commands together and return their replies; the whole exchange has one deadline."""
        with self._server.failures(self._seconds):
            async with asyncio.timeout(self._seconds), self._lock:
                if self._is_closed():
                    raise FeedUnavailable("The feed redis is closed")
                kept = self._connection.is_connected
                try:
                    return await self._exchange(commands)
                except Broken as error:
                    if not kept or self._is_closed() or isinstance(error, _DENIED):
                        raise
                    return await self._exchange(commands)  # the server had closed the kept connection while it was idle
                finally:
                    if self._is_closed():  # redis-py may have dialled again by itself
                        await self._connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Drop the connection, also under an exchange, which then fails."""
        self._closed = True
        await self._connection.disconnect(nowait=True)

    def abandon(self) -> None:
        """In a forked child: give up the inherited connection without a word to the server."""
        self._closed = True
        abandon(self._connection)

    def _is_closed(self) -> bool:  # a call, as it may change while somebody waits
        return self._closed

    async def _exchange(self, commands: tuple[Command, ...]) -> list[object]:
        try:
            await self._connection.connect()
            for command in commands:
                await self._connection.send_command(*command)
            return [await self._connection.read_response() for _ in commands]
        except BaseException:
            await self._connection.disconnect(nowait=True)  # replies may be under way; waits for nothing
            raise
