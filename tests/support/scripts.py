"""Publishers that take one script call at a time, in any order, beside a plain list that says what must come of it."""

from __future__ import annotations

from typing import TypeAlias

import redis
from hypothesis import strategies as st

from tests.support.line import Line
from tests.support.published import check_contiguous, texts_in_stream
from trimtab.model.published import STATEMENT_FIELD, Head, read_head
from trimtab_store.channel import Answer, Channel

Step: TypeAlias = "tuple[str, int]"
ENVIRONMENT = "production"


class Stepper:
    """`head` is the index of the published head in the line, `first` that of the stream's oldest entry."""

    def __init__(self, client: redis.Redis, line: Line, publishers: int) -> None:
        self.client, self.line = client, line
        self.channel = Channel(client)
        self.cursors = [0] * publishers
        self.seen = [b""] * publishers
        self.head = -1
        self.first = 0

    def steps(self) -> st.SearchStrategy[Step]:
        who = st.integers(0, len(self.cursors) - 1)
        append = st.tuples(st.just("append"), who)
        rarely = st.tuples(st.sampled_from(["jump", "look", "start", "flush", "stray"]), who)
        return st.one_of(append, append, append, rarely)

    def run(self, steps: list[Step]) -> None:
        for what, who in steps:
            getattr(self, f"_{what}")(who)
            self._compare()

    def finish(self) -> None:
        """One publisher goes on alone: everything is published."""
        for _ in range(2 * len(self.line.messages) + 2):
            self._append(0)
            self._compare()
        assert self.head == len(self.line.messages) - 1

    def _append(self, who: int) -> None:
        index = min(self.cursors[who], len(self.line.messages) - 1)
        answer, head = self._send(index)
        if answer is Answer.BEHIND:
            found = read_head(head)
            self.cursors[who] = 0 if found is None else self._index(found) + 1
        else:
            self.cursors[who] = index + 1

    def _jump(self, who: int) -> None:
        """A commit of its own just now: it tries that one first."""
        self.cursors[who] = len(self.line.messages) - 1

    def _stray(self, who: int) -> None:
        """A call that was on its way for long."""
        self._send(self.cursors[who] // 2)

    def _look(self, who: int) -> None:
        self.seen[who] = self.channel.inspect(ENVIRONMENT).head_text

    def _start(self, who: int) -> None:
        """Begin anew from a snapshot, as seen earlier: only if nobody else moved the head."""
        index = min(self.cursors[who], len(self.line.messages) - 1)
        link = self.line.messages[index].link
        self.channel.stage(ENVIRONMENT, str(who), STATEMENT_FIELD, b'{"epoch":%d,"revision":%d}' % (1, link.revision))
        answer = self.channel.start(ENVIRONMENT, self.seen[who], Head(link.position, link.hash), str(who))
        expected = self.seen[who] == self._head_text()
        assert answer is (Answer.STARTED if expected else Answer.MOVED)
        if expected:
            self.head, self.first = index, index + 1

    def _flush(self, _: int) -> None:
        self.client.flushall()
        self.head, self.first = -1, 0

    def _send(self, index: int) -> tuple[Answer, bytes]:
        message = self.line.messages[index]
        answer, head = self.channel.append(message.link, message.encode())
        assert (answer, head) == (self._expected(index), self._head_text())
        if answer is Answer.APPENDED:
            self.head = index
        return answer, head

    def _expected(self, index: int) -> Answer:
        if index == self.head:
            return Answer.ALREADY
        if index < self.head:
            return Answer.OLD
        return Answer.APPENDED if index == self.head + 1 else Answer.BEHIND

    def _compare(self) -> None:
        published = [message.encode() for message in self.line.messages[self.first : self.head + 1]]
        assert texts_in_stream(self.client) == published
        check_contiguous(self.client)

    def _head_text(self) -> bytes:
        if self.head < 0:
            return b""
        link = self.line.messages[self.head].link
        return Head(link.position, link.hash).encode()

    def _index(self, head: Head) -> int:
        return [message.position for message in self.line.messages].index(head.position)
