"""Changes: what one revision did, as canonical bytes that are hashed, stored and sent as they are.

    {"author": …, "edits": [{"layer": "", "path": "risk.global.max_leverage", "put": 2.5}, …],
     "environment": "production", "kind": "edit", "reason": …, "time": "2026-01-05T14:03:07Z", "urgent": false, "v": 1}

Edits are leaf by leaf (`put`, `hide` or `remove`), sorted by layer and path, each place once. A change of structure or
the declaration of an epoch carries `structure` or `epoch` as well; it is not applied from its edits: whoever follows
takes the signed snapshot of that revision. Revision and hash belong to the links (`trimtab.model.links`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal, TypeAlias, cast, get_args

import orjson

from trimtab.model import canonical, layers, paths
from trimtab.model.errors import ValueRefused
from trimtab.model.items import LeafEdit

Kind: TypeAlias = Literal["edit", "rollback", "import", "structure", "epoch"]
MAX_EDITS: Final = 200_000


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
    """One change. `time` is RFC 3339 in UTC and informs people; it never decides order."""

    environment: str
    author: str
    reason: str
    time: str
    kind: Kind = "edit"
    urgent: bool = False
    edits: tuple[LeafEdit, ...] = ()
    structure: StructureEdit | None = None
    epoch: EpochRecord | None = None
    paths: tuple[str, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", tuple(sorted({edit.path for edit in self.edits})))

    @property
    def needs_snapshot(self) -> bool:
        """Whether a follower must take the snapshot instead of applying the edits."""
        return self.structure is not None or self.epoch is not None

    def encode(self) -> bytes:
        """The canonical bytes; raises `ValueRefused` above 16 MiB."""
        fields: dict[str, object] = {
            "author": self.author,
            "edits": [_write_edit(edit) for edit in sorted(self.edits)],
            "environment": self.environment,
            "kind": self.kind,
            "reason": self.reason,
            "time": self.time,
            "urgent": self.urgent,
            "v": 1,
        }
        if self.structure is not None:
            fields["structure"] = {
                "dimensions": list(self.structure.dimensions),
                "environment": self.structure.environment,
                "parent": self.structure.parent,
            }
        if self.epoch is not None:
            fields["epoch"] = {name: getattr(self.epoch, name) for name in EpochRecord.__slots__}
        canonical.encode([self.author, self.reason, self.environment])
        if len(self.edits) > MAX_EDITS:
            raise ValueRefused(
                "This change is refused",
                f"it has {len(self.edits)} edits, at most {MAX_EDITS} are allowed",
                "Split it into several revisions",
            )
        text = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
        if len(text) > canonical.MAX_CHANGE_BYTES:
            raise ValueRefused(
                "This change is refused",
                f"it has {len(text)} bytes, at most {canonical.MAX_CHANGE_BYTES} are allowed",
                "Split it into several revisions",
            )
        return text


def decode(text: bytes) -> Change:
    """Read the bytes of a change; raises `ValueRefused` for anything that `encode` would not have made."""
    try:
        fields = canonical.trusted(text)
        if not isinstance(fields, dict) or fields.get("v") != 1 or fields.get("kind") not in get_args(Kind):
            raise ValueRefused("This change is refused", "its version or kind is unknown", "Update this program")
        edits = tuple(_read_edit(edit) for edit in cast("list[dict[str, canonical.Json]]", fields["edits"]))
        change = Change(
            environment=str(fields["environment"]),
            author=str(fields["author"]),
            reason=str(fields["reason"]),
            time=str(fields["time"]),
            kind=cast("Kind", fields["kind"]),
            urgent=fields["urgent"] is True,
            edits=edits,
            structure=_read_structure(fields.get("structure")),
            epoch=_read_epoch(fields.get("epoch")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, orjson.JSONDecodeError) as error:
        raise ValueRefused(
            "This change is refused", f"it is malformed ({type(error).__name__})", "Update this program"
        ) from error
    _check_order(edits)
    if change.encode() != text:
        raise ValueRefused("This change is refused", "its bytes are not canonical", "Update the writer")
    return change


def _write_edit(edit: LeafEdit) -> dict[str, object]:
    written: dict[str, object] = {"layer": edit.layer, "path": edit.path}
    if edit.operation == "put":
        written["put"] = orjson.Fragment(edit.content or b"null")
    else:
        written[edit.operation] = True
    return written


def _read_edit(fields: dict[str, canonical.Json]) -> LeafEdit:
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
