"""What stands in Redis for one environment: the names of its keys, and the text of its head.

    trimtab:{production}:head       "EPOCH REVISION HASH", the newest change that the stream holds
    trimtab:{production}:stream     entries EPOCH-REVISION, field m = a message (`trimtab.model.links`), capped by bytes
    trimtab:{production}:snapshot   hash: meta = a signed statement, 0, 1, … = the chunks of its bytes
    trimtab:{production}:size       hash: bytes of the stream's messages; trimmed = the last entry that the cap removed
    trimtab:{production}:fleet      hash: agent → its report
    trimtab:{production}:changes    channel: M + message up to 32 KiB, else N + head

The braces put all of them into one slot of a cluster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from trimtab.model.links import Position

INLINE_BYTES: Final = 32 * 1024
"""The longest message that travels inside an announcement."""
MESSAGE_FIELD: Final = b"m"
STATEMENT_FIELD: Final = b"meta"
INLINE: Final = b"M"
NAMED: Final = b"N"

_HEAD: Final = re.compile(rb"(0|[1-9][0-9]{0,18}) (0|[1-9][0-9]{0,18}) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one environment's keys and channel."""

    environment: str

    @property
    def head(self) -> str:
        """The newest change that was published."""
        return self._name("head")

    @property
    def stream(self) -> str:
        """The latest changes."""
        return self._name("stream")

    @property
    def snapshot(self) -> str:
        """The signed snapshot that the stream goes on from."""
        return self._name("snapshot")

    @property
    def size(self) -> str:
        """The byte count of the stream."""
        return self._name("size")

    @property
    def fleet(self) -> str:
        """What agents report."""
        return self._name("fleet")

    @property
    def changes(self) -> str:
        """The channel of announcements."""
        return self._name("changes")

    def staged(self, token: str) -> str:
        """Where one publisher puts a snapshot together before it takes the place of the old one."""
        return self._name(f"snapshot:{token}")

    def _name(self, what: str) -> str:
        return f"trimtab:{{{self.environment}}}:{what}"


@dataclass(frozen=True, slots=True)
class Head:
    """The name of a line's newest published change."""

    position: Position
    hash: bytes

    def encode(self) -> bytes:
        """The text of the head key."""
        return f"{self.position.epoch} {self.position.revision} {self.hash.hex()}".encode()


def read_head(text: bytes) -> Head | None:
    """The head that a text names; None if no publisher wrote it."""
    found = _HEAD.fullmatch(text)
    return found and Head(Position(int(found[1]), int(found[2])), bytes.fromhex(found[3].decode()))
