"""Databases and servers for tests: one PostgreSQL per worker, a migrated template, a fresh clone per test."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import psycopg
from psycopg import sql

from trimtab_store.embedded.postgres import FAST, PostgresServer
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.embedded.redis_programs import Flavour

TEMPLATE = "trimtab_template"
MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes private directories in it
ROOM_BYTES = 4 * 1024**3
"""What the servers of all workers never come near."""
IN_MEMORY = {**FAST, "max_wal_size": "128MB"}
"""Settings of a server whose files may be in memory."""
LOGIN_PASSWORD = "a-password-of-the-tests"
names = itertools.count()


def root() -> Path:
    """Where tests keep their files: in memory if there is room, for a database is made there in a tenth of the time."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return MEMORY if roomy else Path("/tmp")  # noqa: S108 - the same


@contextlib.contextmanager
def short_directory() -> Generator[Path]:
    """A private directory with a path short enough for unix sockets, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="tt-", dir=root()))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def postgres_server() -> Generator[PostgresServer]:
    """A running server without durability, for tests that are not about it."""
    with short_directory() as base, PostgresServer(base / "p", settings=IN_MEMORY, tcp=True) as server:
        yield server


@dataclasses.dataclass(frozen=True)
class Database:
    """A database of one test."""

    server: PostgresServer
    name: str

    @property
    def url(self) -> str:
        """Its address as the cluster's superuser, through the unix socket."""
        return self.server.url(self.name)

    @property
    def tcp_url(self) -> str:
        """The same through 127.0.0.1."""
        return self.server.url(self.name, tcp=True)

    def login(self, group: str, *, tcp: bool = False) -> str:
        """Its address as a login role that is a member of `group` (trimtab_writer, trimtab_agent, …) only."""
        user = f"login_{group}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [user]).fetchone() is None:
                statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}")
                connection.execute(
                    statement.format(sql.Identifier(user), sql.Literal(LOGIN_PASSWORD), sql.Identifier(group))
                )
        return self.server.url(self.name, user=user, password=LOGIN_PASSWORD, tcp=tcp)


@contextlib.contextmanager
def database(server: PostgresServer, template: str = "template0") -> Generator[Database]:
    """A database cloned from `template`, dropped afterwards whoever is still connected."""
    made = Database(server, f"t{next(names)}")
    run_as_admin(server, sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY"), made.name, template)
    try:
        yield made
    finally:
        if not server.running:
            server.start()
        server.resume()
        run_as_admin(server, sql.SQL("DROP DATABASE {} WITH (FORCE)"), made.name)


def run_as_admin(server: PostgresServer, statement: sql.SQL, *identifiers: str) -> None:
    """Run one statement with these names in it, as the superuser."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(statement.format(*map(sql.Identifier, identifiers)))


def make_template(server: PostgresServer, migrate: Callable[[str], None]) -> str:
    """The name of a database that `migrate` has brought to the newest schema."""
    run_as_admin(server, sql.SQL("CREATE DATABASE {}"), TEMPLATE)
    migrate(server.url(TEMPLATE))
    return TEMPLATE


class RedisServers:
    """One server for each flavour, started at first need; each use begins empty, running and not frozen."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._servers: dict[Flavour, RedisServer] = {}

    def fresh(self, flavour: Flavour) -> RedisServer:
        """The server of this flavour, empty."""
        server = self._servers.get(flavour)
        if server is None:
            server = self._servers[flavour] = RedisServer(self._base / flavour, flavour=flavour, tcp=True)
        server.resume()
        server.start()
        with contextlib.closing(server.client()) as client:
            client.flushall()
        return server

    def close(self) -> None:
        """Stop them all."""
        for server in self._servers.values():
            server.close()


def processes_of_mine() -> set[int]:
    """The pids of this process's children, found through /proc: what a test must leave as it was."""
    children: set[int] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with contextlib.suppress(OSError):
            children |= {int(pid) for pid in (task / "children").read_text().split()}
    return children
