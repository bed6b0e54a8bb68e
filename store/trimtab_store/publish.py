"""Publishing: bringing what stands in Redis to what is committed in Postgres, in order and without a gap.

What is published is only ever learned from Redis itself; nothing in Postgres says so. Any number of publishers may work
at once: each step is one script that compares before it writes, so whoever comes second does nothing.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import redis

from trimtab.model import links
from trimtab.model.errors import TrimtabError
from trimtab.model.links import Message
from trimtab.model.published import Head
from trimtab_store.channel import Channel
from trimtab_store.deadlines import Deadline
from trimtab_store.settling import Attempt, Outcome, Published
from trimtab_store.source import PostgresSource, Source

__all__ = ["DEADLINE_SECONDS", "Outcome", "Published", "Publisher"]

DEADLINE_SECONDS: Final = 1.0
REST_SECONDS: Final = (1.0, 2.0)
"""How long commits go on without Redis after it gave no answer in time; chosen at random between these."""
_log = logging.getLogger("trimtab.publish")


class Publisher:
    """Carries committed changes to Redis. Holds no key and invents nothing: it sends what Postgres holds, as it is.

    Threads may share it.
    """

    def __init__(self, source: Source, channel: Channel) -> None:
        self._source, self._channel = source, channel
        self._rest = Deadline(0.0)

    @classmethod
    def connect(cls, database_url: str, redis_url: str) -> Publisher:
        """A publisher with connections of its own, opened at first need."""
        return cls(PostgresSource(database_url), Channel.connect(redis_url))

    def publish(
        self, environments: Iterable[str], deadline: float = DEADLINE_SECONDS, messages: Sequence[bytes] = ()
    ) -> tuple[Published, ...]:
        """Publish what is committed for these environments, within `deadline` seconds in all. Never raises.

        `messages` are the messages of a commit that was just acknowledged, one for each environment: where one
        is the very next change it goes out at once, without a question to Postgres. The rest waits for a relay.
        """
        until = Deadline.after(deadline)
        at_hand = {message.link.environment: (message, text) for message, text in _readable(messages)}
        return tuple(self._guarded(name, at_hand.get(name), until) for name in dict.fromkeys(environments))

    def head(self, environment: str) -> Head | None:
        """What Redis says is published. Raises `redis.RedisError`."""
        return self._channel.inspect(environment).head

    def close(self) -> None:
        """Close the connections to both servers."""
        self._channel.close()
        if isinstance(self._source, PostgresSource):
            self._source.close()

    def _guarded(self, environment: str, message: tuple[Message, bytes] | None, deadline: Deadline) -> Published:
        attempt = Attempt(self._source, self._channel, environment, deadline)
        if message is not None and self._rest.remaining:
            return attempt.ended(Outcome.UNFINISHED, "Redis gave no answer a moment ago")
        try:
            return attempt.announce(*message) if message is not None else attempt.settle()
        except redis.TimeoutError as error:
            self._rest = Deadline.after(random.uniform(*REST_SECONDS))  # noqa: S311 - jitter, no secret
            return attempt.ended(Outcome.UNFINISHED, f"Redis gave no answer: {error}")
        except (TrimtabError, redis.RedisError, OSError) as error:
            return attempt.ended(Outcome.UNFINISHED, f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - a commit that is done must not look as if it had failed
            _log.exception("publishing %s failed", environment)
            return attempt.ended(Outcome.UNFINISHED, f"{type(error).__name__}: {error}")


def _readable(messages: Iterable[bytes]) -> Iterator[tuple[Message, bytes]]:
    """The messages with their bytes; one that is none would be refused by every agent."""
    for text in messages:
        try:
            yield links.read(text), text
        except TrimtabError:
            _log.exception("a message of the commit path is malformed")
