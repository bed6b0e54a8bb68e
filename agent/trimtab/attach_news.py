"""What an attached reader remembers for those who will ask for events."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

from trimtab.attach_view import SharedView
from trimtab.reader import Held

if TYPE_CHECKING:
    from trimtab.pending import Subscription

COMPARED: Final = 20_000
"""Up to so many paths two whole views are compared where nothing says what was touched."""
_MANY: Final = 4_096
_AT_ONCE: Final = 32
"""So many touched paths are told before their generation is let go, rather than lost."""


class News:
    """The view that was told last, and what was touched since. `lost`: only the state can tell."""

    def __init__(self, held: Held) -> None:
        self._told: Held | None = held
        self._from = held.position.revision
        self._touched: set[str] | None = set()
        self._listening: list[weakref.ref[Subscription]] = []

    def listen(self, subscription: Subscription) -> None:
        """Tell one more from now on. What came before is for those who listened before."""
        self._listening = [one for one in self._listening if one() is not None]
        self._listening.append(weakref.ref(subscription))

    def note(self, old: Held, new: Held, touched: frozenset[str] | None) -> None:
        """A view took the place of another."""
        if _generation(old) is not _generation(new):
            self._let_go(old, small=touched is None and _is_small(old) and _is_small(new))
        if touched is None:
            self._touched = None
            if self._told is not None and not (_is_small(self._told) and _is_small(new)):
                self._told = None
        elif self._touched is not None:
            self._touched |= touched
            if len(self._touched) > _MANY:
                self._told = self._touched = None
        if self._told is not None and self._touched == set():
            self._told, self._from = new, new.position.revision

    def tell(self, held: Held) -> None:
        """Tell all that listen what is new up to a view."""
        if self._touched == set():
            return
        listening = [one for ref in self._listening if (one := ref()) is not None and one.active]
        if listening:
            self._tell(listening, held)
        self._told, self._from, self._touched = held, held.position.revision, set()

    def _tell(self, listening: list[Subscription], held: Held) -> None:
        from trimtab import attach_events  # noqa: PLC0415 - brings asyncio, which a reader without events does not need

        if self._told is None:
            attach_events.tell_lost(listening, self._from, held.position.revision)
        else:
            attach_events.tell(listening, self._told, held, self._touched)

    def end(self) -> None:
        """Nothing comes any more."""
        for one in self._listening:
            subscription = one()
            if subscription is not None:
                subscription.end()

    def after_fork(self) -> None:
        """In a forked child: those who listened stayed with the parent."""
        for one in self._listening:
            subscription = one()
            if subscription is not None:
                subscription.after_fork()

    def _let_go(self, old: Held, *, small: bool) -> None:
        """The generation of the view that was told last goes: keep of it what little there is to tell."""
        if self._told is None or self._touched == set() or small:
            return
        if self._touched is not None and len(self._touched) <= _AT_ONCE:
            self.tell(old)
        else:
            self._told = self._touched = None


def _generation(held: Held) -> object:
    assert isinstance(held.view, SharedView)
    return held.view.index.content.base


def _is_small(held: Held) -> bool:
    assert isinstance(held.view, SharedView)
    return held.view.index.content.paths <= COMPARED
