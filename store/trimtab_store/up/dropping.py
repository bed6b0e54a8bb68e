"""A fault on purpose: one bot loses one verified change before it reaches its view.

`lost` in the result of `trimtab up --demo` must find it; a test makes sure that it does. It is lost in the bot's own
process, between what the sidecar shares and what the bot resolves: the chain goes on, the checks hold, the revision is
taken and acknowledged, other bots see the value. Only what this one reads is wrong, and it stays wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trimtab.shared.content import NO_CANDIDATES, Content
from trimtab.shared.records import Candidates

CHANGES: Final = "demo.changes"
"""Below this path every change of the demonstration puts a value of its own."""


def drop_change(number: int) -> None:
    """Make this process lose the value that change `number` puts, in whichever file or log it stands."""
    doomed = f"{CHANGES}.{number}"
    honest = Content.look

    def forgetful(self: Content, path: str) -> tuple[Candidates, Iterable[str]]:
        return (NO_CANDIDATES, ()) if path == doomed else honest(self, path)

    Content.look = forgetful  # type: ignore[method-assign]  # the fault itself
