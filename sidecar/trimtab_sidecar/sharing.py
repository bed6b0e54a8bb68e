"""Sharing: the writer of shared memory behind the sidecar's port."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from trimtab import clock
from trimtab.model.changes import Change
from trimtab.model.links import START, Position
from trimtab.model.snapshots import Snapshot
from trimtab.shared.head import Attested
from trimtab.standing import Standing
from trimtab_sidecar.shared.publisher import Publisher


class Sharing:
    """See `trimtab_sidecar.publishing.Publishing`."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    @property
    def alarms(self) -> Mapping[str, str]:
        """See `Publishing.alarms`."""
        return self._publisher.alarms

    @property
    def visible(self) -> bool:
        """See `Publishing.visible`."""
        return self._publisher.position > START

    def publish(self, snapshot: Snapshot, change: Change | None, follows: Position) -> Iterator[None]:
        """See `Publishing.publish`."""
        return self._publisher.publish(snapshot, change, follows)

    def attest(self, standing: Standing, served: Position) -> None:
        """See `Publishing.attest`."""
        freshness = standing.freshness
        self._publisher.attest(
            Attested(
                heartbeat=clock.now(),
                certified_at=freshness.certified_at if math.isfinite(freshness.certified_at) else None,
                served=served,
                proven=freshness.proven,
                poll_after=freshness.poll_after,
                following=standing.following,
                subscribed=freshness.subscribed,
                ahead=bool(freshness.ahead),
                forked=bool(freshness.forked),
                alarms=standing.alarms,
            )
        )

    def tidy(self) -> Iterator[None]:
        """See `Publishing.tidy`."""
        return self._publisher.tidy()

    def close(self) -> None:
        """See `Publishing.close`."""
        self._publisher.close()
