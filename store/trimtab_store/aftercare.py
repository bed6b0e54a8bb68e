"""What follows a commit: publishing it, and signing the snapshots that are due. Neither can undo or fail it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from trimtab_store.commit import Made
from trimtab_store.snapshots import Snapshots
from trimtab_store.writer import Committed, Publisher, Receipts

PUBLISH_SECONDS: Final = 1.0


@dataclass(slots=True)
class Aftercare:
    """Looks after what was committed; parts that are None are left out."""

    snapshots: Snapshots | None = None
    publisher: Publisher | None = None
    receipts: Receipts | None = None

    def of(self, made: Made) -> Committed:
        """Do what is due after a commit, and hand it to the caller.

        Agents cannot apply a change of structure or epoch without its snapshot, so there the snapshot comes first;
        otherwise it would only delay the publishing.
        """
        anew = made.plan is not None and made.plan.request.kind in {"structure", "epoch"}
        if anew:
            self._sign(made, anew=True)
        if self.publisher is not None:
            # without messages the publisher settles everything, the new snapshot included
            messages = [] if anew else [message.encode() for message in made.messages]
            self.publisher.publish(made.committed.environments, PUBLISH_SECONDS, messages)
        if not anew:
            self._sign(made, anew=False)
        return replace(made.committed, receipts=self.receipts)

    def _sign(self, made: Made, *, anew: bool) -> None:
        if self.snapshots is not None and made.messages:
            self.snapshots.after(made.messages, anew=anew)
