"""What must hold of Redis after any publishing, told from the messages themselves and not by the code under test."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator
from typing import Any, cast

import redis

from tests.support.line import KEY, Line
from trimtab.model import links, snapshots
from trimtab.model.links import Message

TRUST = KEY.trust()


def texts_in_stream(client: redis.Redis, environment: str = "production") -> list[bytes]:
    """The messages of the stream, after checking that each has its own id."""
    entries: Any = client.xrange(f"trimtab:{{{environment}}}:stream")
    texts: list[bytes] = []
    for entry_id, fields in entries:
        assert list(fields) == [b"m"]
        assert entry_id.decode() == str(links.read(fields[b"m"]).position)
        texts.append(fields[b"m"])
    return texts


@contextlib.contextmanager
def heard(client: redis.Redis, environment: str = "production") -> Generator[Callable[[], list[bytes]]]:
    """Subscribe; the function gives what was announced since it was called last."""
    subscription: Any = cast("Any", client).pubsub(ignore_subscribe_messages=True)

    def announcements() -> list[bytes]:
        found: list[bytes] = []
        while (message := subscription.get_message(timeout=0.2)) is not None:
            found.append(message["data"])
        return found

    with subscription:
        subscription.subscribe(f"trimtab:{{{environment}}}:changes")
        announcements()
        yield announcements


def every_key(client: redis.Redis) -> list[bytes]:
    keys: Any = client.keys()
    return sorted(keys)


def head_text(client: redis.Redis, environment: str = "production") -> str:
    found: Any = client.get(f"trimtab:{{{environment}}}:head")
    return "" if found is None else found.decode()


def name_of(message: Message) -> str:
    """What the head key says when this is the newest change."""
    link = message.link
    return f"{link.epoch} {link.revision} {link.hash.hex()}"


def check_contiguous(client: redis.Redis, environment: str = "production", *, headless: bool = False) -> list[Message]:
    """The stream's messages: each is signed, follows the one before by hash and revision, and the last is the head.

    With `headless` the head may be missing: it was evicted.
    """
    found = [links.read(text) for text in texts_in_stream(client, environment)]
    for message in found:
        links.verify(message, TRUST, environment)
    for one, two in itertools.pairwise(found):
        assert (two.link.previous_revision, two.link.previous_hash) == (one.link.revision, one.link.hash)
    if found:
        allowed = {name_of(found[-1]), ""} if headless else {name_of(found[-1])}
        assert head_text(client, environment) in allowed
    sizes: Any = client.hget(f"trimtab:{{{environment}}}:size", "bytes")
    assert int(sizes or 0) == sum(len(message.encode()) for message in found)
    return found


def read_snapshot(client: redis.Redis, environment: str = "production") -> snapshots.Snapshot | None:
    """The published snapshot, verified whole; None if there is none."""
    fields: Any = client.hgetall(f"trimtab:{{{environment}}}:snapshot")
    if not fields:
        return None
    assert client.ttl(f"trimtab:{{{environment}}}:snapshot") == -1  # it stays
    statement = snapshots.read_statement(fields[b"meta"])
    snapshots.verify(statement, TRUST, environment)
    assert len(fields) == statement.chunks + 1
    text = b"".join(fields[str(number).encode()] for number in range(statement.chunks))
    return snapshots.decode(statement, text)


def check_equals(client: redis.Redis, line: Line) -> None:
    """The stream is the newest part of the line, up to its head, and the snapshot is a state that it goes on from."""
    environment = line.environment
    check_contiguous(client, environment)
    texts = texts_in_stream(client, environment)
    committed = line.texts
    assert texts == committed[len(committed) - len(texts) :]
    assert head_text(client, environment) == name_of(line.messages[-1])
    snapshot = read_snapshot(client, environment)
    if line.signed and line.signed[-1][0].epoch == line.epoch:
        assert snapshot is not None
        assert snapshot.position == line.signed[-1][0].position
    if texts and not client.hexists(f"trimtab:{{{environment}}}:size", "trimmed"):
        first = links.read(texts[0]).link
        reached = snapshot.position.revision if snapshot is not None else 0
        assert reached >= first.previous_revision
    assert [key for key in every_key(client) if b":snapshot:" in key] == []
