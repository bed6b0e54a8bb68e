"""The servers of one data directory: PostgreSQL, a server for Redis, the schema, login roles and keys.

What is made the first time (passwords, keys, roles) stays in the directory, so that the next start finds it again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from trimtab.model.statements import SigningKey, Trust
from trimtab_store import keys, migrate
from trimtab_store.embedded.directory import DataDirectory, Servers
from trimtab_store.embedded.places import kept_password, write_private
from trimtab_store.embedded.postgres import PostgresServer
from trimtab_store.embedded.redis import RedisServer

DATABASE: Final = "trimtab"
LOGINS: Final = {"up_writer": "trimtab_writer", "up_agent": "trimtab_agent", "up_relay": "trimtab_relay"}
"""Login role → the group whose rights it has."""


class Cluster:
    """The running servers. `postgres` and `redis` are there to be looked at, killed and restarted."""

    def __init__(self, directory: DataDirectory, postgres: PostgresServer, redis: RedisServer) -> None:
        self.directory = directory
        self.postgres = postgres
        self.redis = redis

    @property
    def owner_url(self) -> str:
        """The database as its owner."""
        return self.postgres.url(DATABASE)

    def login_url(self, role: str) -> str:
        """The database as one of `LOGINS`."""
        return self.postgres.url(DATABASE, user=role, password=kept_password(self.directory.path / f"{role}.password"))

    def servers(self) -> Servers:
        """What other commands need to find these servers."""
        return Servers(
            directory=self.directory.path,
            database_url=self.login_url("up_writer"),
            agent_database_url=self.login_url("up_agent"),
            relay_database_url=self.login_url("up_relay"),
            owner_url=self.owner_url,
            redis_url=self.redis.url,
            trust=self.directory.trust,
            signing_key=self.directory.signing_key,
            pids={"up": os.getpid(), "postgres": self.postgres.pid or 0, "redis": self.redis.pid or 0},
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )


@contextlib.contextmanager
def start(path: Path, say: Callable[[str], None]) -> Generator[Cluster]:
    """Hold the directory, start everything on it, and stop it in order at the end. `say` gets a line for each step.

    Raises DirectoryHeld if another process holds it, UnavailableError if a server does not start.
    """
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(DataDirectory(path))
        say("Starting PostgreSQL" + ("" if directory.postgres.exists() else ", in a new cluster"))
        postgres = PostgresServer(directory.postgres)
        stack.callback(postgres.close)  # before it starts: an interrupted start leaves nothing behind
        postgres.start()
        redis = RedisServer(directory.redis, demo=True)
        stack.callback(redis.close)
        say(
            f"Starting the server for Redis ({redis.flavour}"
            + (": a stand-in, for a demo only)" if redis.fake else ")")
        )
        redis.start()
        cluster = Cluster(directory, postgres, redis)
        keep_keys(directory)
        _make_database(postgres)
        if migrate.current(cluster.owner_url) != migrate.known()[-1]:
            say("Migrating the schema")
            migrate.upgrade(cluster.owner_url)
        _make_logins(cluster)
        directory.publish(cluster.servers())
        yield cluster


def keep_keys(directory: DataDirectory) -> None:
    """Make a signing key where there is none, and have it trusted beside whatever else is."""
    if not directory.signing_key.exists():
        write_private(directory.signing_key, SigningKey.generate().to_bytes())
    key = SigningKey.from_bytes(directory.signing_key.read_bytes())
    trusted = keys.read_trust(directory.trust) if directory.trust.exists() else key.trust()
    write_private(directory.trust, Trust({**trusted.keys, **key.trust().keys}).to_bytes())  # what was added there stays


def _make_database(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _make_logins(cluster: Cluster) -> None:
    with psycopg.connect(cluster.owner_url, autocommit=True) as connection:
        for role, group in LOGINS.items():
            password = kept_password(cluster.directory.path / f"{role}.password")
            exists = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None
            verb = sql.SQL("ALTER" if exists else "CREATE")
            statement = sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                verb, sql.Identifier(role), sql.Literal(password)
            )
            connection.execute(statement)
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(role)))
