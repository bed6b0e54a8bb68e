"""Loading a tree of files as commits: missing environments are created, each gets its items in one revision."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from trimtab.model.structure import Forest
from trimtab_store.drafts import Place
from trimtab_store.editing import Request
from trimtab_store.files.tree import EnvironmentFiles, FleetTree
from trimtab_store.operations import Replace
from trimtab_store.sources.known import Known
from trimtab_store.sources.target import Sources
from trimtab_store.writer import Committed


class Loads(Protocol):
    """What loading needs of a store."""

    def forest(self) -> Forest:
        """The environments as they are."""
        ...

    def create_environment(
        self, name: str, *, parent: str | None, dimensions: Sequence[str] | None, author: str, reason: str
    ) -> Committed:
        """Create one."""
        ...

    def submit(self, request: Request) -> Committed:
        """Commit a request."""
        ...


def load_tree(
    store: Loads, tree: FleetTree, *, author: str, reason: str, only_new: Callable[[str], bool]
) -> list[Committed]:
    """The commits that bring a store to a tree, parents first; loading the same tree again commits nothing.

    An environment that is there already is left alone where `only_new` says so.
    """
    done: list[Committed] = []
    for one in tree.environments:
        known = store.forest().parents
        if one.name not in known:
            done.append(
                store.create_environment(
                    one.name, parent=one.parent, dimensions=one.dimensions, author=author, reason=reason
                )
            )
        elif only_new(one.name):
            continue
        operation = Replace(_target(tree, one))
        committed = store.submit(
            Request(environment=one.name, author=author, reason=reason, kind="import", operations=(operation,))
        )
        if committed.created:
            done.append(committed)
    return done


def _target(tree: FleetTree, files: EnvironmentFiles) -> Mapping[Place, bytes]:
    """The items of an environment, those of its .env files too."""
    lineage = tree.forest.lineage(files.name).environments

    def known(items: Mapping[Place, bytes]) -> Known:
        above = [item for one in tree.environments if one.name in lineage for item in one.items()]
        return Known.of(
            [*((item.path, item.content) for item in above), *((at[1], text) for at, text in items.items())]
        )

    return Sources(os.environ).target(files, None, known)[0].items
