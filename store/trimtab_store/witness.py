"""Redis as a witness: the highest revision that was ever published or reported there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import redis

from trimtab.model import reports
from trimtab.model.errors import TrimtabError, UnavailableError
from trimtab.model.links import Position
from trimtab_store.channel import Channel

SOCKET_SECONDS: Final = 5.0


class RedisWitness:
    """Reads `:head` and `:fleet` of every environment once."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url

    def highest(self, environments: Sequence[str]) -> Position:
        """The highest epoch and revision, each on its own; raises `UnavailableError` if Redis cannot be asked."""
        epoch = revision = 0
        channel = Channel.connect(self._redis_url, socket_seconds=SOCKET_SECONDS)
        try:
            for environment in environments:
                head = channel.inspect(environment).head
                if head is not None:
                    epoch, revision = max(epoch, head.position.epoch), max(revision, head.position.revision)
                for text in channel.fleet(environment).values():
                    try:
                        report = reports.decode(text)
                    except TrimtabError:
                        continue  # agents write these; one that cannot be read has seen nothing that we can know
                    epoch, revision = max(epoch, report.epoch), max(revision, report.revision, report.proven)
        except redis.RedisError as error:
            raise UnavailableError(
                "Redis cannot be asked which revisions it has seen",
                type(error).__name__,
                "Start it, or name the highest revision that is known with --above",
            ) from error
        finally:
            channel.close()
        return Position(epoch, revision)
