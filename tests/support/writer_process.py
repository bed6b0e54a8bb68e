"""A writer in a process of its own that dies or freezes at a chosen moment: `writer_process.py MOMENT URL REDIS_URL`.

MOMENT  `published`   commits five times and ends; prints each revision when it is acknowledged
        `committed`   the same, but is killed after the fifth COMMIT, before anything is published
        `locked`      is killed inside the locked part of the fifth
        `frozen`      stops itself (SIGSTOP) inside the locked part of the fifth; continued, it says what it was told
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.support.line import KEY
from trimtab.model.canonical import Json
from trimtab.model.errors import TrimtabError
from trimtab.model.statements import Domain, SigningKey
from trimtab_store.publish import Publisher
from trimtab_store.store import Store

COMMITS = 5


@dataclass(frozen=True)
class DeadlyKey(SigningKey):
    """Signs links until the last commit, and then sends this process a signal: links are signed under the lock."""

    number: signal.Signals = signal.SIGKILL

    def sign(self, domain: Domain, fields: Mapping[str, Json]) -> bytes:
        if domain == "link" and State.commits == COMMITS:
            State.commits += 1
            os.kill(os.getpid(), self.number)
        return super().sign(domain, fields)


class DeadlyPublisher:
    """Publishes until the last commit, and then kills this process."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def publish(self, environments: Iterable[str], deadline: float, messages: Sequence[bytes] = ()) -> object:
        if State.commits == COMMITS:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._publisher.publish(environments, deadline, messages)


class State:
    """Which commit is under way, counted from 1."""

    commits = 0


def say(text: str) -> None:
    """One line for whoever started us."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(moment: str, database_url: str, redis_url: str) -> None:
    key: SigningKey = KEY
    under_lock = moment in {"locked", "frozen"}  # only with an idempotency key are links always signed under the lock
    if under_lock:
        key = DeadlyKey(KEY.key_id, KEY.private, signal.SIGKILL if moment == "locked" else signal.SIGSTOP)
    publisher = Publisher.connect(database_url, redis_url)
    with Store.connect(
        database_url,
        signing_key=key,
        publisher=DeadlyPublisher(publisher) if moment == "committed" else publisher,
    ) as store:
        for number in range(COMMITS):
            State.commits += 1
            try:
                key_of_edit = f"{moment} {number}" if under_lock else None
                with store.edit("base", author="doomed", reason=moment, idempotency_key=key_of_edit) as edit:
                    edit.set("load.doomed", f"{moment} {number}")
            except TrimtabError as error:
                say(type(error).__name__)
            else:
                say(str(edit.committed.revision))
    publisher.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
