"""Serving: which verified state the readers see.

The line follows the chain; the served view may stay behind it, for three reasons: the labels no longer meet
`require=`, a binding refuses a value under `hold="all"`, or a revision is quarantined after unclean ends. It never
goes back.

An urgent revision is owed to the readers until a view at or after it is served, whatever a binding refuses, and however
the line came to pass it: each state names the newest urgent revision behind it. It lifts neither `require=` nor the
quarantine of a stretch that it lies in.

The first state served that is newer than what the disk gave back after a crash loop uses up its unclean ends, whether
anything was quarantined or not: they told of older states, and the next start serves the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Literal, TypeAlias

from trimtab.model import labels, layers, links, views
from trimtab.model.changes import Change
from trimtab.model.links import Position
from trimtab.model.overriding import LocalOverride, Overrides
from trimtab.model.reports import Refusal
from trimtab.model.snapshots import Snapshot
from trimtab.model.states import STEP
from trimtab.model.views import View
from trimtab.replica.events import Differences, Effect, ForgetUncleanEnds, Pause, Serve, Withhold

Hold: TypeAlias = Literal["binding", "all"]
Admit: TypeAlias = Callable[[View, Position], Sequence[Refusal]]
"""What the bindings would refuse of a view. Pure: it changes nothing."""


def admit_all(_view: View, _position: Position) -> Sequence[Refusal]:
    """The judge of a reader without bindings."""
    return ()


class Serving:
    """The served view, and what keeps a newer one from being served."""

    def __init__(
        self,
        identity: Mapping[str, str],
        require: Mapping[str, str] | None = None,
        hold: Hold = "binding",
        admit: Admit = admit_all,
        overrides: Overrides | None = None,
    ) -> None:
        self._overrides = overrides
        self.overridden: tuple[LocalOverride, ...] = ()
        self._identity = dict(identity)
        self._require = dict(require or {})
        self._hold = hold
        self._admit = admit
        self._built: tuple[Snapshot, View] | None = None
        self.view: View | None = None
        self.position = links.START
        self.hash = b""
        self.quarantined: Position | None = None
        self.crashed_upto: Position | None = None  # the newest state that the last unclean ends may have come from
        self.withheld = ""
        self.held: tuple[Refusal, ...] = ()
        self._urgent = links.START  # the newest urgent revision known; a state tells of those of its own epoch only

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the newest verified state, served or not; the identity alone before the first."""
        return self._identity if self._built is None else self._built[1].labels

    def offer(
        self, snapshot: Snapshot, change: Change | None = None, follows: Position = links.START
    ) -> Generator[Effect, None, None]:
        """Resolve a newer state, and serve it unless something holds it back. Yields `Pause` between steps.

        `change` is the one change that leads to it from the state at `follows`, None where more lie between.
        """
        if snapshot.position <= self.position:
            return
        built = None if self._built is None else self._built[0].position
        view, differences = yield from self._resolve(snapshot, change if built == follows else None)
        view, differences, overridden = self._overlaid(view, differences)
        self._urgent = max(self._urgent, snapshot.urgent_position)
        unmet = self._unmet(view)
        if unmet:
            self.withheld, self.held = unmet, ()
            yield Withhold(unmet)
            return
        if self.quarantined is not None and snapshot.position <= self.quarantined:
            return
        self.held = tuple(self._admit(view, snapshot.position)) if self._hold == "all" else ()
        if self.held and not self._is_owed:
            return  # readers that were stopped stay stopped: only a view that is served lets them go on
        self.withheld, self.quarantined = "", None
        if self.crashed_upto is not None and snapshot.position > self.crashed_upto:
            self.crashed_upto = None
            yield ForgetUncleanEnds()  # asked for first: if serving fails, what starts again knows of no quarantine
        contiguous = built == follows == self.position
        self.overridden = overridden
        yield from self._swap(snapshot, view, differences if contiguous else None, change if contiguous else None)

    def quarantine(self, proven: Snapshot, upto: Position) -> Generator[Effect, None, None]:
        """Serve the proven state although a newer one is verified, until a newer revision comes."""
        yield from self.offer(proven)
        self.quarantined = upto

    @property
    def quarantine_text(self) -> str:
        """What is served instead of what; empty outside of quarantine."""
        if self.quarantined is None:
            return ""
        return f"after unclean ends revision {self.position} is served instead of {self.quarantined}"

    @property
    def _is_owed(self) -> bool:
        """Whether an urgent revision is newer than what is served, and than what is quarantined."""
        return self._urgent > max(self.position, self.quarantined or links.START)

    def _resolve(
        self, snapshot: Snapshot, change: Change | None
    ) -> Generator[Effect, None, tuple[View, Differences | None]]:
        """The view of a state, and how it differs from the last one resolved, None where that is not known.

        It is advanced from the last one where one change lies between and the labels stay.
        """
        if change is not None and self._built is not None:
            view = self._built[1]
            moved, seen = yield from _touched(change, view.labels)
            found = labels.effective(snapshot.state, self._identity) if moved else view.labels
            if found == view.labels:
                for step in views.advance_steps(view, snapshot.state, seen):
                    if step is None:
                        yield Pause()
                        continue
                    self._built = (snapshot, step[0])
                    return step
        view = yield from self._resolve_whole(snapshot)
        self._built = (snapshot, view)
        return view, None

    def _overlaid(
        self, view: View, differences: Differences | None
    ) -> tuple[View, Differences | None, tuple[LocalOverride, ...]]:
        """A view with this node's own overrides, and how it differs from the served one."""
        if self._overrides is None:
            return view, differences, ()
        over, overridden = self._overrides.over(view)
        holds = {one.path for one in overridden if not one.why}
        if differences is None or holds != {one.path for one in self.overridden if not one.why}:
            return over, None, overridden
        return over, {path: one for path, one in differences.items() if path not in holds}, overridden

    def _resolve_whole(self, snapshot: Snapshot) -> Generator[Effect, None, View]:
        found = labels.effective(snapshot.state, self._identity)
        view = views.empty(found)
        for step in views.build_steps(snapshot.state, found):
            if step is None:
                yield Pause()
            else:
                view = step
        return view

    def _swap(
        self, snapshot: Snapshot, view: View, known: Differences | None, change: Change | None = None
    ) -> Generator[Effect, None, None]:
        """`known` are the differences from the served view, None where they must be found by comparing."""
        reload = known is None
        differences = known if known is not None else (yield from _compare(self.view, view))
        self.view, self.position, self.hash = view, snapshot.position, snapshot.hash
        yield Serve(
            view=view,
            position=snapshot.position,
            hash=snapshot.hash,
            differences=differences,
            reload=reload,
            change=change,
        )

    def _unmet(self, view: View) -> str:
        """Why the labels do not meet `require=`; empty if they do."""
        unmet = [
            f"{dimension}={label} is required, configuration says {view.labels.get(dimension, 'nothing')}"
            for dimension, label in self._require.items()
            if view.labels.get(dimension) != label
        ]
        return "; ".join(unmet)


def _touched(change: Change, found: Mapping[str, str]) -> Generator[Effect, None, tuple[bool, list[str]]]:
    """Whether a change touches any label, and which of its paths a reader with these labels may see changed."""
    moved = False
    seen: list[str] = []
    for number, edit in enumerate(change.edits, 1):
        moved = moved or labels.is_label_path(edit.path)
        if layers.parse(edit.layer).matches(found):
            seen.append(edit.path)
        if number % STEP == 0:
            yield Pause()
    return moved, seen


def _compare(old: View | None, new: View) -> Generator[Effect, None, Differences]:
    """The leaves that differ between two views, found in steps. Before the first view everything is new: no event."""
    if old is not None:
        for step in views.compare_steps(old, new):
            if step is not None:
                return step
            yield Pause()
    return {}
