"""Edits with the words that a command was given: author, reason, `--expect`, the key, `--urgent`, `--force`."""

from __future__ import annotations

from contextlib import AbstractContextManager

from trimtab_store.cli import options
from trimtab_store.ports import DryRun, Edit, Writer


def edit(
    writer: Writer, given: options.Replacing, *, reason: str | None = None, expect: int | None = None
) -> AbstractContextManager[Edit]:
    """Edits that become one revision; another reason or expectation stands instead of what was given."""
    return writer.edit(
        given.where,
        author=given.who,
        reason=given.reason if reason is None else reason,
        expect=given.expect if expect is None else expect,
        idempotency_key=given.key,
        urgent=given.urgent,
        force=given.force,
    )


def dry_run(writer: Writer, given: options.Replacing) -> AbstractContextManager[DryRun]:
    """Edits of which only is found out what they would do."""
    return writer.validate(given.where, author=given.who, expect=given.expect, force=given.force)
