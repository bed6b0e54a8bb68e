"""The tables as the migrations make them; `tests/migration` compares both, constraints and collations included.

What each is for stands in `migrations/sql/0001_tables.sql`. Writing goes through the functions of `0001_commit.sql`:
the writer's role may only read most of these.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata: Final = MetaData(
    schema="trimtab",
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
    },
)


def _name(name: str, *arguments: Any, nullable: bool = False) -> Column[str]:
    """A key or a fixed word: compared byte by byte, so that a prefix is a range of an index."""
    return Column(name, Text(collation="C"), *arguments, nullable=nullable)


def _prose(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str, *arguments: Any, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, *arguments, nullable=nullable, autoincrement=False)


def _bytes(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable)


def _time(name: str, **options: Any) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, **options)


def _check(name: str, rule: str) -> CheckConstraint:
    return CheckConstraint(text(rule), name=name)


store_head: Final = Table(
    "store_head",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=text("true")),
    _number("epoch"),
    _number("revision"),
    _number("structure_revision"),
    _time("moved_at"),
    _number("audit_id"),
    _bytes("audit_hash"),
    Column("poll_after_ms", Integer, nullable=False, server_default=text("500")),
    _check("one_row", "only_row"),
    _check(
        "limits",
        "epoch > 0 AND structure_revision >= 0 AND revision >= structure_revision"
        " AND poll_after_ms BETWEEN 100 AND 60000",
    ),
)

epochs: Final = Table(
    "epochs",
    metadata,
    _number("epoch"),
    _number("from_epoch", nullable=True),
    _number("from_revision", nullable=True),
    _number("first_revision"),
    _time("declared_at"),
    _prose("reason"),
    _prose("lost"),
    PrimaryKeyConstraint("epoch"),
    _check("position", "epoch > 0 AND first_revision > 0"),
    _check(
        "origin",
        "CASE WHEN from_epoch IS NULL THEN from_revision IS NULL AND epoch = 1"
        " ELSE from_epoch < epoch AND from_revision >= 0 AND from_revision < first_revision END",
    ),
)

environments: Final = Table(
    "environments",
    metadata,
    _name("name"),
    _name("parent", ForeignKey("trimtab.environments.name"), nullable=True),
    Column("dimensions", JSONB(none_as_null=True)),
    _number("created_revision"),
    _number("changed_revision"),
    PrimaryKeyConstraint("name"),
    _check("name", "name ~ '^[a-z][a-z0-9_-]{0,62}$'"),
    _check("not_its_own_parent", "parent <> name"),
    _check(
        "dimensions",
        "CASE WHEN parent IS NULL THEN coalesce(jsonb_typeof(dimensions) = 'array', false) ELSE dimensions IS NULL END",
    ),
    _check("revisions", "created_revision > 0 AND changed_revision >= created_revision"),
)

environment_revisions: Final = Table(
    "environment_revisions",
    metadata,
    _name("environment"),
    _number("revision"),
    _name("parent", nullable=True),
    Column("dimensions", JSONB(none_as_null=True)),
    PrimaryKeyConstraint("environment", "revision"),
    _check("revision", "revision > 0"),
)

changes: Final = Table(
    "changes",
    metadata,
    Column("version_id", Uuid, nullable=False),
    _bytes("change"),
    PrimaryKeyConstraint("version_id"),
    _check("size", "octet_length(change) BETWEEN 2 AND 16777216"),
)

configuration_items: Final = Table(
    "configuration_items",
    metadata,
    Column("version_id", Uuid, nullable=False),
    _name("layer"),
    _name("path"),
    _name("operation"),
    _bytes("content", nullable=True),
    _name("previous_operation", nullable=True),
    _bytes("previous", nullable=True),
    PrimaryKeyConstraint("version_id", "path", "layer"),
    _check(
        "limits",
        "octet_length(layer) <= 1024 AND octet_length(path) BETWEEN 1 AND 1024 AND octet_length(content) <= 65536",
    ),
)

configuration_versions: Final = Table(
    "configuration_versions",
    metadata,
    _number("revision"),
    _number("epoch"),
    Column("version_id", Uuid, nullable=False),
    _name("environment", nullable=True),
    _name("kind"),
    _prose("author"),
    _prose("reason"),
    Column("urgent", Boolean, nullable=False),
    _time("committed_at"),
    _name("idempotency_key", nullable=True),
    _bytes("request_hash", nullable=True),
    PrimaryKeyConstraint("revision"),
    UniqueConstraint("version_id"),
    UniqueConstraint("idempotency_key"),
    Index("configuration_versions_committed_at", "committed_at"),
    Index("configuration_versions_urgent", "epoch", "revision", postgresql_where=text("urgent")),
    _check(
        "kind",
        "kind IN ('edit', 'rollback', 'import', 'structure', 'epoch') AND (environment IS NOT NULL OR kind = 'epoch')",
    ),
    _check(
        "limits",
        "octet_length(author) BETWEEN 1 AND 1024 AND octet_length(reason) <= 16384"
        " AND octet_length(idempotency_key) BETWEEN 1 AND 512",
    ),
    _check("idempotency", "octet_length(request_hash) = 32 AND (idempotency_key IS NULL) = (request_hash IS NULL)"),
)

item_revisions: Final = Table(
    "item_revisions",
    metadata,
    _name("environment"),
    _name("path"),
    _name("layer"),
    _number("revision"),
    Column("version_id", Uuid, nullable=False),
    PrimaryKeyConstraint("environment", "path", "layer", "revision"),
)

configuration_current: Final = Table(
    "configuration_current",
    metadata,
    _name("environment"),
    _name("path"),
    _name("layer"),
    _bytes("content", nullable=True),
    _number("revision"),
    Column("value", JSONB(none_as_null=True)),
    PrimaryKeyConstraint("environment", "path", "layer"),
)

links: Final = Table(
    "links",
    metadata,
    _name("environment"),
    _number("epoch"),
    _number("revision"),
    _number("previous_revision"),
    _bytes("previous_hash"),
    _bytes("hash"),
    _bytes("checksum"),
    _name("key_id"),
    _bytes("signature"),
    _bytes("header"),
    PrimaryKeyConstraint("environment", "epoch", "revision"),
    _check(
        "limits",
        "octet_length(checksum) = 32 AND octet_length(signature) = 64 AND octet_length(key_id) BETWEEN 1 AND 255"
        r" AND octet_length(header) <= 4096 AND position('\x0a'\:\:bytea IN header) = 0",
    ),
)

configuration_audit: Final = Table(
    "configuration_audit",
    metadata,
    _number("id"),
    _time("at"),
    _prose("actor"),
    _name("action"),
    _name("environment", nullable=True),
    _number("epoch"),
    _number("revision", nullable=True),
    Column("detail", JSONB(none_as_null=True)),
    _bytes("record"),
    _bytes("previous_hash"),
    _bytes("hash"),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("revision"),
    _check("limits", "octet_length(record) <= 1048576"),
)

_POSITION: Final = ("environment", "epoch", "revision")

snapshots: Final = Table(
    "snapshots",
    metadata,
    _name("environment"),
    _number("epoch"),
    _number("revision"),
    _number("length"),
    Column("chunks", Integer, nullable=False),
    _prose("statement"),
    _time("created_at", server_default=text("clock_timestamp()")),
    PrimaryKeyConstraint(*_POSITION),
    ForeignKeyConstraint(_POSITION, [links.c[name] for name in _POSITION]),
    _check("length", "length BETWEEN 1 AND 1073741824 AND chunks = (length + 1048575) / 1048576"),
    _check("statement", "octet_length(statement) BETWEEN 2 AND 4096"),
)

snapshot_chunks: Final = Table(
    "snapshot_chunks",
    metadata,
    _name("environment"),
    _number("epoch"),
    _number("revision"),
    Column("n", Integer, nullable=False),
    _bytes("chunk"),
    PrimaryKeyConstraint(*_POSITION, "n"),
    ForeignKeyConstraint(_POSITION, [snapshots.c[name] for name in _POSITION], ondelete="CASCADE"),
    _check("size", "n BETWEEN 0 AND 1023 AND octet_length(chunk) BETWEEN 1 AND 1048576"),
)

agent_reports: Final = Table(
    "agent_reports",
    metadata,
    _name("environment", ForeignKey("trimtab.environments.name")),
    _name("agent"),
    _time("at"),
    Column("report", JSONB, nullable=False),
    PrimaryKeyConstraint("environment", "agent"),
    Index("agent_reports_at", "at"),
    _check("agent", "octet_length(agent) BETWEEN 1 AND 255"),
)
