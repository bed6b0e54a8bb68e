"""What an agent is while it is connected: its follower on its thread, what is true, and who waits for news.

All of it also over a fork: a child goes on reading what its parent served, and follows for itself at first need.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from typing import Final

from trimtab import sources
from trimtab.binding import Bindings
from trimtab.face import AgentFace
from trimtab.followed import Followed
from trimtab.follower import Follower
from trimtab.reader import Held, Reader
from trimtab.settings import Settings
from trimtab.standing import OpenSources, Plan, Seed, Standing
from trimtab.starting import first_view
from trimtab.subscriptions import Subscriptions
from trimtab.threads import Life
from trimtab.typed_documents import TypedDocuments

_CLOSE_SECONDS: Final = 5.0


class Connected(Reader, Followed):
    """Reads what its follower serves, from `connect` to `close`."""

    __slots__ = ("_typed",)  # beside the dictionary: it is read with every typed access

    def __init__(self, plan: Plan, open_sources: OpenSources) -> None:
        """Use `Agent.connect`."""
        self._plan = plan
        self._open_sources = open_sources
        self._bindings = Bindings()
        self._subscriptions = Subscriptions()
        self._news = threading.Condition()
        self._standing = Standing()
        self._life: Life | None = None
        self._closed = False
        self._inherited: tuple[Seed, ...] = ()  # one in a forked child that does not follow yet
        self._typed = TypedDocuments(self)
        self.start_reading()

    def _begin(self, given: Settings, deadline: float) -> None:
        """Follow, and wait for a first view; raises what `Agent.connect` says, and is closed then."""
        self._start(keep=True)
        try:
            first_view(self._look, self._news, given, deadline)
        except BaseException:
            self.close(seconds=max(0.1, deadline - time.monotonic()))
            raise
        _connected.add(self)

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Stop following, say goodbye to the fleet, and record a clean stop. What was read last stays readable."""
        with self._news:
            life, self._life, self._closed = self._life, None, True
            self._news.notify_all()
        if life is not None:
            life.stop(seconds)
        self._subscriptions.end()
        _connected.discard(self)

    def _start(self, *, keep: bool, seed: Seed | None = None) -> None:
        opened = self._open_sources(self._plan, keep)
        face = AgentFace(self, self._bindings, self._subscriptions, self._note)
        self._life = Life(Follower(self._plan, opened, face, seed))

    def _ensure(self) -> None:
        """In a forked child: follow from now on. Anywhere else there is nothing to do."""
        if self._inherited:
            with self._news:
                seeds, self._inherited = self._inherited, ()
                for seed in () if self._closed else seeds:
                    self._start(keep=False, seed=seed)

    def _note(self, standing: Standing | None) -> None:
        with self._news:
            self._standing = standing or self._standing
            self._news.notify_all()

    def _look(self) -> tuple[Held, Standing]:
        return self.held, self._standing

    def _after_fork(self) -> None:
        """In a forked child: nothing of the parent's is touched, and what it served stays readable."""
        life, self._life = self._life, None
        self._news = threading.Condition()
        self._bindings.after_fork()
        self._subscriptions.after_fork()
        self._standing = Standing(labels=self._standing.labels)
        if life is not None:
            self._plan = sources.renamed(self._plan)
            self._inherited = (life.abandon(),)


_connected: weakref.WeakSet[Connected] = weakref.WeakSet()


def _fork_happened() -> None:
    for one in list(_connected):
        one._after_fork()  # noqa: SLF001 - one part with Connected


def _interpreter_ends() -> None:
    """An end without `close` is a clean one if the interpreter gets this far."""
    for one in list(_connected):
        one.close()


os.register_at_fork(after_in_child=_fork_happened)
atexit.register(_interpreter_ends)
