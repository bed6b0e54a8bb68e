"""A valid signed line, made without the store: in memory (where it is a `Source`), and written into the tables."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg.types.json import Jsonb

from trimtab.model import canonical, links, snapshots
from trimtab.model.changes import Change, EpochRecord
from trimtab.model.items import LeafEdit
from trimtab.model.links import Link, Message, Position
from trimtab.model.snapshots import CHUNK_BYTES, Snapshot, Statement
from trimtab.model.statements import SigningKey
from trimtab.model.states import State
from trimtab.model.structure import DEFAULT_DIMENSIONS, Lineage
from trimtab_store.deadlines import Deadline
from trimtab_store.source import PAGE_BYTES, StoreHead

KEY = SigningKey.from_bytes(canonical.encode({"id": "tests", "private": "07" * 32}))
TIME = "2026-01-05T14:03:07Z"


@dataclass
class Line:
    """The line of one environment that inherits from nothing. `stride` lets revisions be increasing but not dense."""

    environment: str = "production"
    key: SigningKey = KEY
    epoch: int = 1
    stride: int = 1
    is_replica: bool = False
    messages: list[Message] = field(default_factory=list[Message])
    state: State = field(init=False)
    signed: list[tuple[Statement, bytes]] = field(default_factory=list[tuple[Statement, bytes]])
    written: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.state = State(Lineage((self.environment,), DEFAULT_DIMENSIONS))

    @property
    def texts(self) -> list[bytes]:
        """The messages of the present epoch as they travel."""
        return [message.encode() for message in self.messages if message.link.epoch == self.epoch]

    @property
    def last(self) -> Link:
        return self.messages[-1].link

    def commit(self, value: object = None, *, path: str = "a.b") -> Message:
        """Extend the line by one change that puts a value at a path; by default a number of its own."""
        number = len(self.messages) + 1 if value is None else value
        edit = LeafEdit("", path, "put", canonical.encode(number))
        self.state = self.state.apply(self.environment, [edit])
        return self._extend(Change(environment=self.environment, author="t", reason="", time=TIME, edits=(edit,)))

    def commits(self, count: int) -> list[Message]:
        return [self.commit() for _ in range(count)]

    def declare(self) -> Message:
        """Begin the next epoch, as after a loss."""
        old = self.last
        self.epoch += 1
        record = EpochRecord(self.epoch, old.epoch, old.revision, "nothing", "a test")
        return self._extend(
            Change(environment=self.environment, author="t", reason="", time=TIME, kind="epoch", epoch=record)
        )

    def snapshot(self) -> tuple[Statement, bytes]:
        """Sign the present state."""
        made = Snapshot(self.environment, self.last.position, self.last.hash, self.state)
        text = snapshots.encode(made)
        self.signed.append((snapshots.sign(made, text, self.key), text))
        return self.signed[-1]

    def cut(self, count: int) -> Line:
        """Another line that shares the first `count` changes and no snapshot."""
        other = Line(self.environment, self.key, self.epoch, self.stride)
        other.messages = self.messages[:count]
        return other

    def _extend(self, change: Change) -> Message:
        same = [message.link for message in self.messages if message.link.epoch == self.epoch]
        text = change.encode()
        before = same[-1].hash if same else links.genesis(self.environment, self.epoch)
        link = Link(
            environment=self.environment,
            epoch=self.epoch,
            revision=(self.messages[-1].link.revision if self.messages else 0) + self.stride,
            previous_revision=same[-1].revision if same else 0,
            previous_hash=before,
            hash=links.chain(before, text),
            checksum=self.state.checksum,
        )
        self.messages.append(Message(link.signed(self.key), text))
        return self.messages[-1]

    # What a `Source` answers.

    def environments(self, deadline: Deadline) -> list[str]:
        deadline.check("")
        return [self.environment]

    def head(self, environment: str, deadline: Deadline) -> StoreHead | None:
        deadline.check("")
        if environment != self.environment or not self.messages:
            return None
        return StoreHead(self.last.position, self.last.hash, self.last.revision, self.is_replica)

    def changes(
        self, environment: str, after: Position, deadline: Deadline, at_most: int = PAGE_BYTES
    ) -> Sequence[bytes]:
        deadline.check("")
        if environment != self.environment:
            return []
        page: list[bytes] = []
        for message in self.messages:
            if message.link.epoch == self.epoch and message.position > after:
                text = message.encode()
                if page and sum(map(len, page)) + len(text) > at_most:
                    break
                page.append(text)
        return page

    def statement(self, environment: str, deadline: Deadline) -> bytes | None:
        deadline.check("")
        return self.signed[-1][0].encode() if self.signed and environment == self.environment else None

    def chunk(self, environment: str, position: Position, number: int, deadline: Deadline) -> bytes | None:
        deadline.check("")
        for statement, text in self.signed[-2:]:
            if statement.position == position and environment == self.environment and number < statement.chunks:
                return text[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
        return None

    # The tables.

    def write(self, database_url: str) -> None:
        """Write what is not yet in the tables, in one transaction, as a superuser could."""
        done, signed = self.written
        with psycopg.connect(database_url) as connection:
            if done == 0:
                connection.execute(
                    "INSERT INTO trimtab.environments (name, dimensions, created_revision, changed_revision)"
                    " VALUES (%s, %s, %s, %s)",
                    (self.environment, Jsonb(list(DEFAULT_DIMENSIONS)), *[self.messages[0].link.revision] * 2),
                )
            for message in self.messages[done:]:
                write_message(connection, message)
            for statement, text in self.signed[signed:]:
                write_snapshot(connection, statement, text)
            connection.execute(
                "UPDATE trimtab.store_head SET epoch = greatest(epoch, %s), revision = greatest(revision, %s)",
                (self.epoch, self.last.revision),
            )
        self.written = len(self.messages), len(self.signed)


def write_message(connection: psycopg.Connection[tuple[object, ...]], message: Message) -> None:
    """Write a link, its change and its version; the head of the store stays where it is."""
    link, version = message.link, uuid.uuid4()
    kind = "epoch" if b'"kind":"epoch"' in message.change else "edit"
    connection.execute("INSERT INTO trimtab.changes (version_id, change) VALUES (%s, %s)", (version, message.change))
    connection.execute(
        "INSERT INTO trimtab.configuration_versions (revision, epoch, version_id, environment, kind, author, reason,"
        " urgent, committed_at) VALUES (%s, %s, %s, %s, %s, 't', '', false, now())",
        (link.revision, link.epoch, version, link.environment, kind),
    )
    connection.execute(
        "INSERT INTO trimtab.links (environment, epoch, revision, previous_revision, previous_hash, hash, checksum,"
        " key_id, signature, header) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            link.environment,
            link.epoch,
            link.revision,
            link.previous_revision,
            link.previous_hash,
            link.hash,
            link.checksum,
            link.key_id,
            link.signature,
            link.header(),
        ),
    )


def write_snapshot(connection: psycopg.Connection[tuple[object, ...]], statement: Statement, text: bytes) -> None:
    """Write a signed snapshot with its chunks."""
    place = (statement.environment, statement.epoch, statement.revision)
    connection.execute(
        "INSERT INTO trimtab.snapshots (environment, epoch, revision, length, chunks, statement)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (*place, statement.length, statement.chunks, statement.encode().decode()),
    )
    for number in range(statement.chunks):
        chunk = text[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
        connection.execute(
            "INSERT INTO trimtab.snapshot_chunks (environment, epoch, revision, n, chunk) VALUES (%s, %s, %s, %s, %s)",
            (*place, number, chunk),
        )
