"""The face of an agent towards its follower: swaps views in, and passes on what is true."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Final, cast

from trimtab.binding import Bindings
from trimtab.model import views
from trimtab.model.links import START, Position
from trimtab.model.overriding import LocalOverride
from trimtab.model.reports import AttachedBots, Refusal
from trimtab.model.views import View
from trimtab.reader import Assignment, Held, Reader
from trimtab.replica.events import Serve
from trimtab.standing import Standing
from trimtab.subscriptions import Subscriptions

AT_ONCE: Final = 16
"""So many differences are told in the same step as the swap, so that who waits for news does not wait for a breath."""

FREED_AT_ONCE: Final = 1_024
"""An old view with more paths in its cache is freed after a breath: for the largest that takes as long as the swap."""


class AgentFace:
    """See `trimtab.standing.Face`. It keeps its agent alive: only `close` ends that.

    `note` takes a new standing, or None where only the view is new, and wakes whoever waits for either.
    """

    def __init__(
        self,
        reader: Reader,
        bindings: Bindings,
        subscriptions: Subscriptions,
        note: Callable[[Standing | None], None],
    ) -> None:
        self._reader = reader
        self._bindings = bindings
        self._subscriptions = subscriptions
        self._note = note

    @property
    def held(self) -> Held:
        """See `Face.held`."""
        return self._reader.held

    def judge(self, view: View, position: Position) -> Sequence[Refusal]:
        """See `Face.judge`."""
        return self._bindings.judge(view, position)

    def refusals(self) -> tuple[Refusal, ...]:
        """See `Face.refusals`."""
        return self._bindings.refusals()

    def alarms(self) -> Mapping[str, str]:
        """See `Face.alarms`: whoever reads sees its own."""
        return {}

    def attached(self) -> AttachedBots | None:
        """See `Face.attached`: a bot is on its own."""
        return None

    def overridden(self) -> tuple[LocalOverride, ...]:
        """See `Face.overridden`: those of a bot are its replica's."""
        return ()

    def serve(self, served: Serve, *, first: bool) -> Iterator[None]:
        """See `Face.serve`."""
        old = self._reader.held
        if served.position < old.position or (served.position == old.position and not old.withheld):
            return  # a follower that began again has caught up with what is served
        differences = served.differences
        if first and old.position > START:
            differences = yield from _compare(cast("View", old.view), served.view)  # an agent holds no other
        new = old.following(served.view, served.position, served.hash, differences)

        def swap(also: Sequence[Assignment]) -> None:
            self._reader.swap(new, also)

        self._bindings.serve(new, swap)
        self._note(None)
        if len(differences) > AT_ONCE:
            yield
        yield from self._subscriptions.tell(old, new, differences, reload=served.reload)
        if len(old.cache) > FREED_AT_ONCE:
            yield

    def withhold(self, reason: str) -> None:
        """See `Face.withhold`."""

        def swap(also: Sequence[Assignment]) -> None:
            self._reader.withhold(reason, also)

        self._bindings.withhold(reason, swap)
        self._note(None)

    def stand(self, standing: Standing) -> None:
        """See `Face.stand`."""
        self._note(standing)


def _compare(old: View, new: View) -> Generator[None, None, views.Differences]:
    for step in views.compare_steps(old, new):
        if step is not None:
            return step
        yield
    raise AssertionError("the last step is the answer")
