"""Ways to fill a feed with a signed line, one for each feed; the contract suite runs over all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

import psycopg
import redis

from tests.support.line import write_message, write_snapshot
from tests.support.signed_line import KEY, Entry
from trimtab.feeds.disk import DiskFeed
from trimtab.feeds.feed import Feed, SignedBytes
from trimtab.feeds.memory import MemoryFeed
from trimtab.feeds.postgres import PostgresFeed
from trimtab.feeds.redis import RedisFeed
from trimtab.model import links, snapshots
from trimtab.model.links import Position
from trimtab.model.published import Names
from trimtab_store.channel import Answer, Channel

ENVIRONMENT = "production"


class Source(Protocol):
    """A feed and the power over what it holds."""

    @property
    def feed(self) -> Feed: ...

    def publish(self, entry: Entry) -> None:
        """Extend the line; the first link of an epoch brings its snapshot."""
        ...

    def snapshot(self, entry: Entry) -> None:
        """Make this the newest snapshot."""
        ...

    def forget(self, upto: Position) -> None:
        """Lose the messages up to and with a position."""
        ...


class MemorySource:
    def __init__(self) -> None:
        self.feed = MemoryFeed()

    def publish(self, entry: Entry) -> None:
        self.feed.publish(entry.message)
        if entry.link.is_first:
            self.snapshot(entry)

    def snapshot(self, entry: Entry) -> None:
        self.feed.publish_snapshot(entry.snapshot.statement, entry.snapshot.body)

    def forget(self, upto: Position) -> None:
        self.feed.trim(upto)


class DiskSource:
    def __init__(self, directory: Path) -> None:
        self.feed = DiskFeed.open(directory, ENVIRONMENT, KEY.trust())
        self.feed.load()
        self._entries: list[Entry] = []

    def publish(self, entry: Entry) -> None:
        self._entries.append(entry)
        if entry.link.is_first:
            self.snapshot(entry)
        else:
            self.feed.append(entry.message)

    def snapshot(self, entry: Entry) -> None:
        self.feed.replace(entry.snapshot.statement, entry.snapshot.body)

    def forget(self, upto: Position) -> None:
        self.snapshot(next(entry for entry in self._entries if entry.position == upto))


class RedisSource:
    def __init__(self, client: redis.Redis, feed: RedisFeed) -> None:
        self.client, self.feed = client, feed
        self.names = Names(ENVIRONMENT)
        self.channel = Channel(client)

    def publish(self, entry: Entry) -> None:
        answer, _ = self.channel.append(entry.link, entry.message)
        assert answer == Answer.APPENDED
        if entry.link.is_first:
            self.snapshot(entry)

    def snapshot(self, entry: Entry) -> None:
        self.put_snapshot(entry.snapshot)

    def put_snapshot(self, signed: SignedBytes) -> None:
        size = snapshots.CHUNK_BYTES
        chunks = [signed.body[start : start + size] for start in range(0, len(signed.body), size)]
        with self.client.pipeline() as pipeline:
            pipeline.delete(self.names.snapshot)
            pipeline.hset(self.names.snapshot, "meta", signed.statement.decode())
            for number, chunk in enumerate(chunks):
                pipeline.hset(self.names.snapshot, str(number), chunk)
            pipeline.execute()

    def forget(self, upto: Position) -> None:
        self.client.xtrim(self.names.stream, minid=f"{upto.epoch}-{upto.revision + 1}", approximate=False)


class PostgresSource:
    """Rows straight into the tables, past triggers and keys: this is about what the functions answer."""

    def __init__(self, url: str, feed: PostgresFeed) -> None:
        self.feed = feed
        self._url = url

    def publish(self, entry: Entry) -> None:
        link = entry.link
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO trimtab.environments VALUES (%s, NULL, '[]', 1, 1) ON CONFLICT DO NOTHING",
                [link.environment],
            )
            write_message(connection, links.read(entry.message))
            connection.execute("UPDATE trimtab.store_head SET epoch = %s, revision = %s", [link.epoch, link.revision])
        if link.is_first:
            self.snapshot(entry)

    def snapshot(self, entry: Entry) -> None:
        statement = snapshots.read_statement(entry.snapshot.statement)
        with self._connected() as connection:
            write_snapshot(connection, statement, entry.snapshot.body)

    def forget(self, upto: Position) -> None:
        with self._connected() as connection:
            connection.execute(
                "DELETE FROM trimtab.links WHERE (epoch, revision) <= (%s, %s)", [upto.epoch, upto.revision]
            )

    @contextlib.contextmanager
    def _connected(self) -> Generator[psycopg.Connection[tuple[object, ...]]]:
        with psycopg.connect(self._url) as connection:
            connection.execute("SET LOCAL session_replication_role = replica")
            yield connection


def position_of(message: bytes) -> Position:
    return links.read(message).position
