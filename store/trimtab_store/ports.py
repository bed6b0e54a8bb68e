"""The port through which configuration is changed: `Writer`, and the blocks of edits that it hands out.

The commands that change something know nothing else of a store, so that they work on whatever implements it:
`trimtab_store.store.Store`, which is the direct one (`trimtab_store.cli.connecting.writer` hands it out as a `Writer`,
where a type checker compares the two), or a client of a gateway. Reading is not part of it: a reader may ask any copy
of the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from trimtab_store.portable import Format
from trimtab_store.writer import Committed, LayerLike, RolledBack, Validated

if TYPE_CHECKING:
    from trimtab.categories import Token


class Edits(Protocol):
    """Operations on one environment. They apply in the order in which they are called."""

    def set(self, path: str, value: object, layer: LayerLike = None) -> None:
        """Put a value; an object replaces everything that the layer itself holds at and below the path."""
        ...

    def merge(self, path: str, value: object, layer: LayerLike = None) -> None:
        """Put the leaves of an object and leave the layer's other items below the path alone."""
        ...

    def unset(self, path: str, layer: LayerLike = None) -> None:
        """Remove the layer's own items at and below a path, tombstones too, so that lower ranks show again.

        Raises `PathNotFound` at the end of the block if there is none.
        """
        ...

    def hide(self, path: str, layer: LayerLike = None) -> None:
        """Mask a path and everything below it in lower ranks; the layer's own items there are removed."""
        ...

    def update(self, values: Mapping[str, object], layer: LayerLike = None) -> None:
        """Put values by path; where one is an object, its leaves are put and the others beside them left alone."""
        ...

    def update_risk_limit(self, name: str, value: float | str | Decimal, layer: LayerLike = None) -> None:
        """Put one limit of `risk.global`; an exact amount as text or `Decimal`."""
        ...

    def add_token(self, token: Mapping[str, object] | Token, layer: LayerLike = None) -> None:
        """Put a token under its address, with what is said of it and nothing else; raises `UsageError` without one."""
        ...

    def set_strategy_parameter(self, strategy: str, name: str, value: object, layer: LayerLike = None) -> None:
        """Put one parameter of a strategy."""
        ...


class Edit(Edits, Protocol):
    """Edits that become one revision."""

    @property
    def committed(self) -> Committed:
        """The result; raises `UsageError` before the block has ended."""
        ...


class DryRun(Edits, Protocol):
    """Edits of which only is found out what they would do."""

    @property
    def result(self) -> Validated:
        """What was found; raises `UsageError` before the block has ended."""
        ...


class Writer(Protocol):
    """Who can change configuration. Every call is one revision, or none and an error of `trimtab.model.errors`.

    A call whose answer is lost raises `OutcomeUnknown`; nothing is retried without an idempotency key, and the same key
    with another request raises `IdempotencyMismatch`. `expect` is the revision that the caller has seen: raises
    `ExpectationFailed` if what the call touches, as readers see it, changed since. `urgent` revisions are served by
    agents that hold back others. `force` is the reason for which a change is let past guards that would refuse it.
    """

    def edit(
        self,
        environment: str,
        *,
        author: str,
        reason: str = "",
        expect: int | None = None,
        idempotency_key: str | None = None,
        urgent: bool = False,
        force: str | None = None,
    ) -> AbstractContextManager[Edit]:
        """Edits that are committed at the end of the block, and dropped if it raises."""
        ...

    def validate(
        self, environment: str, *, author: str = "validate", expect: int | None = None, force: str | None = None
    ) -> AbstractContextManager[DryRun]:
        """Edits that are checked at the end of the block as `edit` would; nothing is committed."""
        ...

    def rollback(  # noqa: PLR0913 - the words of an edit, and what to go back to
        self,
        environment: str,
        to_revision: int,
        *,
        author: str,
        reason: str = "",
        pin: bool = False,
        expect: int | None = None,
        idempotency_key: str | None = None,
        urgent: bool = False,
        force: str | None = None,
    ) -> RolledBack:
        """Bring an environment's own items back to what they were; `pin` also overrides what parents changed since."""
        ...

    def import_environment(  # noqa: PLR0913 - the words of an edit, and a file
        self,
        text: bytes,
        form: Format = "json",
        *,
        environment: str | None = None,
        author: str,
        reason: str = "",
        expect: int | None = None,
        idempotency_key: str | None = None,
        urgent: bool = False,
        force: str | None = None,
    ) -> Committed:
        """Make an environment's own items exactly what a file says: the one it names, unless another is given."""
        ...

    def create_environment(
        self,
        name: str,
        *,
        parent: str | None = None,
        dimensions: Sequence[str] | None = None,
        author: str,
        reason: str = "",
    ) -> Committed:
        """Create an environment: a root that declares dimensions, or one that inherits from `parent`."""
        ...

    def reparent_environment(
        self, name: str, parent: str | None, *, author: str, reason: str = "", force: str | None = None
    ) -> Committed:
        """Make an environment inherit from another, or from none."""
        ...

    def declare_dimensions(self, root: str, dimensions: Sequence[str], *, author: str, reason: str = "") -> Committed:
        """Declare the dimensions of a tree at its root, least specific first."""
        ...

    def declare_epoch(
        self, from_revision: int, *, reason: str, author: str, lost: str = "", above: int | None = None
    ) -> Committed:
        """Declare that history goes on from `from_revision`, which must be the head, in a new epoch."""
        ...
