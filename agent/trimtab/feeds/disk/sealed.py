"""Small files: replaced as a whole, and sealed by a checksum against torn writes and rot (not against people)."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping
from typing import Final

from trimtab.files import Files
from trimtab.model import canonical
from trimtab.model.errors import FilesRefused, TrimtabError

MAX_BYTES: Final = 64 * 1024
TEMPORARY: Final = ".tmp"


def replace(files: Files, name: str, content: bytes) -> None:
    """Give a file new content so that a crash at any moment leaves the old or the new one, whole."""
    files.rename(prepare(files, name, content), name)
    files.sync_directory()


def prepare(files: Files, name: str, content: bytes) -> str:
    """Write content beside a file, down to stable storage, and return its temporary name."""
    temporary = name + TEMPORARY
    files.remove(temporary)
    handle = files.create(temporary)
    try:
        files.write(handle, content)
        files.sync(handle)
    except OSError:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            files.close_handle(handle)
            files.remove(temporary)
        raise
    files.close_handle(handle)
    return temporary


def write(files: Files, name: str, fields: Mapping[str, canonical.Json]) -> None:
    """Replace a small file by these fields and their checksum."""
    text = canonical.encode(dict(fields))
    replace(files, name, text + b"\n%08x\n" % zlib.crc32(text))


def read(files: Files, name: str) -> dict[str, canonical.Json] | None:
    """The fields of a small file, None if it is not there; raises `FilesRefused` if it is damaged, or `OSError`."""
    try:
        content = files.read(name, MAX_BYTES)
    except FileNotFoundError:
        return None
    text, _, seal = content.partition(b"\n")
    if seal == b"%08x\n" % zlib.crc32(text):
        with contextlib.suppress(TrimtabError):
            fields = canonical.decode(text)
            if isinstance(fields, dict):
                return fields
    raise FilesRefused(f"{files.place}/{name} is refused", "it is damaged", "It is written anew")
