"""Settling one environment: what is wrong in Redis, and the one script that puts it right, until nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import redis

from trimtab.model import links, snapshots
from trimtab.model.errors import SignatureRefused
from trimtab.model.links import START, Message, Position
from trimtab.model.published import STATEMENT_FIELD, Head, read_head
from trimtab_store.channel import Answer, Channel, Seen, new_token
from trimtab_store.deadlines import Deadline
from trimtab_store.source import Source, StoreHead

_ROUNDS: Final = 32
_DONE: Final = frozenset({Answer.APPENDED, Answer.ALREADY, Answer.OLD})


class Outcome(StrEnum):
    """How publishing one environment ended."""

    PUBLISHED = "PUBLISHED"  # Redis holds what Postgres held when it was asked, or more
    FORK = "FORK"  # Postgres does not hold the published head: nothing was written; an alarm
    LAGGING = "LAGGING"  # the Postgres that was asked is a replica, behind what is published
    UNKNOWN = "UNKNOWN"  # Postgres knows no such environment
    UNFINISHED = "UNFINISHED"  # out of time, or a server is away; a relay goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was done for an environment: appended changes, a new start, a renewed snapshot; `detail` for people."""

    environment: str
    outcome: Outcome
    position: Position | None = None
    appended: int = 0
    started: bool = False
    renewed: bool = False
    detail: str = ""

    @property
    def repaired(self) -> bool:
        """Whether anything was written."""
        return self.started or self.renewed or self.appended > 0


class Attempt:
    """One try to publish one environment, until `deadline`."""

    def __init__(self, source: Source, channel: Channel, environment: str, deadline: Deadline) -> None:
        self._source, self._channel, self._environment, self._deadline = source, channel, environment, deadline
        self._position: Position | None = None
        self._appended = 0
        self._started = self._renewed = False

    def announce(self, message: Message, text: bytes) -> Published:
        """The short way of a commit: this change next, or those that are missing before it."""
        self._deadline.check("Redis was not asked")
        answer, found = self._append(message, text)
        head = read_head(found)
        if answer is Answer.BEHIND and head is not None:
            answer = self._backfill(head)
        if answer in _DONE:
            return self.ended(Outcome.PUBLISHED)
        return self.settle()

    def settle(self) -> Published:
        """Put right whatever is first found wrong, look again, and end when nothing is."""
        for _ in range(_ROUNDS):
            self._deadline.check("Redis was not asked")
            seen = self._inspect()  # before Postgres: what it names was committed by then
            truth = self._source.head(self._environment, self._deadline)
            if truth is None:
                return self.ended(Outcome.UNKNOWN)
            outcome, detail = self._bring_up(seen, truth)
            if outcome is not None:
                return self.ended(outcome, detail)
        return self.ended(Outcome.UNFINISHED, "it kept moving")

    def ended(self, outcome: Outcome, detail: str = "") -> Published:
        """The result so far."""
        return Published(
            environment=self._environment,
            outcome=outcome,
            position=self._position,
            appended=self._appended,
            started=self._started,
            renewed=self._renewed,
            detail=detail,
        )

    def _bring_up(self, seen: Seen, truth: StoreHead) -> tuple[Outcome | None, str]:
        """One repair; no outcome means: look again."""
        head = seen.head
        if head is None:
            return self._start(seen)
        self._position = head.position
        if head.position > truth.position:
            outcome = Outcome.LAGGING if truth.is_replica else Outcome.FORK
            return outcome, f"published is {head.position}, PostgreSQL holds {truth.position}"
        if not self._holds(head, truth):
            return Outcome.FORK, f"PostgreSQL does not hold what is published as {head.position} ({head.hash.hex()})"
        if head.position == truth.position:
            return self._look_after(seen, head)
        if not _ends_at(seen, head):
            return self._start(seen)
        self._backfill(head)
        return None, ""

    def _holds(self, head: Head, truth: StoreHead) -> bool:
        """Whether the line that Postgres holds goes through a published head, judged by the change that follows it.

        A higher epoch settles a fork: its first change replaces whatever was published before.
        """
        if head.position == truth.position:
            return head.hash == truth.hash
        for text in self._source.changes(self._environment, head.position, self._deadline, at_most=1)[:1]:
            link = links.read(text).link
            if link.epoch == head.position.epoch:
                return (link.previous_revision, link.previous_hash) == (head.position.revision, head.hash)
        return True

    def _backfill(self, head: Head) -> Answer:
        """Append what Postgres holds after a head, page by page, unless something is wrong; the last answer."""
        after, reached, answer = head.position, head.position, Answer.BEHIND
        while page := self._source.changes(self._environment, after, self._deadline):
            for text in page:
                message = links.read(text)
                after = message.position
                if after <= reached:
                    continue  # another publisher is ahead of us
                self._deadline.check("Redis was not asked")
                answer, found = self._append(message, text)
                if answer not in _DONE:
                    return answer
                ahead = read_head(found)
                reached = max(after, ahead.position) if answer is Answer.OLD and ahead is not None else after
        return answer

    def _append(self, message: Message, text: bytes) -> tuple[Answer, bytes]:
        answer, head = self._channel.append(message.link, text)
        self._appended += answer is Answer.APPENDED
        if answer in _DONE:
            self._position = message.position
        return answer, head

    def _look_after(self, seen: Seen, head: Head) -> tuple[Outcome | None, str]:
        """The head is right: see that the snapshot is the newest and that the stream goes on from it."""
        text = self._source.statement(self._environment, self._deadline)
        if text is not None and _is_news(text, seen, head):
            statement = snapshots.read_statement(text)
            answer = self._staged(statement, text, lambda token: self._channel.renew(statement, seen.statement, token))
            self._renewed |= answer is Answer.RENEWED
            return None, ""
        if _ends_at(seen, head) and _goes_on(seen):
            return Outcome.PUBLISHED, ""
        return self._start(seen)

    def _start(self, seen: Seen) -> tuple[None, str]:
        """Begin anew from the newest signed snapshot; without one, from the first link."""
        text = self._source.statement(self._environment, self._deadline)
        if text is None:
            answer = self._channel.start(self._environment, seen.head_text, None, new_token())
            for first in self._source.changes(self._environment, START, self._deadline, at_most=1)[:1]:
                self._append(links.read(first), first)
        else:
            statement = snapshots.read_statement(text)
            head = Head(statement.position, statement.hash)
            answer = self._staged(
                statement, text, lambda token: self._channel.start(self._environment, seen.head_text, head, token)
            )
        self._started |= answer is Answer.STARTED
        return None, ""

    def _staged(self, statement: snapshots.Statement, text: bytes, use: Callable[[str], Answer]) -> Answer:
        """Stage a snapshot and use it; what is not used is removed."""
        token, answer = new_token(), Answer.UNSTAGED
        try:
            self._channel.stage(self._environment, token, STATEMENT_FIELD, text)
            for number in range(statement.chunks):
                self._deadline.check("The snapshot was not sent")
                chunk = self._source.chunk(self._environment, statement.position, number, self._deadline)
                if chunk is None:
                    return answer  # a newer one took its place in Postgres
                self._channel.stage(self._environment, token, str(number).encode(), chunk)
            answer = use(token)
        finally:
            if answer not in {Answer.STARTED, Answer.RENEWED}:
                self._channel.unstage(self._environment, token)
        return answer

    def _inspect(self) -> Seen:
        try:
            return self._channel.inspect(self._environment)
        except redis.ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            self._channel.forget(self._environment)  # a key of ours that none of our scripts made
            return self._channel.inspect(self._environment)


def _is_news(text: bytes, seen: Seen, head: Head) -> bool:
    """Whether Postgres has another snapshot of this line than the published one, or that one is incomplete."""
    statement = snapshots.read_statement(text)
    if statement.epoch != head.position.epoch or statement.position > head.position:
        return False
    return text != seen.statement or seen.snapshot_fields != statement.chunks + 1


def _ends_at(seen: Seen, head: Head) -> bool:
    """Whether the stream ends at the head; an empty one does if the snapshot is the head's."""
    if seen.newest is None:
        return _snapshot_position(seen) == head.position
    return seen.newest == head.position and seen.counted


def _goes_on(seen: Seen) -> bool:
    """Whether nothing is missing between snapshot and stream but what the cap removed."""
    if seen.oldest is None or seen.before_oldest == 0:
        return True
    before = Position(seen.oldest.epoch, seen.before_oldest)
    snapshot = _snapshot_position(seen)
    return seen.trimmed == before or (snapshot is not None and snapshot >= before)


def _snapshot_position(seen: Seen) -> Position | None:
    try:
        return snapshots.read_statement(seen.statement).position
    except SignatureRefused:
        return None
