"""Items and the edits that change them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast

import orjson

from trimtab.model import canonical, layers, paths
from trimtab.model.errors import ValueRefused
from trimtab.model.trees import HIDDEN

Operation: TypeAlias = Literal["put", "hide", "remove"]
CHECKSUM_BYTES: Final = 32
_MODULUS: Final = 1 << (8 * CHECKSUM_BYTES)


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One leaf in one layer of one environment. `content` is canonical bytes, or `HIDDEN` for a tombstone."""

    environment: str
    layer: str
    path: str
    content: bytes

    def digest(self) -> int:
        """The item's share of the checksum: SHA-256 of its place and content as a number."""
        return digest(self.environment, self.layer, self.path, self.content)


@dataclass(frozen=True, slots=True, order=True)
class LeafEdit:
    """What a change does to one path of one layer of the edited environment: puts, hides or removes that very item."""

    layer: str
    path: str
    operation: Operation
    content: bytes | None = None

    @property
    def outcome(self) -> bytes | None:
        """What stands at the path afterwards."""
        return {"put": self.content, "hide": HIDDEN, "remove": None}[self.operation]

    def encode(self) -> bytes:
        """Its canonical bytes: an object of layer, path, and the value put, or `true` for what else is done."""
        done: object = orjson.Fragment(self.content or b"null") if self.operation == "put" else True
        return orjson.dumps({"layer": self.layer, "path": self.path, self.operation: done}, option=orjson.OPT_SORT_KEYS)


def read_edit(fields: dict[str, canonical.Json]) -> LeafEdit:
    """An edit from the parsed object; raises `ValueRefused`, or `KeyError` where a field is missing."""
    layer, path = _text(fields["layer"]), _text(fields["path"])
    segments = paths.split(path)
    if layers.parse(layer).text != layer or ('"' in path and paths.join(segments) != path):
        raise ValueRefused(
            "This change is refused", f"{path!r} in {layer!r} is not written canonically", "Update the writer"
        )
    if "put" in fields:
        return LeafEdit(layer, path, "put", canonical.encode(fields["put"]))
    return LeafEdit(layer, path, "hide" if fields.get("hide") is True else _removal(fields))


def _removal(fields: dict[str, canonical.Json]) -> Literal["remove"]:
    if fields.get("remove") is not True:
        raise ValueRefused("This change is refused", "an edit says neither put, hide nor remove", "Update this program")
    return "remove"


def _text(value: canonical.Json) -> str:
    if not isinstance(value, str):
        raise ValueRefused("This change is refused", "a layer or path is not a string", "Update the writer")
    return value


def digest(environment: str, layer: str, path: str, content: bytes) -> int:
    """SHA-256 over environment, layer, path and content, separated by a byte that none of them can hold."""
    text = b"%b%b\0%b" % (digest_prefix(environment, layer), path.encode(), content)
    return int.from_bytes(hashlib.sha256(text).digest(), "big")


def digest_prefix(environment: str, layer: str) -> bytes:
    """What the digests of all items of one layer start with."""
    return f"{environment}\0{layer}\0".encode()


def add_checksums(checksum: bytes, plus: Iterable[int] = (), minus: Iterable[int] = ()) -> bytes:
    """The checksum after items come and go: a sum modulo 2^256, so that order does not matter and a step costs O(1)."""
    total = (int.from_bytes(checksum, "big") + sum(plus) - sum(minus)) % _MODULUS
    return total.to_bytes(CHECKSUM_BYTES, "big")


NO_ITEMS: Final = bytes(CHECKSUM_BYTES)
"""The checksum of an empty state."""


def leaves(path: str, value: object) -> list[tuple[str, bytes]]:
    """The items that a value at a canonical path stands for: one for each scalar, array and empty object in it.

    Raises `ValueRefused` or `PathError` for what cannot be stored.
    """
    found: list[tuple[str, bytes]] = []
    _collect(path, value, found)
    return found


def _collect(path: str, value: object, found: list[tuple[str, bytes]]) -> None:
    paths.parse(path)
    if isinstance(value, dict) and value:
        for segment, below in cast("dict[object, object]", value).items():
            if not isinstance(segment, str):
                raise ValueRefused(f"The key {segment!r} below {path} is refused", "keys are strings", "Quote it")
            _collect(paths.child(path, segment), below, found)
        return
    try:
        content = canonical.encode(value)  # pyright: ignore[reportUnknownArgumentType] - an empty dict of anything
    except ValueRefused as error:
        raise ValueRefused(f"The value at {path} is refused", f"{error.what}: {error.why}", error.remedy) from error
    if len(content) > canonical.MAX_ITEM_BYTES:
        raise ValueRefused(
            f"The value at {path} is refused",
            f"it has {len(content)} bytes, at most {canonical.MAX_ITEM_BYTES} are allowed",
            "Split it, or keep it in a file and store its name",
        )
    found.append((path, content))
