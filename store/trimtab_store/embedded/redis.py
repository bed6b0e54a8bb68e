"""A real Valkey or Redis server, owned by this process and never daemonized."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlencode

import redis

from trimtab.model.errors import UnavailableError
from trimtab_store.embedded.places import write_private
from trimtab_store.embedded.process import Child
from trimtab_store.embedded.redis_programs import Flavour, find_program
from trimtab_store.embedded.server import Server

Persistence = Literal["none", "dump", "append"]
PERSISTENCE: Mapping[Persistence, Mapping[str, str]] = {
    "none": {"save": "", "appendonly": "no"},
    "dump": {"save": "60 1", "appendonly": "no"},
    "append": {"save": "", "appendonly": "yes", "appendfsync": "everysec"},
}
# SLOWLOG would show values in clear.
QUIET = {"slowlog-log-slower-than": "-1", "slowlog-max-len": "0"}
SEVERAL_WORDS = frozenset({"save", "client-output-buffer-limit"})  # settings that take more than one argument
START_SECONDS = 30.0
STOP_SECONDS = 10.0


class RedisServer(Server):
    """One server on `base`: its configuration (0600: it holds the password), log and dump.

    It listens on a unix socket and, with `tcp`, on a free port of 127.0.0.1. The addresses stay the same until `close`.
    With the persistence "none" (all that Trimtab needs: everything is rebuilt from Postgres) each start is empty,
    unless it is given a dump. The flavour "fake" listens on TCP only, without a password. Errors: UnavailableError.
    """

    def __init__(
        self,
        base: Path,
        *,
        flavour: Flavour | None = None,
        persistence: Persistence = "none",
        tcp: bool = False,
        settings: Mapping[str, str] | None = None,
        demo: bool = False,
    ) -> None:
        self.persistence: Persistence = persistence
        self.settings = dict(settings or {})
        self.program = find_program(flavour, demo=demo)
        super().__init__(base, tcp=tcp or self.fake)

    @property
    def flavour(self) -> Flavour:
        """Which program runs; say so to the user if it is "fake"."""
        return self.program.flavour

    @property
    def fake(self) -> bool:
        """Whether this is only the stand-in for a demo."""
        return self.program.flavour == "fake"

    @property
    def socket(self) -> Path:
        """The unix socket."""
        return self._sockets.path / "redis.sock"

    @property
    def dump(self) -> Path:
        """Where the server keeps and looks for its dump."""
        return self.base / "dump.rdb"

    @property
    def url(self) -> str:
        """The address for redis-py: the socket (for the fake: TCP)."""
        if self.fake:
            return self.tcp_url
        query = urlencode({"password": self.password}, quote_via=quote)
        return f"unix://{quote(str(self.socket))}?{query}"

    @property
    def tcp_url(self) -> str:
        """The address through 127.0.0.1."""
        if self.port is None:
            raise UnavailableError("This server listens on its socket only", "", "Make it with tcp=True")
        secret = "" if self.fake else f":{quote(self.password, safe='')}@"
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    def start(self, *, dump: Path | None = None) -> None:
        """Start the server, from a copy of `dump` if given, and wait until it answers."""
        if self.running:
            return
        if dump is not None:
            shutil.copyfile(dump, self.dump)
        elif self.persistence == "none":
            self.dump.unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)  # a killed server leaves it
        argument = str(self.port) if self.fake else str(self._write_configuration())
        command = [*self.program.command, argument]
        self._child = Child(command, log=self.log, directory=self.base)
        self._child.wait_ready(self.answers, seconds=START_SECONDS, what=f"The server for Redis ({self.flavour})")

    def answers(self) -> bool:
        """Whether the server answers a PING now."""
        with contextlib.closing(self.client(socket_timeout=2.0, socket_connect_timeout=2.0)) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False

    def client(self, **options: float) -> redis.Redis:
        """A client of this server that gives bytes. The caller closes it."""
        return redis.Redis.from_url(self.url, **options)

    def save_dump(self, target: Path) -> Path:
        """Save all keys now and copy the dump to `target`, for a later `start(dump=target)`."""
        with contextlib.closing(self.client()) as client:
            client.save()
        shutil.copyfile(self.dump, target)
        return target

    def stop(self) -> None:
        """Stop in order (SIGTERM), or by SIGKILL if that takes too long. Nothing happens if it is not running."""
        if self._child is not None:
            self._child.stop(signal.SIGTERM, patience=STOP_SECONDS)

    def restart(self, *, dump: Path | None = None) -> None:
        """Stop and start again, at the same addresses."""
        self.stop()
        self.start(dump=dump)

    def _write_configuration(self) -> Path:
        settings = {
            "port": str(self.port or 0),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.base),
            "dbfilename": self.dump.name,
            "daemonize": "no",
            "supervised": "no",
            "logfile": "",
            "databases": "1",
            "requirepass": self.password,
            **PERSISTENCE[self.persistence],
            **QUIET,
            **self.settings,
        }
        path = self.base / "server.conf"
        lines = (
            f"{name} {value if value and name in SEVERAL_WORDS else quoted(value)}\n"
            for name, value in settings.items()
        )
        write_private(path, "".join(lines).encode())
        return path


def quoted(value: str) -> str:
    """One argument in the syntax of the configuration file."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
