"""Taking what is new: how an attached reader goes from one view to the next, in the middle of a read.

One thread at a time takes; whoever comes meanwhile goes on with what there is. Nothing is half: the view, the bindings
and the bell that is watched change while every read goes the slow way, which looks at the view only.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NoReturn

from trimtab.attach_following import Following
from trimtab.attach_news import News
from trimtab.attach_reading import Watching
from trimtab.attach_receipts import Receipts
from trimtab.attach_view import following, fresh
from trimtab.model.errors import FilesRefused, LayerError
from trimtab.model.values import Value
from trimtab.reader import Held, assign_at_once, requirement_failed
from trimtab.shared.content import Content
from trimtab.shared.head import Attested
from trimtab.shared.layout import HashPath
from trimtab.typed_documents import TypedDocuments

if TYPE_CHECKING:
    from trimtab.attach_binding import AttachedBindings
    from trimtab.pending import Subscription

THOROUGH_SECONDS: Final = 1.0
"""So often a read that goes the slow way looks at the head, too."""


class Taking(Watching):
    """Holds a view of a shared directory, and brings it up to date when it is read."""

    __slots__ = ("_typed",)  # beside the dictionary: it is read with every typed access

    def __init__(
        self,
        directory: str,
        labels: Mapping[str, str],
        require: Mapping[str, str],
        environment: str | None,
        owner: int | None,
        hash_path: HashPath,
    ) -> None:
        """Use `attach`."""
        self._given = (directory, dict(labels), dict(require), environment, owner, hash_path)
        self._following = Following(directory, owner, environment, hash_path)
        self._require = dict(require)
        self._identity = _identity(self._following.identity, labels)
        self._taking = threading.Lock()
        self._thorough_at = 0.0
        self._certified_at: float | None = None
        self._closed = False
        self._bindings: AttachedBindings | None = None
        self._typed = TypedDocuments(self)
        self._polled: Subscription | None = None
        self._served = self._following.content  # the newest content that was served, or found not to be
        self._held = fresh(self._following.content, self._identity)
        self._held = replace(self._held, withheld=self._unmet(self._held.view.labels))
        self._news = News(self._held)
        self._bell: object = self._following.bell
        self._receipts = Receipts(directory, self._identity)
        self._leave = weakref.finalize(self, _gone, self._receipts)  # at the latest when the process ends in order
        self._watch()
        self._acknowledge()
        attached.add(self)

    @property
    def held(self) -> Held:
        """The served view with its name, also while it may not be read."""
        self._look()
        return self._held

    @property
    def glanced(self) -> Held:
        """The same, with a look at the bell only."""
        if not self._bell:
            self._look()
        return self._held

    def read_slowly(self, path: str) -> Value:
        """Take what is new, and read."""
        if not self._bell or time.monotonic() >= self._thorough_at:
            self._look()
        held = self._held
        if held.withheld:
            raise requirement_failed(held.withheld)
        return held.cache[path]

    def _newest(self) -> Held:
        """What is served now; raises `RequirementFailed` where it may not be read."""
        self._look()
        held = self._held
        held.check()
        return held

    def _look(self, *, thorough: bool = False) -> None:
        """Take what is new, unless another thread is doing it: then this one goes on with what there is."""
        now = time.monotonic()
        thorough = thorough or now >= self._thorough_at
        if (self._bell and not thorough) or self._closed or not self._taking.acquire(blocking=False):
            return
        try:
            if thorough:
                self._thorough_at = now + THOROUGH_SECONDS
            self._take(thorough=thorough)
            if thorough:
                self._receipts.again()
        finally:
            self._taking.release()

    def _take(self, *, thorough: bool) -> None:
        """Wherever this ends too early the bell is a false one, and the next read begins again."""
        self._following.advance(thorough=thorough)
        content = self._following.content
        if content is self._served:
            return
        self._bell = False
        self.shut()
        try:
            self._serve(content)
        except FilesRefused as error:  # what decides the labels cannot be read
            self._following.trouble = f"what is new cannot be read: {error}"
            return
        self._served = content
        self._bell = self._following.bell
        if self._bindings is not None:
            self._bindings.watch(self._bell)
        self._watch()
        self._acknowledge()

    def _acknowledge(self) -> None:
        held = self._held
        if not held.withheld:
            self._receipts.taken(held.position)

    def _serve(self, content: Content) -> None:
        old, touched = self._held, self._following.untold
        if content.position < old.position:
            self._following.untold = None  # a sidecar that began again has not caught up with what is served
            return
        if content.position == old.position and content.hash == old.hash:
            touched = frozenset[str]()
        new, differing = following(old, content, self._identity, touched)
        unmet = self._unmet(new.view.labels)
        if unmet:
            self._withhold(unmet)
        else:
            self._swap(old, new, differing)

    def _swap(self, old: Held, new: Held, touched: frozenset[str] | None) -> None:
        self._news.note(old, new, touched)
        if self._bindings is None:
            self._held = new
        else:
            self._bindings.serve(new, lambda also: assign_at_once([(self, "_held", new), *also]))
        self._following.told()

    def _withhold(self, reason: str) -> None:
        held = replace(self._held, withheld=reason)
        if self._bindings is None:
            self._held = held
        else:
            self._bindings.withhold(reason, lambda also: assign_at_once([(self, "_held", held), *also]))

    def _watch(self) -> None:
        held = self._held
        if not held.withheld:
            self.watch(held.cache.__getitem__, self._bell)
            return

        def refuse(_path: str) -> NoReturn:
            raise requirement_failed(held.withheld)

        self.watch(refuse, self._bell)

    def _unmet(self, found: Mapping[str, str]) -> str:
        """Why the labels do not meet `require=`; empty if they do."""
        unmet = [
            f"{dimension}={label} is required, configuration says {found.get(dimension, 'nothing')}"
            for dimension, label in self._require.items()
            if found.get(dimension) != label
        ]
        return "; ".join(unmet)

    def _attested(self) -> tuple[Attested | None, float | None]:
        """What the sidecar says now, and when what is held here was last certified."""
        self._look(thorough=True)
        said = self._following.attested
        if said is not None and said.certified_at is not None and self._held.position >= said.served:
            self._certified_at = said.certified_at
        return said, self._certified_at

    def _listen(self) -> Subscription:
        """The subscription of `poll`, which has listened since `attach`."""
        if self._polled is None:
            from trimtab.pending import Subscription  # noqa: PLC0415 - brings asyncio, at first need

            self._polled = Subscription("**")
            self._news.listen(self._polled)
        return self._polled

    def _tell(self) -> None:
        self._look(thorough=True)
        if self._taking.acquire(blocking=False):  # else another thread is at it: there will be more to tell
            try:
                self._news.tell(self._held)
            finally:
                self._taking.release()

    def _after_fork(self) -> None:
        """In a forked child: reading goes on; whoever held the lock, or listened, stayed with the parent."""
        self._taking = threading.Lock()
        self._news.after_fork()
        self._news, self._polled = News(self._held), None
        if self._bindings is not None:
            self._bindings.after_fork()


def _identity(inherited: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    for dimension, label in given.items():
        if inherited.get(dimension, label) != label:
            raise LayerError(
                f"The label {dimension}={label} is refused",
                f"the sidecar of this directory is {dimension}={inherited[dimension]}",
                "Attach to the sidecar of this node, or leave the label out",
            )
    return {**inherited, **given}


attached: weakref.WeakSet[Taking] = weakref.WeakSet()


def _gone(receipts: Receipts) -> None:
    """A reader was closed or collected, or the process ends: others of it may read on for the same bot."""
    receipts.leave([one._receipts for one in list(attached)])  # noqa: SLF001 - one part with Taking


def _fork_happened() -> None:
    for one in list(attached):
        one._after_fork()  # noqa: SLF001 - one part with Taking


os.register_at_fork(after_in_child=_fork_happened)
