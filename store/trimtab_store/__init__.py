"""The writer's side of Trimtab: commit, validate, audit, publish, and the command line.

    from trimtab_store import Store

Nothing is imported until it is asked for, so that a command that needs no database does not load one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab_store.store import Store as Store
    from trimtab_store.writer import Committed as Committed

__all__ = ["Committed", "Store"]


def __getattr__(name: str) -> object:
    if name == "Store":
        from trimtab_store.store import Store  # noqa: PLC0415 - at first use, see above

        return Store
    if name == "Committed":
        from trimtab_store.writer import Committed  # noqa: PLC0415 - the same

        return Committed
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
