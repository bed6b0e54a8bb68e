"""Publishing: the port through which a sidecar hands its state to the readers of shared memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from trimtab.model.changes import Change
from trimtab.model.links import Position
from trimtab.model.snapshots import Snapshot
from trimtab.standing import Standing


class Publishing(Protocol):
    """Called on the sidecar's loop only. Nothing raises for a directory that cannot be written: `alarms` says it."""

    @property
    def alarms(self) -> Mapping[str, str]:
        """What a person should know now: name → text."""
        ...

    @property
    def visible(self) -> bool:
        """Whether readers find what was published here, and not only what an earlier sidecar left."""
        ...

    def publish(self, snapshot: Snapshot, change: Change | None, follows: Position) -> Iterator[None]:
        """Serve a state, in steps. `change` is the one that leads to it from `follows`, None if unknown.

        It may lead from a position to the same one, with another hash: what this node overrides is other then.
        """
        ...

    def attest(self, standing: Standing, served: Position) -> None:
        """Say how far what is served can be trusted, and that the sidecar lives; at least once a second.

        The standing was true of the view at `served`.
        """
        ...

    def tidy(self) -> Iterator[None]:
        """What is due besides, in steps; about once a second."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class NotPublishing:
    """A sidecar without shared memory."""

    @property
    def alarms(self) -> Mapping[str, str]:
        """See `Publishing.alarms`."""
        return {}

    @property
    def visible(self) -> bool:
        """See `Publishing.visible`."""
        return True

    def publish(self, snapshot: Snapshot, change: Change | None, follows: Position) -> Iterator[None]:  # noqa: ARG002 - the shape of the port
        """See `Publishing.publish`."""
        return iter(())

    def attest(self, standing: Standing, served: Position) -> None:
        """See `Publishing.attest`."""

    def tidy(self) -> Iterator[None]:
        """See `Publishing.tidy`."""
        return iter(())

    def close(self) -> None:
        """See `Publishing.close`."""
