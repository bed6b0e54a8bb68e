"""Backup and restore: a directory with one file for each table, as COPY writes it, and a manifest with their hashes.

    manifest.json               format, schema, position, and for each table its columns, bytes and SHA-256
    configuration_versions.copy
    …

What can be made again (snapshots) and what describes the moment (agents' reports) is left out. A backup is one state of
the database. It holds what the database holds: keep it as private as that.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from psycopg import sql

from trimtab.model.canonical import Json
from trimtab.model.errors import ConflictError, FilesRefused, UnavailableError, UsageError
from trimtab.model.links import Position
from trimtab.model.statements import Trust
from trimtab_store import migrate, reading, tables
from trimtab_store.database import Connection
from trimtab_store.verification import prove

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
_PIECE: Final = 1024 * 1024
_LEFT_OUT: Final = frozenset({"snapshots", "snapshot_chunks", "agent_reports"})
_SCHEMAS: Final = ("0001", "0002")
"""Those whose tables are the same: 0002 changed rights alone. A migration that changes a table begins anew here."""
_REMEDY: Final = "Use another backup"


@dataclass(frozen=True, slots=True)
class Saved:
    """One table of a backup."""

    name: str
    columns: tuple[str, ...]
    rows: int
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `position` is the head that it was taken at."""

    position: Position
    schema: str
    tables: tuple[Saved, ...]

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(one.rows for one in self.tables)

    def to_dict(self) -> dict[str, Json]:
        """The content of `manifest.json`."""
        return {
            "trimtab_backup": FORMAT,
            "schema": self.schema,
            "epoch": self.position.epoch,
            "revision": self.position.revision,
            "tables": [{**asdict(one), "columns": list(one.columns)} for one in self.tables],
        }


def names() -> tuple[str, ...]:
    """The tables that a backup holds, each after those that it refers to."""
    return tuple(table.name for table in tables.metadata.sorted_tables if table.name not in _LEFT_OUT)


def save(connection: Connection, directory: Path) -> Manifest:
    """Write a backup into a new directory; nothing is there until all of it is.

    The connection must see one state and be allowed to read every table, the audit included.
    """
    if directory.exists():
        raise UsageError(f"{directory} is refused", "it exists already", "Name a directory that does not exist")
    head = reading.head(connection)
    partial = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}")
    try:
        partial.mkdir(mode=0o700, parents=True)
        saved = tuple(_save_table(connection, partial, name) for name in names())
        manifest = Manifest(Position(head.epoch, head.revision), migrate.known()[-1], saved)
        _write(partial / MANIFEST, iter([json.dumps(manifest.to_dict(), indent=2).encode() + b"\n"]))
        _sync(partial)
        partial.rename(directory)
        _sync(directory.parent)
    except OSError as error:
        raise UnavailableError(
            f"The backup {directory} cannot be written",
            error.strerror or str(error),
            "Free some room, or use another place",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def read(directory: Path) -> Manifest:
    """The manifest of a backup whose every file is what was written; raises `FilesRefused` otherwise."""
    try:
        manifest = _manifest(json.loads((directory / MANIFEST).read_bytes()))
        for one in manifest.tables:
            digest = hashlib.sha256()
            for piece in _pieces(directory / f"{one.name}.copy"):
                digest.update(piece)
            if digest.hexdigest() != one.sha256:
                raise FilesRefused(
                    f"The backup {directory} is refused", f"{one.name}.copy is not what was written", _REMEDY
                )
    except OSError as error:
        raise FilesRefused(f"The backup {directory} is refused", error.strerror or str(error), _REMEDY) from error
    except (ValueError, KeyError, TypeError) as error:
        raise FilesRefused(f"The backup {directory} is refused", "its manifest is malformed", _REMEDY) from error
    return manifest


def load(connection: Connection, directory: Path, manifest: Manifest, trust: Trust | None, *, replace: bool) -> None:
    """Put a backup's rows in place inside the open transaction, and prove all of it.

    Raises `ConflictError` for a store that is not empty unless it is to be replaced.
    """
    if manifest.schema not in _SCHEMAS:
        raise FilesRefused(
            "This backup is refused",
            f"its schema is {manifest.schema}, not one of {', '.join(_SCHEMAS)}",
            "Update trimtab first",
        )
    connection.execute("LOCK TABLE trimtab.store_head IN ACCESS EXCLUSIVE MODE")
    now = reading.head(connection)
    if now.revision and not replace:
        raise ConflictError(
            "This store is not empty",
            f"it stands at revision {now.revision}",
            "Restore into a new database (and migrate it first), or say that this one is to be replaced",
        )
    every = [sql.Identifier("trimtab", table.name) for table in tables.metadata.sorted_tables]
    connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(every)))
    for one in manifest.tables:
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(*_target(one.name, one.columns))
        with connection.cursor().copy(statement) as copy:
            for piece in _pieces(directory / f"{one.name}.copy"):
                copy.write(piece)
    prove(connection, trust)
    found = reading.head(connection)
    if Position(found.epoch, found.revision) != manifest.position:
        raise FilesRefused("This backup is refused", "its head is not the one that its manifest names", _REMEDY)


def _save_table(connection: Connection, directory: Path, name: str) -> Saved:
    columns = tuple(column.name for column in tables.metadata.tables[f"trimtab.{name}"].columns if not column.computed)
    statement = sql.SQL("COPY {} ({}) TO STDOUT").format(*_target(name, columns))
    cursor = connection.cursor()
    with cursor.copy(statement) as copy:
        length, digest = _write(directory / f"{name}.copy", (bytes(piece) for piece in copy))
    return Saved(name, columns, cursor.rowcount, length, digest)


def _target(name: str, columns: Iterable[str]) -> tuple[sql.Composable, sql.Composable]:
    return sql.Identifier("trimtab", name), sql.SQL(", ").join(map(sql.Identifier, columns))


def _write(path: Path, pieces: Iterator[bytes]) -> tuple[int, str]:
    """Write a private, durable file; its length and SHA-256."""
    digest, length = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        for piece in pieces:
            digest.update(piece)
            length += file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return length, digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _manifest(fields: Any) -> Manifest:
    if fields["trimtab_backup"] != FORMAT:
        raise ValueError(fields["trimtab_backup"])
    known = names()
    saved = tuple(
        Saved(
            str(one["name"]), tuple(map(str, one["columns"])), int(one["rows"]), int(one["length"]), str(one["sha256"])
        )
        for one in fields["tables"]
    )
    if tuple(one.name for one in saved) != known:
        raise ValueError(saved)
    return Manifest(Position(int(fields["epoch"]), int(fields["revision"])), str(fields["schema"]), saved)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
