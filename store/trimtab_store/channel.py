"""Redis as publishers see it: the scripts of `lua/`, called with an environment's keys."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any, Final

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from trimtab.model.links import Link, Position
from trimtab.model.published import INLINE_BYTES, Head, Names, read_head
from trimtab.model.snapshots import Statement

STREAM_BYTES: Final = 32 * 1024 * 1024
"""What an agent may have missed and still catch up from the stream: more than the longest change."""
SOCKET_SECONDS: Final = 0.5
_STAGED_SECONDS: Final = 120


class Answer(StrEnum):
    """What a script answers; `lua/` says what each word means."""

    APPENDED = "APPENDED"
    ALREADY = "ALREADY"
    OLD = "OLD"
    BEHIND = "BEHIND"
    FORK = "FORK"
    BROKEN = "BROKEN"
    STARTED = "STARTED"
    RENEWED = "RENEWED"
    MOVED = "MOVED"
    UNSTAGED = "UNSTAGED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is published for an environment. `head_text` is the head as it stands there, readable or not."""

    head_text: bytes
    oldest: Position | None
    before_oldest: int
    newest: Position | None
    counted: bool
    trimmed: Position | None
    statement: bytes
    snapshot_fields: int

    @property
    def head(self) -> Head | None:
        """The head; None if there is none, or none that a publisher wrote."""
        return read_head(self.head_text)


class Channel:
    """The keys of all environments in one Redis or Valkey. Raises `redis.RedisError`; threads may share it."""

    def __init__(self, client: redis.Redis, *, stream_bytes: int = STREAM_BYTES) -> None:
        self.client = client
        self._stream_bytes = stream_bytes
        self._scripts = {name: client.register_script(_text(name)) for name in _SCRIPTS}

    @classmethod
    def connect(cls, redis_url: str, *, socket_seconds: float = SOCKET_SECONDS) -> Channel:
        """A channel of its own connections, opened at first need; no operation waits longer than `socket_seconds`."""
        # A connection that the server closed while it was idle is replaced once; the scripts are idempotent.
        retry = Retry(ExponentialWithJitterBackoff(base=0.005, cap=0.05), 1, (redis.ConnectionError,))
        client = redis.Redis.from_url(
            redis_url,
            decode_responses=False,
            retry=retry,
            socket_timeout=socket_seconds,
            socket_connect_timeout=socket_seconds,
        )
        return cls(client)

    def append(self, link: Link, message: bytes) -> tuple[Answer, bytes]:
        """Publish one change if it is the very next; the answer and the head as it was found."""
        names = Names(link.environment)
        arguments: list[str | bytes | int] = [
            link.epoch,
            link.revision,
            link.previous_revision,
            link.previous_hash.hex(),
            link.hash.hex(),
            message,
            names.changes,
            self._stream_bytes,
            INLINE_BYTES,
        ]
        return self._answer("append", _four(names), arguments)

    def start(self, environment: str, seen: bytes, head: Head | None, token: str) -> Answer:
        """Begin anew from the snapshot staged under `token`, or with nothing; only if the head is still `seen`."""
        names = Names(environment)
        text = b"" if head is None else head.encode()
        return self._answer("start", [*_four(names), names.staged(token)], [seen, text, names.changes])[0]

    def renew(self, statement: Statement, seen: bytes, token: str) -> Answer:
        """Replace the snapshot by the one staged under `token`; only if its statement is still `seen`."""
        names = Names(statement.environment)
        return self._answer("renew", [names.head, names.snapshot, names.staged(token)], [statement.epoch, seen])[0]

    def inspect(self, environment: str) -> Seen:
        """What is published now."""
        head, oldest, before, newest, counted, trimmed, statement, fields = self._run(
            "inspect", _four(Names(environment))
        )
        return Seen(
            head_text=head,
            oldest=_position(oldest),
            before_oldest=int(before or 0),
            newest=_position(newest),
            counted=bool(counted),
            trimmed=_position(trimmed),
            statement=statement,
            snapshot_fields=int(fields),
        )

    def stage(self, environment: str, token: str, field: bytes, content: bytes) -> None:
        """Put one field of a snapshot beside the published one; it is forgotten if nobody uses it."""
        key = Names(environment).staged(token)
        with self.client.pipeline(transaction=False) as pipeline:
            pipeline.hset(key, field, content)
            pipeline.expire(key, _STAGED_SECONDS)
            pipeline.execute()

    def unstage(self, environment: str, token: str) -> None:
        """Forget what was staged."""
        self.client.unlink(Names(environment).staged(token))

    def forget(self, environment: str) -> None:
        """Remove everything that is published for an environment."""
        self.client.unlink(*_four(Names(environment)))

    def fleet(self, environment: str) -> dict[bytes, bytes]:
        """Every agent's report, unread."""
        return self.fleets([environment])[0][environment]

    def fleets(self, environments: Sequence[str]) -> tuple[dict[str, dict[bytes, bytes]], float]:
        """Every agent's report by environment, unread, and then the clock of the server, in seconds."""
        with self.client.pipeline(transaction=False) as pipeline:
            for environment in environments:
                pipeline.hgetall(Names(environment).fleet)
            pipeline.time()
            *found, now = pipeline.execute()
        return dict(zip(environments, found, strict=True)), float(now[0]) + float(now[1]) / 1e6

    def prune(self, environment: str, reports: dict[bytes, bytes]) -> int:
        """Remove reports that are still what they were; how many went."""
        flat = [text for pair in reports.items() for text in pair]
        return int(self._run("prune", [Names(environment).fleet], flat)) if flat else 0

    def close(self) -> None:
        """Close the connections; the next call opens others."""
        self.client.connection_pool.disconnect()

    def _answer(self, script: str, keys: list[str], arguments: Sequence[str | bytes | int]) -> tuple[Answer, bytes]:
        word, head = self._run(script, keys, arguments)
        return Answer(word.decode()), head

    def _run(self, script: str, keys: list[str], arguments: Sequence[str | bytes | int] = ()) -> Any:
        return self._scripts[script](keys=keys, args=list(arguments))


def new_token() -> str:
    """A name for one staged snapshot."""
    return secrets.token_hex(8)


def _four(names: Names) -> list[str]:
    return [names.head, names.stream, names.snapshot, names.size]


def _position(entry: bytes) -> Position | None:
    epoch, dash, revision = entry.partition(b"-")
    return Position(int(epoch), int(revision)) if dash else None


def _text(name: str) -> str:
    return (files("trimtab_store") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


_SCRIPTS: Final = ("append", "start", "renew", "inspect", "prune")
