"""Publishers that are interrupted before every script call by whatever else a schedule says: deterministic races."""

from __future__ import annotations

from enum import Enum
from typing import Any

import redis

from tests.support.line import Line
from tests.support.published import check_contiguous
from trimtab_store.channel import Channel
from trimtab_store.publish import Outcome, Publisher

KEPT = ("head", "stream", "snapshot", "size")


class Turn(Enum):
    """What happens next."""

    PASS = "the interrupted publisher goes on"
    COMMIT = "a change is committed, its writer dies"
    ANNOUNCE = "a change is committed and published by its writer"
    STALE = "the writer of the change before last publishes now"
    SETTLE = "a relay looks"
    SIGN = "a snapshot is signed"
    FLUSH = "Redis loses everything"
    DUMP = "Redis saves"
    RESTORE = "Redis restarts with what it saved"
    HEAD = "the head is evicted"
    STREAM = "the stream is evicted"
    EPOCH = "an epoch is declared"


class _Interrupted(Channel):
    """A channel that lets the schedule go on before each call."""

    def __init__(self, client: redis.Redis, schedule: Interleaved) -> None:
        super().__init__(client, stream_bytes=schedule.stream_bytes)
        self._schedule = schedule

    def _run(self, *arguments: Any, **named: Any) -> Any:
        self._schedule.turn()
        return super()._run(*arguments, **named)

    def stage(self, environment: str, token: str, field: bytes, content: bytes) -> None:
        self._schedule.turn()
        super().stage(environment, token, field, content)


class Interleaved:
    """Plays a schedule; publishers nest, so that each may be overtaken by others at each of its steps."""

    def __init__(self, client: redis.Redis, line: Line, turns: list[Turn], stream_bytes: int = 10**9) -> None:
        self.client, self.line, self.stream_bytes = client, line, stream_bytes
        self._turns = iter(turns)
        self._left = len(turns)
        self._depth = 0
        self._evicted = False
        self._saved: dict[str, Any] = {}

    def run(self) -> None:
        while self._left:
            self.turn()

    def turn(self) -> None:
        turn = next(self._turns, None)
        if turn is None:
            return
        self._left -= 1
        getattr(self, f"_{turn.name.lower()}")()
        check_contiguous(self.client, headless=self._evicted)

    def _pass(self) -> None:
        return

    def _commit(self) -> None:
        self.line.commit()

    def _announce(self) -> None:
        self._publish([self.line.commit().encode()])

    def _stale(self) -> None:
        self._publish([self.line.messages[max(0, len(self.line.messages) - 2)].encode()])

    def _settle(self) -> None:
        self._publish([])

    def _publish(self, messages: list[bytes]) -> None:
        if self._depth == 4:
            return
        self._depth += 1
        publisher = Publisher(self.line, _Interrupted(self.client, self))
        (published,) = publisher.publish([self.line.environment], 60, messages)
        assert published.outcome is Outcome.PUBLISHED, published
        self._depth -= 1

    def _sign(self) -> None:
        self.line.snapshot()

    def _flush(self) -> None:
        self.client.flushall()

    def _dump(self) -> None:
        self._saved = {key: self.client.dump(key) for key in self._keys() if self.client.exists(key)}

    def _restore(self) -> None:
        self.client.flushall()
        for key, content in self._saved.items():
            self.client.restore(key, 0, content)

    def _head(self) -> None:
        self._evicted = True  # the head may be missing until somebody publishes, and again with an old dump
        self.client.delete(self._keys()[0])

    def _stream(self) -> None:
        self.client.delete(self._keys()[1], self._keys()[3])

    def _epoch(self) -> None:
        self.line.declare()

    def _keys(self) -> list[str]:
        return [f"trimtab:{{{self.line.environment}}}:{name}" for name in KEPT]
