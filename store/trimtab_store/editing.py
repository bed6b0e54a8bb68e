"""The block of `with store.edit(…) as edit:`: it collects operations and hands them over when it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from trimtab.model import canonical, paths
from trimtab.model.changes import EpochRecord, Kind, StructureEdit
from trimtab.model.errors import UsageError
from trimtab_store.composed import ComposedEdits
from trimtab_store.operations import (
    EVERYTHING,
    Operation,
    Unset,
    hide_of,
    layer_text,
    leaves_of,
    request_hash_words,
)
from trimtab_store.writer import LayerLike

MAX_AUTHOR_BYTES: Final = 1024
MAX_REASON_BYTES: Final = 16 * 1024
MAX_KEY_BYTES: Final = 512

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One commit that is asked for."""

    environment: str
    author: str
    reason: str
    operations: tuple[Operation, ...] = ()
    kind: Kind = "edit"
    expect: int | None = None
    idempotency_key: str | None = None
    urgent: bool = False
    force: str | None = None
    """Why guards are passed over (`trimtab_store.guards`); None: they are not."""
    structure: StructureEdit | None = None
    epoch: EpochRecord | None = None

    @cached_property
    def hash(self) -> bytes:
        """What two uses of one idempotency key must have in common."""
        return hashlib.sha256(request_hash_words(self.environment, self.operations, urgent=self.urgent)).digest()

    @cached_property
    def scopes(self) -> tuple[str, ...]:
        """The outermost paths that the operations have to see, or `(EVERYTHING,)`."""
        return outermost(operation.scope for operation in self.operations)

    def check(self) -> Self:
        """The request itself; raises `UsageError` or `ValueRefused` for words that cannot be stored."""
        canonical.encode([self.author, self.reason, self.idempotency_key, self.force])
        if not self.author.strip():
            raise UsageError("An edit without an author is refused", "the audit names who did it", "Pass author=")
        for name, text, limit in (
            ("author", self.author, MAX_AUTHOR_BYTES),
            ("reason", self.reason, MAX_REASON_BYTES),
            ("idempotency key", self.idempotency_key or "x", MAX_KEY_BYTES),
            ("reason for force", self.force or "x", MAX_REASON_BYTES),
        ):
            if len(text.encode()) > limit:
                raise UsageError(f"This {name} is refused", f"it is longer than {limit} bytes", "Shorten it")
        if self.idempotency_key == "":
            raise UsageError(
                "An empty idempotency key is refused", "it names nothing", "Leave it out, or name the request"
            )
        if self.force is not None and not self.force.strip():
            raise UsageError(
                "Force without a reason is refused", "the audit names why", "Say why: force=REASON, or --force REASON"
            )
        if self.expect is not None and self.expect < 0:
            raise UsageError(
                f"expect={self.expect} is refused", "it is no revision", "Pass the revision that was edited"
            )
        return self


class EditBlock(ComposedEdits, Generic[R]):
    """Collects operations; `finish` is called with the request when the block ends without an error."""

    def __init__(self, start: Request, finish: Callable[[Request], R]) -> None:
        self._start = start.check()
        self._finish = finish
        self._operations: list[Operation] = []
        self._result: R | None = None

    @property
    def result(self) -> R:
        """What `finish` gave back; raises `UsageError` before the block has ended."""
        if self._result is None:
            raise UsageError("This edit is not committed", "its block has not ended well", "Read it after the block")
        return self._result

    @property
    def committed(self) -> R:
        """The same under the name that fits a commit."""
        return self.result

    def set(self, path: str, value: object, layer: LayerLike = None) -> None:
        """Put a value; an object replaces everything that the layer itself holds at and below the path."""
        self._operations.append(leaves_of(layer_text(layer), path, value))

    def merge(self, path: str, value: object, layer: LayerLike = None) -> None:
        """Put the leaves of an object and leave the layer's other items below the path alone."""
        self._operations.append(leaves_of(layer_text(layer), path, value, merges=True))

    def unset(self, path: str, layer: LayerLike = None) -> None:
        """Remove the layer's own items at and below a path, tombstones too."""
        self._operations.append(Unset(layer_text(layer), paths.canonical(path)))

    def hide(self, path: str, layer: LayerLike = None) -> None:
        """Mask a path and everything below it in lower ranks; the layer's own items there are removed."""
        self._operations.append(hide_of(layer_text(layer), path))

    def add(self, operation: Operation) -> None:
        """Any other operation."""
        self._operations.append(operation)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self._result = self._finish(replace(self._start, operations=tuple(self._operations)))


def outermost(found: Iterable[str]) -> tuple[str, ...]:
    """The canonical paths that lie below no other one; `(EVERYTHING,)` if that is among them."""
    texts = set(found)
    if EVERYTHING in texts:
        return (EVERYTHING,)
    return tuple(sorted(text for text in texts if texts.isdisjoint(paths.parents(text))))
