"""A fault on purpose: lose one verified change before it reaches the view.

`lost` in the result of `trimtab up --demo` must find it; a test makes sure that it does. The chain goes on, the checks
hold, the revision is reported as served: only what readers see is wrong, and it stays wrong.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Final

from trimtab.model import links
from trimtab.model.changes import Change
from trimtab.model.items import LeafEdit
from trimtab.model.links import Position
from trimtab.model.snapshots import Snapshot
from trimtab.replica.events import Effect
from trimtab.replica.serving import Serving

CHANGES: Final = "demo.changes"
"""Below this path every change of the demonstration puts a value of its own."""


def drop_change(number: int) -> None:
    """Make this process lose the value that change `number` puts."""
    doomed = LeafEdit("", f"{CHANGES}.{number}", "remove")
    honest = Serving.offer

    def forgetful(
        self: Serving, snapshot: Snapshot, change: Change | None = None, follows: Position = links.START
    ) -> Generator[Effect, None, None]:
        state = snapshot.state.apply(snapshot.environment, [doomed])
        yield from honest(self, replace(snapshot, state=state), change, follows)

    Serving.offer = forgetful  # type: ignore[method-assign]  # the fault itself
