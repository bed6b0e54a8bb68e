"""`trimtab apply`: the revisions that bring a store to a plan, one for each environment that differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from trimtab_store.editing import Request
from trimtab_store.sources.planning import TreePlan
from trimtab_store.writer import Committed

OnCommit = Callable[[Committed], None]


class Applies(Protocol):
    """What applying needs of a store."""

    def create_environment(
        self, name: str, *, parent: str | None, dimensions: Sequence[str] | None, author: str, reason: str
    ) -> Committed:
        """Create one."""
        ...

    def submit(self, request: Request) -> Committed:
        """Commit a request."""
        ...


def apply(store: Applies, plan: TreePlan, on_commit: OnCommit) -> None:
    """Commit a plan in its order, parents first; `on_commit` is told of each revision as soon as it is there.

    A missing environment is created by a revision of its own. Whoever committed meanwhile is not undone: each request
    is worked out anew when it is committed, and refused if it no longer holds.
    """
    for one in plan.environments:
        if one.creates:
            words = one.request
            on_commit(
                store.create_environment(
                    one.name,
                    parent=one.parent,
                    dimensions=one.dimensions if one.parent is None else None,
                    author=words.author,
                    reason=words.reason,
                )
            )
        if one.differences:
            committed = store.submit(one.request)
            if committed.created:
                on_commit(committed)
