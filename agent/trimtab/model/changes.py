"""Changes: what one revision did, as canonical bytes that are hashed, stored and sent as they are.

    {"author": …, "edits": [{"layer": "", "path": "risk.global.max_leverage", "put": 2.5}, …],
     "environment": "production", "kind": "edit", "reason": …, "time": "2026-01-05T14:03:07Z", "urgent": false, "v": 1}

Edits are leaf by leaf (`put`, `hide` or `remove`), sorted by layer and path, each place once. A change of structure or
the declaration of an epoch carries `structure` or `epoch` as well; it is not applied from its edits: whoever follows
takes the signed snapshot of that revision. `force` stands only in a change that was let past guards: the reason.
Revision and hash belong to the links (`trimtab.model.links`).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal, TypeAlias, cast, get_args

import orjson

from trimtab.model import canonical
from trimtab.model.errors import ValueRefused
from trimtab.model.items import LeafEdit, read_edit

Kind: TypeAlias = Literal["edit", "rollback", "import", "structure", "epoch"]
MAX_EDITS: Final = 200_000
LARGE_BYTES: Final = 16 * 1024
"""A longer change is read in steps: in one piece 16 KiB of small edits (300) take about 1.5 ms."""
STEP_EDITS: Final = 64


@dataclass(frozen=True, slots=True)
class StructureEdit:
    """An environment created or re-parented, or dimensions declared at a root."""

    environment: str
    parent: str | None
    dimensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """A declared loss: the new epoch, the cut in the old one, and what is known to be lost."""

    epoch: int
    from_epoch: int
    from_revision: int
    lost: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change. `time` is RFC 3339 in UTC and informs people; it never decides order.

    `force` is why guards were passed over, None where none had to be.
    """

    environment: str
    author: str
    reason: str
    time: str
    kind: Kind = "edit"
    urgent: bool = False
    force: str | None = None
    edits: tuple[LeafEdit, ...] = ()
    structure: StructureEdit | None = None
    epoch: EpochRecord | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of its edits, sorted, each once; made anew at each call."""
        return tuple(sorted({edit.path for edit in self.edits}))

    @property
    def needs_snapshot(self) -> bool:
        """Whether a follower must take the snapshot instead of applying the edits."""
        return self.structure is not None or self.epoch is not None

    def encode(self) -> bytes:
        """The canonical bytes; raises `ValueRefused` above 16 MiB."""
        fields: dict[str, object] = {
            "author": self.author,
            "edits": [orjson.Fragment(edit.encode()) for edit in sorted(self.edits)],
            "environment": self.environment,
            "kind": self.kind,
            "reason": self.reason,
            "time": self.time,
            "urgent": self.urgent,
            "v": 1,
        }
        if self.force is not None:
            fields["force"] = self.force
        if self.structure is not None:
            fields["structure"] = {
                "dimensions": list(self.structure.dimensions),
                "environment": self.structure.environment,
                "parent": self.structure.parent,
            }
        if self.epoch is not None:
            fields["epoch"] = {name: getattr(self.epoch, name) for name in EpochRecord.__slots__}
        canonical.encode([self.author, self.reason, self.environment, self.force])
        text = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
        _check_limits(len(self.edits), len(text))
        return text


def decode(text: bytes) -> Change:
    """Read the bytes of a change; raises `ValueRefused` for anything that `encode` would not have made."""
    try:
        fields = canonical.trusted(text)
        if not isinstance(fields, dict) or fields.get("v") != 1 or fields.get("kind") not in get_args(Kind):
            raise ValueRefused("This change is refused", "its version or kind is unknown", "Update this program")
        edits = tuple(read_edit(edit) for edit in cast("list[dict[str, canonical.Json]]", fields["edits"]))
        change = Change(
            environment=str(fields["environment"]),
            author=str(fields["author"]),
            reason=str(fields["reason"]),
            time=str(fields["time"]),
            kind=cast("Kind", fields["kind"]),
            urgent=fields["urgent"] is True,
            force=None if fields.get("force") is None else str(fields["force"]),
            edits=edits,
            structure=_read_structure(fields.get("structure")),
            epoch=_read_epoch(fields.get("epoch")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, orjson.JSONDecodeError) as error:
        raise _malformed(error) from error
    _check_order(edits)
    if change.encode() != text:
        raise _not_canonical()
    return change


def decode_steps(text: bytes) -> Iterator[Change | None]:
    """`decode` in steps: yields None after every `STEP_EDITS` edits of a large change, and at last the change."""
    if len(text) <= LARGE_BYTES:
        yield decode(text)
        return
    try:
        yield from _read_large(text)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise _malformed(error) from error


def _read_large(text: bytes) -> Generator[Change | None]:
    """One edit after the other; what stands around them is read as the change without edits that it would be."""
    _check_limits(0, len(text))
    characters = text.decode()
    first = _edits_begin(characters)
    if characters[first] == "]":
        yield decode(text)
        return
    edits: list[LeafEdit] = []
    at = end = first
    while not edits or characters[end] == ",":
        fields, end = _DECODER.raw_decode(characters, at)
        edit = read_edit(fields)
        if edit.encode().decode() != characters[at:end]:
            raise _not_canonical()
        _check_order((*edits[-1:], edit))
        edits.append(edit)
        at = end + 1
        if len(edits) % STEP_EDITS == 0:
            yield None
    _check_limits(len(edits), len(text))
    around = decode((characters[:first] + characters[end:]).encode())
    if around.edits:
        raise _not_canonical()
    yield replace(around, edits=tuple(edits))


def _edits_begin(characters: str) -> int:
    """Where the first edit of a canonical text stands: its author comes first, then its edits."""
    _, end = _DECODER.raw_decode(characters, len(_AUTHOR))
    if not characters.startswith(_AUTHOR) or not characters.startswith(_EDITS, end):
        raise _not_canonical()
    return end + len(_EDITS)


_DECODER: Final = json.JSONDecoder()
_AUTHOR: Final = '{"author":'
_EDITS: Final = ',"edits":['


def _check_limits(edits: int, length: int) -> None:
    why = ""
    if edits > MAX_EDITS:
        why = f"it has {edits} edits, at most {MAX_EDITS} are allowed"
    elif length > canonical.MAX_CHANGE_BYTES:
        why = f"it has {length} bytes, at most {canonical.MAX_CHANGE_BYTES} are allowed"
    if why:
        raise ValueRefused("This change is refused", why, "Split it into several revisions")


def _malformed(error: Exception) -> ValueRefused:
    return ValueRefused("This change is refused", f"it is malformed ({type(error).__name__})", "Update this program")


def _not_canonical() -> ValueRefused:
    return ValueRefused("This change is refused", "its bytes are not canonical", "Update the writer")


def _read_structure(fields: canonical.Json) -> StructureEdit | None:
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise ValueRefused("This change is refused", "a part of it is not an object", "Update this program")
    parent = fields["parent"]
    dimensions = cast("list[str]", fields["dimensions"])
    return StructureEdit(str(fields["environment"]), None if parent is None else str(parent), tuple(dimensions))


def _read_epoch(fields: canonical.Json) -> EpochRecord | None:
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise ValueRefused("This change is refused", "a part of it is not an object", "Update this program")
    numbers = [fields[name] for name in ("epoch", "from_epoch", "from_revision")]
    epoch, from_epoch, from_revision = (number if isinstance(number, int) else -1 for number in numbers)
    return EpochRecord(epoch, from_epoch, from_revision, str(fields["lost"]), str(fields["reason"]))


def _check_order(edits: Sequence[LeafEdit]) -> None:
    places = [(edit.layer, edit.path) for edit in edits]
    if any(one >= two for one, two in pairwise(places)):
        raise ValueRefused(
            "This change is refused", "its edits are not sorted, or one place stands twice", "Update the writer"
        )
