"""Real servers for a benchmark: PostgreSQL with durability on, and one for Redis, in a short temporary directory."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import fixtures
from trimtab.model import canonical
from trimtab.model.statements import SigningKey
from trimtab_store import migrate
from trimtab_store.embedded.places import write_private
from trimtab_store.embedded.postgres import PostgresServer
from trimtab_store.embedded.redis import RedisServer
from trimtab_store.publish import Publisher
from trimtab_store.snapshots import Snapshots
from trimtab_store.store import Store

AUTHOR = "bench"


@dataclass(frozen=True)
class Stand:
    """Where everything is. `to_json` is what a child needs to know."""

    directory: Path
    postgres: PostgresServer
    redis: RedisServer | None
    key: SigningKey

    @property
    def database_url(self) -> str:
        return self.postgres.url()

    @property
    def redis_url(self) -> str | None:
        return None if self.redis is None else self.redis.url

    @property
    def key_file(self) -> Path:
        return self.directory / "key.json"

    @property
    def trust_file(self) -> Path:
        return self.directory / "trust.json"

    def to_json(self) -> dict[str, Any]:
        """The addresses, for a child."""
        return {
            "database_url": self.database_url,
            "redis_url": self.redis_url,
            "key": str(self.key_file),
            "trust": str(self.trust_file),
        }

    def store(self) -> Store:
        """A store of its own connections."""
        return Store.connect(self.database_url, self.redis_url, signing_key=self.key)

    def fill(
        self, store: Store, environment: str, items: int, extra: Mapping[str, canonical.Json] | None = None
    ) -> None:
        """Make a root environment that holds so many items, and some values more, by one import and a snapshot."""
        store.create_environment(environment, author=AUTHOR, reason="measured")
        store.import_environment(exported(environment, items, extra=extra), author=AUTHOR, reason="measured")
        Snapshots(store.database, self.key).make(environment)  # also of what is too little for one to be due
        if self.redis_url is not None:  # what a relay does within a second: the newest snapshot goes to Redis
            with contextlib.closing(Publisher.connect(self.database_url, self.redis_url)) as publisher:
                [settled] = publisher.publish([environment], 60.0)
            if not (settled.renewed or settled.started):
                raise RuntimeError(f"there is no new snapshot of {environment}: {settled}")

    def set_poll(self, milliseconds: int) -> None:
        """Tell agents how often to ask Postgres."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute("UPDATE trimtab.store_head SET poll_after_ms = %s", [milliseconds])


def exported(
    environment: str, items: int, *, salt: float = 0.0, extra: Mapping[str, canonical.Json] | None = None
) -> bytes:
    """A file as `trimtab export` writes it, with the fixtures' items."""
    content = {**fixtures.documents(items, salt=salt), **(extra or {})}
    return json.dumps(
        {"trimtab": 1, "environment": environment, "parent": None, "layers": {"common": {"values": content}}}
    ).encode()


@contextlib.contextmanager
def stand(*, redis: bool = True) -> Generator[Stand]:
    """Migrated and empty servers, stopped at the end."""
    with contextlib.ExitStack() as closing:
        place = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="tt-", dir="/tmp")))
        postgres = closing.enter_context(PostgresServer(place / "p", settings={"max_connections": "400"}))
        server = closing.enter_context(RedisServer(place / "r")) if redis else None
        migrate.upgrade(postgres.url())
        made = Stand(place, postgres, server, SigningKey.generate())
        write_private(made.key_file, made.key.to_bytes())
        made.trust_file.write_bytes(made.key.trust().to_bytes())
        yield made
