"""How large a line's snapshot may have become: the writer refuses what would exceed the reader's limit (DESIGN §2).

A commit cannot make the snapshot to see. It goes by a bound: the length of a snapshot, and three times the bytes of
the changes since. The bound is asked of Postgres only where it may matter: not as long as everything that can have
been committed since it was last asked leaves room. Close to the limit the line is measured instead, and the plan then
depends on every item of it, so that what others commit meanwhile makes it anew.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from trimtab.model import canonical
from trimtab.model.errors import ValueRefused
from trimtab.model.items import LeafEdit
from trimtab.model.states import State
from trimtab.model.structure import Forest
from trimtab_store.database import Connection
from trimtab_store.reading import Head

GROWTH: Final = 3
"""Bytes of a snapshot for each byte of a change, at most: an edit has 30 bytes around its layer, path and value, which
become two, and 81 and the layer once more where it is the first in its layer."""
HEADER_BYTES: Final = 4096
"""The first two lines: at most 16 names of environments, as many dimensions, and numbers."""
CHANGES_PER_SECOND: Final = 128 * 1024 * 1024
"""More bytes of changes than any one Postgres commits: it writes each of them four times."""
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

# The newest snapshot after what is known, and what was committed after both; one statement, so one state of the store.
_BOUNDS: Final = """
    SELECT k.environment, k.revision, s.length, grown.bytes, grown.restructured
      FROM (SELECT asked.environment, asked.since, head.epoch, head.revision
              FROM unnest(%s::text[], %s::bigint[]) AS asked (environment, since), trimtab.store_head AS head) AS k
      LEFT JOIN LATERAL (
               SELECT n.revision, n.length FROM trimtab.snapshots AS n
                WHERE n.environment = k.environment AND n.epoch = k.epoch AND n.revision > k.since
                ORDER BY n.revision DESC LIMIT 1) AS s ON true
     CROSS JOIN LATERAL (
               SELECT coalesce(sum(octet_length(c.change)), 0)::bigint AS bytes,
                      coalesce(bool_or(v.kind = 'structure'), false) AS restructured
                 FROM trimtab.links AS l
                 JOIN trimtab.configuration_versions AS v USING (revision)
                 JOIN trimtab.changes AS c USING (version_id)
                WHERE l.environment = k.environment AND l.epoch = k.epoch
                  AND l.revision > greatest(s.revision, k.since)) AS grown
"""
_MEASURE: Final = """
    SELECT head.revision, coalesce(sum(held.bytes), 0)::bigint
      FROM trimtab.store_head AS head
      LEFT JOIN LATERAL (
               SELECT sum(octet_length(path) + coalesce(octet_length(content), 0) + 2)
                      + octet_length(environment) + octet_length(layer) + 24 AS bytes
                 FROM trimtab.configuration_current
                WHERE environment = ANY(%s::text[])
                GROUP BY environment, layer) AS held ON true
     GROUP BY head.revision
"""


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much a change lengthens the snapshot of every line that it reaches: a bound, and a closer one."""

    most: int
    close: int

    @classmethod
    def of(cls, environment: str, before: State, edits: Sequence[LeafEdit], change: bytes) -> Growth:
        """Of the bytes of a change; closer is what is put less what stood there, each layer counted as new."""
        layers = {edit.layer for edit in edits if edit.outcome is not None}
        close = sum(_group(environment, layer) for layer in layers) + sum(
            _item(edit.path, edit.outcome) - _item(edit.path, before.content(environment, edit.layer, edit.path))
            for edit in edits
        )
        return cls(GROWTH * len(change), close)


@dataclass(frozen=True, slots=True)
class Known:
    """A snapshot of the line at this revision has at most so many bytes; `at` is when that was asked."""

    epoch: int
    revision: int
    bytes: int
    at: float


@dataclass(slots=True)
class Sizes:
    """What one process knows of the lines that it writes. Threads may share it."""

    known: dict[str, Known] = field(default_factory=dict[str, Known])

    def check(self, connection: Connection, head: Head, forest: Forest, lines: Sequence[str], growth: Growth) -> bool:
        """Whether a line comes close to the limit, so that the plan depends on all of it.

        Raises `ValueRefused` if a snapshot of one of the lines could exceed the limit.
        """
        if growth.close <= 0:
            return False  # who makes a line smaller is always let through
        room = canonical.MAX_SNAPSHOT_BYTES - canonical.MAX_SNAPSHOT_BYTES // 16  # for what others are committing now
        asked = [name for name in lines if not self.is_far(name, head)]
        bounds = self._bounds(connection, head, asked) if asked else {}
        close = [name for name, bound in bounds.items() if bound is None or bound + growth.most > room]
        for name in close:
            held = self._measure(connection, head, name, forest.lineage(name).environments)
            if held + growth.close > canonical.MAX_SNAPSHOT_BYTES:
                raise _refused(name, held + growth.close)
        return bool(close)

    def is_far(self, name: str, head: Head) -> bool:
        """Whether all that can have been committed since the line was last asked for leaves half of the limit."""
        half = canonical.MAX_SNAPSHOT_BYTES // 2
        known = self.known.get(name)
        if known is None or known.epoch != head.epoch or known.bytes > half:
            return False
        if not head.structure_revision <= known.revision <= head.revision:
            return False  # another parent may have brought anything
        commits = half // (GROWTH * canonical.MAX_CHANGE_BYTES)
        seconds = half / (GROWTH * CHANGES_PER_SECOND)
        return head.revision - known.revision < commits or now() - known.at < seconds

    def _bounds(self, connection: Connection, head: Head, names: Sequence[str]) -> dict[str, int | None]:
        """A bound for each line, None where only measuring it can tell."""
        at = now()
        known = {
            name: one
            for name in names
            if (one := self.known.get(name)) and one.epoch == head.epoch and one.revision <= head.revision
        }
        since = [known[name].revision if name in known else 0 for name in names]
        found: dict[str, int | None] = {}
        for name, revision, length, grown, restructured in connection.execute(_BOUNDS, (list(names), since)):
            base = length if length is not None or name not in known else known[name].bytes
            if base is None or restructured:
                found[name] = None
                continue
            found[name] = bound = base + GROWTH * grown
            self.known[name] = Known(head.epoch, revision, bound, at)
        return found

    def _measure(self, connection: Connection, head: Head, name: str, lineage: Sequence[str]) -> int:
        at = now()
        row = connection.execute(_MEASURE, (list(lineage),)).fetchone()
        assert row is not None, "a migrated store has a head"
        held = HEADER_BYTES + int(row[1])
        self.known[name] = Known(head.epoch, row[0], held, at)
        return held


def now() -> float:
    """Seconds on a clock that nobody sets and that counts suspend."""
    return time.clock_gettime(_CLOCK)


def check_state(before: State, after: State) -> None:
    """Raise `ValueRefused` if a change of structure makes a line grow beyond the limit."""
    size = size_of(after)
    if size > canonical.MAX_SNAPSHOT_BYTES and size > size_of(before):
        raise _refused(after.lineage.environment, size)


def check_child(connection: Connection, head: Head, forest: Forest, parent: str | None) -> None:
    """Raise `ValueRefused` if an environment that inherits from `parent` and holds nothing yet could be too large."""
    if parent is not None:
        Sizes().check(connection, head, forest, (parent,), Growth(HEADER_BYTES, HEADER_BYTES))


def size_of(state: State) -> int:
    """A close bound of the length of a snapshot."""
    groups = sum(_group(environment, layer) for environment, layer in state.trees)
    return HEADER_BYTES + groups + sum(_item(item.path, item.content) for item in state.items())


def _item(path: str, content: bytes | None) -> int:
    return 0 if content is None else len(path.encode()) + len(content) + 2


def _group(environment: str, layer: str) -> int:
    return len(environment) + len(layer.encode()) + 24


def _refused(environment: str, size: int) -> ValueRefused:
    return ValueRefused(
        "This change is refused",
        f"a snapshot of {environment} could have {size} bytes then, at most {canonical.MAX_SNAPSHOT_BYTES} are allowed",
        "Remove what nobody reads any more, or keep large documents elsewhere and only their place here",
    )
