"""The agent: everything that a bot touches, wired together.

    with Agent.connect(environment="production", labels={"bot": "mm-btc"}, trust="trust.json",
                       database_url="postgresql://…", redis_url="redis://…") as agent:
        agent["risk.global.max_leverage"]

Order of a start: settings → directory → feeds → follower on its thread → first view → `connect` returns. Shutdown goes
the other way: `close`, the end of the `with` block, or the end of the interpreter.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Literal, Self, TypeAlias, TypeVar

from trimtab import clock, settings, sources
from trimtab.binding import Binding, Bindings
from trimtab.face import AgentFace
from trimtab.follower import Follower
from trimtab.model import documents
from trimtab.model.errors import UnavailableError
from trimtab.model.reports import Refusal, Status
from trimtab.model.statements import Trust
from trimtab.pending import ChangeEvent, Subscription
from trimtab.reader import Held, Reader
from trimtab.standing import Plan, Seed, Sources, Standing
from trimtab.starting import first_view
from trimtab.subscriptions import Changes, Subscriptions
from trimtab.threads import Life

T = TypeVar("T")
OpenSources: TypeAlias = Callable[[Plan, bool], Sources]
"""Opens what a plan follows from; the flag says whether the directory may be used."""
_CLOSE_SECONDS: Final = 5.0


class Agent(Reader):
    """Follows one environment, and serves what its bot reads. Made by `connect`; safe to use from any thread.

    Reading costs about two dict look-ups, takes no lock, and never fails because a server does: `status` and
    `staleness_seconds` tell how far it can be trusted.
    """

    def __init__(self, plan: Plan, open_sources: OpenSources) -> None:
        """Use `connect`."""
        self._plan = plan
        self._open_sources = open_sources
        self._bindings = Bindings()
        self._subscriptions = Subscriptions()
        self._news = threading.Condition()
        self._standing = Standing()
        self._life: Life | None = None
        self._closed = False
        self._inherited: tuple[Seed, ...] = ()  # one in a forked child that does not follow yet
        self.start_reading()

    @classmethod
    def connect(  # noqa: PLR0913 - each has a name, a default and a variable
        cls,
        *,
        environment: str | None = None,
        labels: Mapping[str, str] | None = None,
        require: Mapping[str, str] | None = None,
        trust: str | Path | Trust | None = None,
        database_url: str | None = None,
        redis_url: str | None = None,
        directory: str | Path | None = None,
        timeout: float | None = None,
        hold: Literal["binding", "all"] | None = None,
        open_sources: OpenSources | None = None,
    ) -> Self:
        """Follow an environment; returns when a first view is served, whichever feed it comes from.

        What is not given comes from `TRIMTAB_…` variables (`trimtab.settings`). `labels` name the process (node,
        region, bot); `require` names labels that must hold, or nothing can be read. `redis_url` makes changes arrive
        within milliseconds, `directory` lets the next start do without any server; it belongs to this agent alone. A
        view that no primary has confirmed yet is given half a second for that. `hold="all"` keeps the whole view back
        while a binding's model refuses it. `open_sources` replaces the feeds, for tests.

        Raises `SettingError` for what is missing or unusable, `UnavailableError` after `timeout` seconds (default 10)
        with what each feed said, and as themselves `EnvironmentNotFound`, `NotMigrated`, `FeedDenied`, `DirectoryHeld`
        and every `DeniedError`.
        """
        given = settings.read(
            {
                "environment": environment,
                "labels": labels,
                "require": require,
                "trust": trust,
                "database_url": database_url,
                "redis_url": redis_url,
                "directory": directory,
                "timeout": timeout,
                "hold": hold,
            }
        )
        deadline = time.monotonic() + given.timeout
        agent = cls(sources.plan(given), open_sources or sources.opener(given))
        agent._start(keep=True)
        try:
            first_view(agent._look, agent._news, given, deadline)
        except BaseException:
            agent.close(seconds=max(0.1, deadline - time.monotonic()))
            raise
        _connected.add(agent)
        return agent

    # -- reading, beyond agent[path], get, in, pinned, revision, epoch and hash of `Reader` ---------------------------

    @property
    def environment(self) -> str:
        """The environment that is followed."""
        return self._plan.environment

    @property
    def name(self) -> str:
        """This agent's name in the fleet."""
        return self._plan.agent

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that this agent is read with: its identity, and what configuration gives its bot."""
        held = self.held
        return MappingProxyType(dict(self._standing.labels if held.withheld else held.view.labels))

    def bind(self, path: str, kind: type[T]) -> Binding[T]:
        """A typed, live view of a subtree: a frozen pydantic model, or a scalar type for a leaf.

        The same path and type give the same binding. Raises `PathNotFound`, `ModelRefused` if the model refuses what is
        there now, `UsageError` for a type that can be changed, `RequirementFailed`.
        """
        self._ensure()
        return self._bindings.add(path, kind, lambda: self.held)

    # -- how far to trust it -------------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """How far the freshness of the served view can be trusted."""
        self._ensure()
        return self._standing.status(clock.now())

    @property
    def staleness_seconds(self) -> float:
        """Seconds since the served view was last proven to be the newest; infinite if it never was."""
        self._ensure()
        return self._standing.freshness.staleness(clock.now())

    @property
    def alarms(self) -> Mapping[str, str]:
        """What a person should know now: name → text."""
        self._ensure()
        return MappingProxyType(dict(self._standing.alarms))

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """What models refuse: of the served view, and with `hold="all"` of the one that is held back."""
        return (*self._bindings.refusals(), *self._standing.held)

    def max_staleness(self, path: str) -> float:
        """How stale the category of a path may become before its reader should care, in seconds."""
        return documents.max_staleness(path.partition(".")[0])

    @property
    def too_stale(self) -> tuple[str, ...]:
        """The categories of the served view that are staler now than `max_staleness` allows."""
        return documents.too_stale(self.held.view.categories(), self.staleness_seconds)

    # -- news ----------------------------------------------------------------------------------------------------------

    def on_change(self, pattern: str, callback: Callable[[ChangeEvent], object]) -> Subscription:
        """Call back, on a thread of its own, for what changes: `risk.**`, `token.*.symbol`. End it with `.cancel()`."""
        self._ensure()
        return self._subscriptions.call(pattern, callback)

    def changes(self, pattern: str) -> Changes:
        """The same for asynchronous code: `async for event in agent.changes("risk.**")`, in any event loop."""
        self._ensure()
        return self._subscriptions.read(pattern)

    def wait_for(self, revision: int, timeout: float = 10.0) -> bool:
        """Whether this agent serves a revision, waiting up to `timeout` seconds for it.

        It serves it once its view has reached it, or a primary has proven that nothing up to it is missing. Raises
        `UnavailableError` once the agent is closed, `RequirementFailed` while nothing may be read.
        """
        self._ensure()
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                held, proven = self.held, self._standing.freshness.proven
                held.check()
                if held.position.revision >= revision or proven.revision >= revision:
                    return True
                if self._closed:
                    raise UnavailableError(
                        f"Revision {revision} will not be served", "the agent is closed", "Connect again"
                    )
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._news.wait(left)

    # -- life ----------------------------------------------------------------------------------------------------------

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Stop following, say goodbye to the fleet, and record a clean stop. What was read last stays readable."""
        with self._news:
            life, self._life, self._closed = self._life, None, True
            self._news.notify_all()
        if life is not None:
            life.stop(seconds)
        self._subscriptions.end()
        _connected.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"Agent({self._plan.environment!r}, revision={self.revision}, status={self._standing.status(clock.now())})"
        )

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


_connected: weakref.WeakSet[Agent] = weakref.WeakSet()


def _fork_happened() -> None:
    for agent in list(_connected):
        agent._after_fork()  # noqa: SLF001 - one part with Agent


def _interpreter_ends() -> None:
    """An end without `close` is a clean one if the interpreter gets this far."""
    for agent in list(_connected):
        agent.close()


os.register_at_fork(after_in_child=_fork_happened)
atexit.register(_interpreter_ends)
