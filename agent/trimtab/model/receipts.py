"""Receipts of attached bots: what each tells its sidecar about the revision that it applied, in one small datagram."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import orjson

from trimtab.model import layers
from trimtab.model.errors import TrimtabError, ValueRefused
from trimtab.model.fields import flag, number, string
from trimtab.model.positions import Position

SOCKET: Final = "receipts.sock"
"""The name of the datagram socket in a shared directory."""
MAX_RECEIPT_BYTES: Final = 4096
_NAME_CHARACTERS: Final = 128
_MAX_LABELS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A process `pid`, called `name`, serves `position` for these labels; `closed`: it does so no more."""

    name: str
    pid: int
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    position: Position
    closed: bool = False

    def encode(self) -> bytes:
        """One datagram; raises `ValueRefused` if it would be too long."""
        text = finish(begin(self.name, self.pid, self.labels), self.position, closed=self.closed)
        if len(text) > MAX_RECEIPT_BYTES:
            raise ValueRefused("This receipt is refused", f"it has {len(text)} bytes", "Use fewer or shorter labels")
        return text


def begin(name: str, pid: int, labels: Mapping[str, str]) -> bytes:
    """What all datagrams of a reader begin with: who sends many writes it once."""
    return orjson.dumps({"name": name[:_NAME_CHARACTERS], "pid": pid, "labels": dict(labels)})[:-1]


def finish(begun: bytes, position: Position, *, closed: bool) -> bytes:
    """A datagram that begins so."""
    shut = b"true" if closed else b"false"
    return b'%b,"epoch":%d,"revision":%d,"closed":%b}' % (begun, position.epoch, position.revision, shut)


def decode(text: bytes) -> Receipt:
    """Read a datagram; raises `ValueRefused` if it is none. Any process that may open the socket writes these."""
    if len(text) > MAX_RECEIPT_BYTES:
        raise ValueRefused("This receipt is refused", f"it has more than {MAX_RECEIPT_BYTES} bytes", "")
    try:
        fields = orjson.loads(text)
        return Receipt(
            name=string(fields["name"])[:_NAME_CHARACTERS],
            pid=number(fields["pid"]),
            labels=_labels(fields["labels"]),
            position=Position(number(fields["epoch"]), number(fields["revision"])),
            closed=flag(fields["closed"]),
        )
    except (ValueError, KeyError, TypeError, TrimtabError) as error:
        raise ValueRefused("This receipt is refused", f"it is malformed ({type(error).__name__})", "") from error


def _labels(value: Any) -> dict[str, str]:
    if type(value) is not dict or len(value) > _MAX_LABELS:  # pyright: ignore[reportUnknownArgumentType] - of anything
        raise TypeError("labels")
    return dict(layers.of(cast("dict[str, str]", value)).labels)  # which refuses what is no label
