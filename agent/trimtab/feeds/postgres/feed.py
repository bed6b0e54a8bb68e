"""The feed from Postgres: the only one whose primary can certify how fresh a state is."""

from __future__ import annotations

from typing import Final

from trimtab.feeds.feed import MAX_CHANGES_BYTES, Changes, Head, SignedBytes, continues
from trimtab.feeds.postgres.connection import Wire
from trimtab.model import snapshots
from trimtab.model.errors import FeedUnavailable, SignatureRefused
from trimtab.model.links import Position

_HEAD: Final = (
    "SELECT epoch, revision, hash, store_revision, is_replica, poll_after_ms FROM trimtab.trimtab_head_v1(%s)"
)
# One statement, so that one snapshot of the database tells both where the head is and what leads to it.
_CHANGES: Final = """
SELECT h.epoch, h.revision, c.epoch, c.revision, c.message
  FROM trimtab.trimtab_head_v1(%s) AS h
  LEFT JOIN LATERAL trimtab.trimtab_changes_v1(%s, %s, %s, %s) AS c ON true
 ORDER BY c.epoch, c.revision
"""
# The same in the words of a poll, which mostly finds nothing new: then the second function has nothing to look for.
_POLL: Final = """
SELECT h.epoch, h.revision, h.hash, h.store_revision, h.is_replica, h.poll_after_ms, c.epoch, c.revision, c.message
  FROM trimtab.trimtab_head_v1(%s) AS h
  LEFT JOIN LATERAL trimtab.trimtab_changes_v1(
      CASE WHEN (h.epoch, h.revision) > (%s, %s) THEN %s END, %s, %s, %s) AS c ON true
 ORDER BY c.epoch, c.revision
"""
_SNAPSHOT: Final = "SELECT statement FROM trimtab.trimtab_snapshot_v1(%s)"
_CHUNK: Final = "SELECT trimtab.trimtab_snapshot_chunk_v1(%s, %s, %s, %s)"
_REPORT: Final = "SELECT trimtab.trimtab_report_v1(%s, %s, %s::jsonb)"
_RESTARTS: Final = 5


class PostgresFeed:
    """A `Feed` and a `Reporter` over one kept connection. Several hosts in the URL are tried in turn."""

    def __init__(self, url: str, environment: str, *, agent: str = "", seconds: float = 5.0) -> None:
        """`seconds` is the deadline of one statement; to connect, each host has two seconds; see `Patience`."""
        self._wire = Wire(url, seconds)
        self._environment, self._agent = environment, agent

    @property
    def name(self) -> str:
        """`postgres`."""
        return "postgres"

    async def head(self, after: Position | None = None) -> Head | None:
        """See `Feed.head`."""
        if after is None:
            rows = await self._wire.ask(_HEAD, (self._environment,))
        else:
            here = (after.epoch, after.revision)
            rows = await self._wire.ask(_POLL, (self._environment, *here, self._environment, *here, MAX_CHANGES_BYTES))
        if not rows:
            return None
        epoch, revision, digest, store_revision, is_replica, poll_after_ms = rows[0][:6]
        messages = () if after is None else tuple(row[8] for row in rows if row[8] is not None)
        return Head(
            epoch=epoch,
            revision=revision,
            hash=digest,
            store_revision=store_revision,
            is_replica=is_replica,
            poll_after_ms=poll_after_ms,
            messages=messages if messages and after is not None and continues(messages[0], after) else (),
        )

    async def changes(self, after: Position, max_bytes: int = MAX_CHANGES_BYTES) -> Changes:
        """See `Feed.changes`."""
        parameters = (self._environment, self._environment, after.epoch, after.revision, min(max_bytes, 2**31 - 1))
        rows = await self._wire.ask(_CHANGES, parameters)
        if not rows:
            return Changes((), trimmed=True)
        head = Position(rows[0][0], rows[0][1])
        found = [(Position(row[2], row[3]), row[4]) for row in rows if row[4] is not None]
        if not found:
            return Changes((), trimmed=head > after)
        if not continues(found[0][1], after):
            return Changes((), trimmed=True)
        return Changes(tuple(message for _, message in found), complete=found[-1][0] >= head)

    async def snapshot(self) -> SignedBytes | None:
        """See `Feed.snapshot`."""
        for _ in range(_RESTARTS):
            rows = await self._wire.ask(_SNAPSHOT, (self._environment,))
            if not rows:
                return None
            statement = str(rows[0][0]).encode()
            body = await self._body(statement)
            if body is not None:
                return SignedBytes(statement, body)
        raise FeedUnavailable(
            f"{self._wire.place} does not answer", "its snapshot was replaced again and again while it was read", ""
        )

    async def report(self, report: bytes) -> None:
        """See `Reporter.report`."""
        await self._wire.ask(_REPORT, (self._environment, self._agent, report.decode()), urges=False)

    async def close(self) -> None:
        """See `Feed.close`."""
        await self._wire.close()

    def abandon(self) -> None:
        """In a forked child, instead of `close`: the parent's connection goes on untouched."""
        self._wire.abandon()

    async def _body(self, statement: bytes) -> bytes | None:
        """The bytes that a statement speaks of; None if they were replaced meanwhile."""
        try:
            read = snapshots.read_statement(statement)
        except SignatureRefused as error:
            raise FeedUnavailable(f"{self._wire.place} does not answer", "it holds no readable snapshot", "") from error
        chunks: list[bytes] = []
        for number in range(read.chunks):
            [[chunk]] = await self._wire.ask(_CHUNK, (self._environment, read.epoch, read.revision, number))
            if chunk is None:
                return None
            chunks.append(chunk)
        return b"".join(chunks)
