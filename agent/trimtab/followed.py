"""What an agent and an attached reader do alike: how stale each category may be, and the block that ends them."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from trimtab.model import documents
from trimtab.typed import TypedAccess

if TYPE_CHECKING:
    from trimtab.reader import Held


class Followed(TypedAccess):
    """A reader that follows an environment until `close`."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def held(self) -> Held:
            """The served view with its name."""
            ...

        @property
        def staleness_seconds(self) -> float:
            """Seconds since the served view was last proven to be the newest; infinite if it never was."""
            ...

        def close(self) -> None:
            """Stop following."""

    def max_staleness(self, path: str) -> float:
        """How stale the category of a path may become before its reader should care, in seconds."""
        return documents.max_staleness(path.partition(".")[0])

    @property
    def too_stale(self) -> tuple[str, ...]:
        """The categories of the served view that are staler now than `max_staleness` allows."""
        return documents.too_stale(self.held.view.categories(), self.staleness_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
