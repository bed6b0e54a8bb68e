"""A line with signed messages and snapshots, made without a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trimtab.feeds.feed import SignedBytes
from trimtab.model import links, snapshots
from trimtab.model.changes import Change
from trimtab.model.items import LeafEdit
from trimtab.model.links import Link, Message, Position
from trimtab.model.snapshots import Snapshot
from trimtab.model.statements import SigningKey
from trimtab.model.states import State
from trimtab.model.structure import Lineage

KEY: Final = SigningKey("test", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY: Final = SigningKey("test", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))


@dataclass(frozen=True)
class Entry:
    """One revision: its message, and the snapshot of the state after it."""

    link: Link
    message: bytes
    snapshot: SignedBytes

    @property
    def position(self) -> Position:
        return self.link.position


class SignedLine:
    """Grows by `extend`; `step` is the distance between its revisions, as other environments take numbers too."""

    def __init__(
        self, environment: str = "production", *, epoch: int = 1, step: int = 3, key: SigningKey = KEY
    ) -> None:
        self.environment, self.epoch, self._step, self._key = environment, epoch, step, key
        self._state = State(Lineage((environment,)))
        self._urgent = 0
        self.entries: list[Entry] = []

    def extend(self, count: int = 1, padding: int = 0, *, urgent: bool = False) -> Entry:
        """Append revisions that each put one leaf; the last entry is returned."""
        for _ in range(count):
            self._extend(padding, urgent=urgent)
        return self.entries[-1]

    def next_epoch(self) -> None:
        """Begin a new epoch: the next entry is its first."""
        self.epoch, self._urgent = self.epoch + 1, 0

    @property
    def messages(self) -> list[bytes]:
        return [entry.message for entry in self.entries]

    def _extend(self, padding: int, *, urgent: bool) -> None:
        number = len(self.entries)
        edit = LeafEdit("", f"risk.key_{number % 5}", "put", b'"%d%s"' % (number, b"x" * padding))
        change = Change(
            environment=self.environment, author="a", reason="r", time="", urgent=urgent, edits=(edit,)
        ).encode()
        before = self.entries[-1].link if self.entries and self.entries[-1].link.epoch == self.epoch else None
        previous = links.genesis(self.environment, self.epoch) if before is None else before.hash
        self._state = self._state.apply(self.environment, (edit,))
        link = Link(
            environment=self.environment,
            epoch=self.epoch,
            revision=(number + 1) * self._step,
            previous_revision=0 if before is None else before.revision,
            previous_hash=previous,
            hash=links.chain(previous, change),
            checksum=self._state.checksum,
        ).signed(self._key)
        self._urgent = link.revision if urgent else self._urgent
        snapshot = Snapshot(self.environment, link.position, link.hash, self._state, self._urgent)
        body = snapshots.encode(snapshot)
        statement = snapshots.sign(snapshot, body, self._key)
        self.entries.append(Entry(link, Message(link, change).encode(), SignedBytes(statement.encode(), body)))
