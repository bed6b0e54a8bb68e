"""JSON files, as strict as the canonical form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trimtab.model import canonical
from trimtab.model.errors import ValueRefused
from trimtab_store.files.errors import FileRefused
from trimtab_store.files.text import FOREIGN_MARKS, MAX_FILE_BYTES, UTF8_MARK

if TYPE_CHECKING:
    from trimtab.model.canonical import Json


def load_json(text: bytes, *, name: str) -> Json:
    """The value of a JSON file of at most 16 MiB, UTF-8 with or without a byte order mark.

    Raises `FileRefused`, with line and column where the grammar is broken.
    """
    if len(text) > MAX_FILE_BYTES:
        why = f"it is larger than {MAX_FILE_BYTES // 2**20} MiB"
        raise FileRefused(name, "size", why, "Split it into several files")
    if text.startswith(FOREIGN_MARKS):
        why = "its byte order mark says UTF-16 or UTF-32"
        raise FileRefused(name, "encoding", why, "Save it as UTF-8")
    try:
        return canonical.decode(text.removeprefix(UTF8_MARK))
    except ValueRefused as error:
        cause = error.__cause__
        line, column = (cause.lineno, cause.colno) if isinstance(cause, json.JSONDecodeError) else (None, None)
        why = f"{error.what}: {error.why}"
        raise FileRefused(name, "json", why, error.remedy, line=line, column=column) from error
