"""Names, sizes and checksums that writer and readers agree on. All numbers are little-endian.

A change of anything here is another `LAYOUT`, which readers of this one refuse.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from typing import Final, TypeAlias

from trimtab.model.errors import FilesRefused

LAYOUT: Final = 1
BYTE_ORDER: Final = 0x01020304
"""Reads as another number on a machine with the other byte order."""

PAGE: Final = 4096
PAYLOAD: Final = PAGE - 4
"""Of a page; its last four bytes are the checksum."""

HEAD: Final = "head"
SNAPSHOT: Final = "snapshot-"
CHANGES: Final = "changes-"

PREFIX: Final = struct.Struct("<8sII")
"""What every file starts with: magic, layout, byte order."""
MAGIC_HEAD: Final = b"TRIMTABH"
MAGIC_SNAPSHOT: Final = b"TRIMTABS"
MAGIC_CHANGES: Final = b"TRIMTABC"

HashPath: TypeAlias = Callable[[bytes], int]
"""From the UTF-8 bytes of a canonical path to 64 bits."""


def hash_path(path: bytes) -> int:
    """The first 64 bits of a path's BLAKE2b: the same in every process, and even enough to search by."""
    return int.from_bytes(hashlib.blake2b(path, digest_size=8).digest(), "little")


def checksum(content: bytes | memoryview, seed: int = 0) -> int:
    """CRC-32. `seed` is the place that the content belongs to, so that it counts at no other place."""
    return zlib.crc32(content, seed & 0xFFFFFFFF)


def snapshot_name(generation: int) -> str:
    """The snapshot file of a generation."""
    return f"{SNAPSHOT}{generation}"


def changes_name(generation: int) -> str:
    """The log of a generation."""
    return f"{CHANGES}{generation}"


def generation_of(name: str) -> int | None:
    """The generation that a file belongs to; None for a file that is neither snapshot nor log."""
    for prefix in (SNAPSHOT, CHANGES):
        number = name.removeprefix(prefix)
        if number != name and number.isascii() and number.isdigit() and str(int(number)) == number:
            return int(number)
    return None


def prefix(magic: bytes) -> bytes:
    """The first bytes of a file."""
    return PREFIX.pack(magic, LAYOUT, BYTE_ORDER)


def check_prefix(what: str, content: bytes, magic: bytes) -> None:
    """Refuse a file that does not start as it should."""
    if len(content) < PREFIX.size:
        raise damaged(what, "it is cut off")
    found, layout, order = PREFIX.unpack_from(content)
    if found != magic:
        raise damaged(what, "it does not start as such a file does")
    if order != BYTE_ORDER or layout != LAYOUT:
        raise FilesRefused(
            f"{what} is refused", f"its layout {layout} is not known here, only {LAYOUT}", "Update the older side"
        )


def damaged(what: str, why: str) -> FilesRefused:
    """The error for bytes that the writer did not write."""
    return FilesRefused(f"{what} is refused", why, "The sidecar writes it anew when it is started again")
