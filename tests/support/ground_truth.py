"""What must hold after every disaster, told from PostgreSQL's tables by plain SQL and plain dicts.

Nothing here uses the store's reading, resolving or publishing: those are what is judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import redis

from tests.support import model_oracle as oracle
from tests.support.load import Load, Write
from tests.support.published import check_contiguous, head_text, texts_in_stream
from trimtab.model import paths
from trimtab.model.links import Position
from trimtab.model.statements import Trust
from trimtab_store.verification import prove

Place = tuple[str, str, str]
"""Environment, layer, path."""
_HIDDEN: Final = b""


@dataclass(frozen=True)
class Change:
    """One committed change as its exact bytes say."""

    position: Position
    kind: str
    environment: str
    edits: Mapping[tuple[str, str], bytes | None]
    """(layer, path) → canonical content, `b""` for a tombstone, None for removed."""


@dataclass(frozen=True)
class Truth:
    """Everything that PostgreSQL holds at one moment."""

    head: Position
    changes: tuple[Change, ...]
    current: Mapping[Place, bytes]
    parents: Mapping[str, str | None]
    dimensions: Mapping[str, tuple[str, ...]]
    lines: Mapping[str, tuple[Position, str]]
    """Environment → its newest position and hash."""
    messages: Mapping[str, tuple[bytes, ...]]
    """Environment → the messages of its newest epoch."""

    def replayed(self) -> dict[Place, bytes]:
        """The items once more, from the bytes of the changes alone."""
        found: dict[Place, bytes] = {}
        for change in self.changes:
            for (layer, path), content in change.edits.items():
                if content is None:
                    found.pop((change.environment, layer, path), None)
                else:
                    found[change.environment, layer, path] = content
        return found

    def lineage(self, environment: str) -> list[str]:
        """The environment and what it inherits from, root first."""
        found = [environment]
        while (parent := self.parents[found[0]]) is not None:
            found.insert(0, parent)
        return found

    def resolved(self, environment: str, identity: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
        """The labels of such a reader, and every leaf that it must see: path → value."""
        lineage = self.lineage(environment)
        dimensions = list(self.dimensions[lineage[0]])
        items = [_item(place, content) for place, content in self.current.items() if place[0] in lineage]
        labels = dict(identity)
        at = ("fleet", "bots", identity.get("bot", ""), "labels")
        for path, value in oracle.leaves(items, lineage, dimensions, labels).items():
            if path[:-1] == at:
                labels[path[-1]] = value
        seen = oracle.leaves(items, lineage, dimensions, labels)
        return labels, {paths.join(path): value for path, value in seen.items()}


def read(database_url: str) -> Truth:
    """Everything, in one snapshot of the database."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        ask = connection.cursor(binary=True).execute
        head = ask("SELECT epoch, revision FROM trimtab.store_head").fetchall()[0]
        changes = ask(
            "SELECT v.epoch, v.revision, c.change FROM trimtab.configuration_versions AS v"
            " JOIN trimtab.changes AS c USING (version_id) ORDER BY v.revision"
        ).fetchall()
        current = ask("SELECT environment, layer, path, content FROM trimtab.configuration_current").fetchall()
        environments = ask("SELECT name, parent, dimensions::text FROM trimtab.environments").fetchall()
        links = ask(
            "SELECT l.environment, l.epoch, l.revision, l.hash, l.header, c.change FROM trimtab.links AS l"
            " JOIN trimtab.configuration_versions AS v USING (revision)"
            " JOIN trimtab.changes AS c USING (version_id) ORDER BY l.epoch, l.revision"
        ).fetchall()
    lines = {row[0]: (Position(row[1], row[2]), row[3].hex()) for row in links}
    messages: dict[str, list[bytes]] = {name: [] for name in lines}
    for environment, epoch, _, _, header, change in links:
        if epoch == lines[environment][0].epoch:
            messages[environment].append(header + b"\n" + change)
    return Truth(
        head=Position(*head),
        changes=tuple(_change(Position(epoch, revision), text) for epoch, revision, text in changes),
        current={(name, layer, path): content or _HIDDEN for name, layer, path, content in current},
        parents={name: parent for name, parent, _ in environments},
        dimensions={name: tuple(json.loads(text)) for name, _, text in environments if text is not None},
        lines=lines,
        messages={name: tuple(found) for name, found in messages.items()},
    )


def check_store(database_url: str, trust: Trust, load: Load) -> Truth:
    """Nothing committed is lost, nothing refused is there, and the tables agree with each other."""
    truth = read(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        proof = prove(connection, trust)
        audited = connection.execute(
            "SELECT revision FROM trimtab.configuration_audit WHERE revision IS NOT NULL ORDER BY revision"
        ).fetchall()
        unfinished = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
        ).fetchone()
    assert unfinished == (0,)
    revisions = [change.position.revision for change in truth.changes]
    assert [revision for (revision,) in audited] == revisions
    assert proof.audited >= len(revisions)
    assert revisions == sorted(set(revisions))
    assert truth.head == truth.changes[-1].position
    assert truth.replayed() == dict(truth.current)
    _check_writes(truth, load)
    return truth


def check_redis(client: redis.Redis, truth: Truth) -> None:
    """The stream of every environment is a contiguous, verified end of its line in PostgreSQL, up to its head."""
    for environment, messages in truth.messages.items():
        check_contiguous(client, environment)
        texts = texts_in_stream(client, environment)
        assert texts == list(messages[len(messages) - len(texts) :]), environment
        position, digest = truth.lines[environment]
        assert head_text(client, environment) == f"{position.epoch} {position.revision} {digest}"


def _check_writes(truth: Truth, load: Load) -> None:
    by_position = {change.position: change for change in truth.changes}
    puts = [
        (content, change.environment, layer, path)
        for change in truth.changes
        for (layer, path), content in change.edits.items()
    ]
    counts: dict[bytes | None, int] = {}
    for content, *_ in puts:
        counts[content] = counts.get(content, 0) + 1
    for write, committed in load.acknowledged:
        change = by_position.get(committed.position)
        assert change is not None, f"{committed.position} was acknowledged and is not there"
        assert change.edits[write.layer, write.path] == _content(write), write
        assert counts[_content(write)] == 1, f"committed more than once: {write}"
    for write in load.told("refused"):
        assert counts.get(_content(write), 0) == 0, f"refused, and committed all the same: {write}"
    for write in load.told("unknown"):
        assert counts.get(_content(write), 0) <= 1, write


def _content(write: Write) -> bytes:
    return json.dumps(write.value).encode()


def _change(position: Position, text: bytes) -> Change:
    fields = json.loads(text)
    edits: dict[tuple[str, str], bytes | None] = {}
    for edit in fields.get("edits", ()):
        place = (edit["layer"], edit["path"])
        if "put" in edit:
            edits[place] = _encode(edit["put"])
        else:
            edits[place] = _HIDDEN if edit.get("hide") else None
    return Change(position, fields["kind"], fields["environment"], edits)


def _encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _item(place: Place, content: bytes) -> oracle.OracleItem:
    environment, layer, path = place
    selector = dict(pair.split("=", 1) for pair in layer.split(",")) if layer else {}
    return oracle.OracleItem(
        environment, selector, paths.parse(path), oracle.HIDE if content == _HIDDEN else json.loads(content)
    )
